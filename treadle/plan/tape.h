// A tape: what one fused kernel computes, as a list of values in SSA form. The
// CPU interprets it tile by tile (backend/cpu/tape.cpp), CUDA prints it as source
// (backend/cuda/tape_source.cpp). A tape holds no length: shapes and strides are
// arguments of the kernel.
//
// A tape runs over a space of some rank whose last `inner_axes` axes form a row:
// space = outer x inner. A value is a whole tile of the row or, when `uniform`,
// one number per row. Reductions:
//   reduce_row     over the row: gives one number per row, which values after it
//                  may use; they form a later phase over the same row
//   reduce_column  over the outer axes: ends in an output of the inner shape
// Without reductions inner_axes is 0 and the kernel may cut the space as it likes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "treadle/base/dtype.h"
#include "treadle/graph/op.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"

namespace treadle::plan {

// The type in which a value is computed. bool and small integers are widened:
// bool, uint8, uint16 -> u32 (bool holds 0 or 1), int8, int16 -> i32; float16 and
// bfloat16 -> f32.
enum class Lane : uint8_t { f32, f64, i32, i64, u32, u64, c64 };
inline constexpr int kNumLanes = 7;

Lane lane_of(Dtype t);
std::string_view name_of(Lane lane);

struct TapeValue {
  enum class Code : uint8_t {
    load,           // operand `index`, converted to the lane of its dtype
    row,            // the elementwise op `row` of a, b, c
    convert,        // a, converted to `dtype`: rounded, wrapped or != 0
    reduce_row,     // `reduce` of a over the row
    store,          // a into output `index` (form full or row), as its dtype
    reduce_column,  // `reduce` of a over the outer axes into output `index`
  };
  Code code;
  Lane lane;             // of the result; of the input for store, reduce_column
  bool uniform = false;  // one number per row
  Row row = Row{};
  ReduceKind reduce = ReduceKind::sum;
  Dtype dtype = float32;  // convert: the target. load, store: of the array
  uint16_t a = 0, b = 0, c = 0;  // values, by position on the tape
  uint16_t index = 0;            // operand or output
  uint16_t phase = 0;            // 1 + the latest reduce_row it depends on

  friend bool operator==(const TapeValue&, const TapeValue&) = default;
};

// What an output of a tape looks like.
enum class OutputForm : uint8_t { full, row, column };

struct TapeOutput {
  Dtype dtype;
  OutputForm form;

  friend bool operator==(const TapeOutput&, const TapeOutput&) = default;
};

struct Tape {
  int inner_axes = 0;
  std::vector<Dtype> operands;
  std::vector<TapeOutput> outputs;
  std::vector<TapeValue> values;

  int num_phases() const;
  // A listing, one value a line.
  std::string to_string() const;

  friend bool operator==(const Tape&, const Tape&) = default;
};

// Throws std::logic_error when a tape is malformed: used before definition, a
// wrong lane, a uniform mismatch, an operand that is never loaded.
void check(const Tape& tape);

// The op that stands for a tape in a plan. Kernel contract (runtime/kernel.h):
// Task::space is the space; every operand has the space's shape, broadcast axes
// with stride 0; full outputs have the space's shape, row outputs the outer
// shape, column outputs the inner shape, all row-contiguous.
struct Fused : OpBase<Fused> {
  static constexpr std::string_view op_name = "fused";
  Tape tape;

  void hash_structure(Hasher& h) const override;
  bool same_as(const Op& other) const override;
  std::string describe() const override;
  Specs infer(std::span<const Spec>) const override;
  Arrays jvp(const Arrays&, const Arrays&, const Arrays&, Argnums) const override;
  Arrays vjp(const Arrays&, const Arrays&, const Arrays&, Argnums) const override;
  Mapped vmap(const Arrays&, std::span<const int>) const override;
};

}  // namespace treadle::plan
