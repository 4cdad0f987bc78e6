// Prints a tape as CUDA source. Pure text: needs no CUDA to build or to run.
//
// A kernel is known by its tape and its layout class, never by a length: sizes,
// strides and addresses are in `Args`, one struct passed by value, which
// tape_launch.h fills. Operands must not overlap outputs.
//
// The source has these entry points, of which a launch picks by size:
//   map         tapes without reductions
//   group_rows  a few threads for each row, its values in registers
//   block_rows  a block for each row, or for several with column reductions
//   long_rows   the same for rows of any length, which recomputes values
//   columns     column reductions alone: a block for a tile of columns and rows
//   finish      adds up what the blocks left for each column, in block order
// In a sum, the order of the terms follows from shape, strides and alignment
// alone, so the bits are the same on every run and every GPU. Compile with
// -fmad=false: a multiply-add is fused only where a row says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "treadle/plan/tape.h"

namespace treadle::backend::cuda {

inline constexpr int kMaxRank = 8;  // of a space, after axes are merged
inline constexpr int kMapThreads = 256;
inline constexpr int kRowThreads =
    1024;  // of block_rows and long_rows, at most
inline constexpr int kGroupThreads = 128;  // of a block of group_rows
inline constexpr int kColumnThreads = 256;
inline constexpr int kFinishWidth = 32;  // columns of a block of finish

// How an operand moves along the inner axes (all axes of a tape without rows).
enum class Access : uint8_t {
  dense,     // in row order, without gaps
  repeated,  // not at all
  strided,   // by strides
};

// What lies around the inner axes, once merged: nothing, one axis, several.
enum class Outer : uint8_t { none, axis, axes };

struct LayoutClass {
  std::vector<Access> operands;
  Outer outer = Outer::none;
  // Addresses and strides allow loads and stores of vector_width() elements.
  bool vector = false;
  // Positions need more than 32 bits. Only where axes must be told apart.
  bool wide = false;

  // "contiguous", "inner-contiguous" or "strided".
  std::string_view name() const;

  friend bool operator==(const LayoutClass&, const LayoutClass&) = default;
};

enum class Family : uint8_t { map, rows, columns };

// What both the source and a launch of it must know.
struct Geometry {
  Family family;
  int width;         // elements that a thread moves at once
  int unroll;        // map: how often
  int group_chunks;  // rows: how often, per thread; 0: no group_rows
  int block_chunks;  // rows: how often, per thread; 0: no block_rows
  int column_sums;   // column reductions
};

Geometry geometry(const plan::Tape& tape, const LayoutClass& layout);

// Throws std::logic_error on a tape that check() would reject.
std::string tape_source(const plan::Tape& tape, const LayoutClass& layout);

}  // namespace treadle::backend::cuda
