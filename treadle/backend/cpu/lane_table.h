// The functions that a tape is interpreted with: one loop over a run of lanes
// for every elementwise row, load, store, conversion and reduction, in tables
// filled once for this machine.
//
// A run is n lanes of one type, one after another. An operand may be a splat
// instead: one value, repeated over kSplatBytes bytes, that stands for a whole
// run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "treadle/base/dtype.h"
#include "treadle/ops/elementwise.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

inline constexpr size_t kSplatBytes = 64;
inline constexpr int kNumReduceKinds = 4;

constexpr size_t size_of(plan::Lane lane) {
  constexpr uint8_t sizes[plan::kNumLanes] = {4, 8, 4, 8, 4, 8, 8};
  return sizes[static_cast<int>(lane)];
}

// out = row(a, b, c). Bit i of `flags`: operand i is a splat; kStreamFlag: out
// is aligned to vectors and written past the caches (by vector code; ignored by
// the rest). out may be an operand of the same lane size.
inline constexpr unsigned kStreamFlag = 16;
using RowFn = void (*)(size_t n,
                       void* out,
                       const void* a,
                       const void* b,
                       const void* c,
                       unsigned flags);

// A chain: rows of which each takes the result of the one before, in one pass
// over the lanes, with that result in registers. A pass of its own for a cheap
// row costs more in traffic with the first cache than in arithmetic.
//
// Links follow one another: a load first, then rows, and values kept for later
// readers among them, after which another load may follow; the last one writes
// the result.
using LinkFn = void (*)();
struct Link {
  LinkFn fn;
  const char *p, *q;  // what the link reads or writes
  // Bytes of a lane of memory at p and q that is read, and at p that is
  // written, where it must not be touched beyond the lanes asked for; else 0.
  uint8_t copy_p, copy_q, write_p;
  // Bytes by which p and q move on from row to row, besides its lanes: to the
  // next of one number a row, or back over a row that all rows read.
  int32_t row_p, row_q;
};
// What an operand is: lanes in memory, a splat, of which one lane is read, what
// the chain itself has kept for this block, or halves in memory. The latter for
// chains of floats, and not where a link reads a pair.
enum class LinkForm : uint8_t { memory, splat, block, bfloat16, float16 };
inline constexpr int kNumLinkForms = 5, kNumPairForms = 3;
// Where a result goes: near; far, the next lines being fetched, because stores
// wait in turn for lines that are in no near cache; or past the caches, aligned
// to vectors.
enum class LinkStore : uint8_t { near, far, past };
inline constexpr int kNumLinkStores = 3;
// Where a binary row takes the value of the chain.
enum class LinkSide : uint8_t { left, right };
inline constexpr int kMostLinks = 48;
inline constexpr size_t kChainBytes = 8 * kSplatBytes;  // of a block

// The functions of links. By row, null: the row is in no chain.
struct ChainTable {
  LinkFn load[kNumLinkForms];
  LinkFn unary[kNumRows];
  LinkFn binary[kNumRows][2][kNumLinkForms];  // by side and form
  LinkFn twice[kNumRows];  // of a binary row, the value on both sides
  // A binary row whose other operand is the product of a pair, rounded as in a
  // row of its own. Null for rows other than those of arithmetic.
  LinkFn product[kNumRows][2][kNumPairForms][kNumPairForms];
  // By the place of the value, and forms.
  LinkFn select[3][kNumPairForms][kNumPairForms];
  LinkFn round[2];                      // to bfloat16, float16
  LinkFn keep[2][kNumLinkStores];       // [1]: for this block, near
  LinkFn last_half[2][kNumLinkStores];  // to which type
  LinkFn last[kNumLinkStores];
  // The lanes [from, from + n) of all memory; what is kept may be written up to
  // kChainBytes beyond. Null: no chains.
  void (*run)(const Link* links, int count, size_t from, size_t n);
  // The sum of those lanes joins a double, and is not written: the last link is
  // set here. Null: no such chains. The bits are those of ReduceFns::fold.
  void (*sum)(Link* links, int count, size_t from, size_t n, double* to);
};

// Memory of a dtype to its lane, a lane to memory of a dtype, or a lane to the
// lane of another dtype.
using MoveFn = void (*)(size_t n, void* out, const void* in);

// Accumulators are lanes, except that float sums and products are kept in
// double and complex ones in complex<double>.
struct ReduceFns {
  size_t acc_size;
  // Each of `rows` rows of n lanes into one lane.
  void (*rows)(size_t rows, size_t n, void* out, const void* in);
  void (*init)(size_t n, void* acc);
  // One accumulator takes n lanes.
  void (*fold)(size_t n, void* acc, const void* in);
  // n accumulators take a lane each from each of `rows` rows.
  void (*add)(size_t rows, size_t n, void* acc, const void* in);
  // n accumulators take n others.
  void (*merge)(size_t n, void* acc, const void* other);
  void (*finish)(size_t n, void* out, const void* acc);
};

struct LaneTable {
  RowFn row[kNumRows][plan::kNumLanes];  // null: the row does not take the lane
  ChainTable chain[2];                   // f32, f64
  MoveFn load[kNumDtypes];
  MoveFn store[kNumDtypes];
  MoveFn convert[plan::kNumLanes][kNumDtypes];
  ReduceFns reduce[kNumReduceKinds][plan::kNumLanes];
  // Each of `rows` lanes of 4 or 8 bytes n times. Writes up to a vector beyond.
  void (*expand)(size_t rows, size_t n, size_t size, void* out, const void* in);
  // Copies past the caches. The bytes are visible to others after fence().
  void (*stream)(size_t bytes, void* out, const void* in);
  void (*fence)();
  // Bytes of a vector: a run of that many computes a splat.
  size_t vector_bytes;
};

// Plain loops, and the fastest that this machine runs.
const LaneTable& scalar_table();
const LaneTable& lane_table();

// For tests: makes lane_table() what it is on a machine that knows no more than
// this; false when the machine does not even know that. Programs made before
// must not run any more.
enum class SimdTarget : uint8_t { best, avx2, sse4 };
bool use_target(SimdTarget target);

// Parts of scalar_table() and lane_table(), each from a file of its own.
void fill_scalar_rows(LaneTable* t);
void fill_scalar_moves(LaneTable* t);
void fill_float_rows(LaneTable* t);
void fill_float_functions(LaneTable* t);
void fill_double_rows(LaneTable* t);
void fill_integer_rows(LaneTable* t);
void fill_chains(LaneTable* t);
void fill_moves(LaneTable* t);
void fill_reductions(LaneTable* t);

}  // namespace treadle::backend::cpu
