// A tape: what one fused kernel computes, as a list of values in SSA form. The
// CPU interprets it tile by tile (backend/cpu/tape.cpp), CUDA prints it as
// source (backend/cuda/tape_source.cpp). A tape holds no length: shapes and
// strides are arguments of the kernel.
//
// A tape runs over a space of some rank whose last `inner_axes` axes form a
// row: space = outer x inner. A value is a whole tile of the row or, when
// `uniform`, one number per row. Reductions:
//   reduce_row     over the row: gives one number per row, which values after
//   it
//                  may use; they form a later phase over the same row
//   reduce_column  over the outer axes: ends in an output of the inner shape
// Without reductions inner_axes is 0 and the kernel may cut the space as it
// likes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "treadle/base/dtype.h"
#include "treadle/graph/op.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"

namespace treadle::plan {

// The type in which a value is computed. bool and small integers are widened:
// bool, uint8, uint16 -> u32 (bool holds 0 or 1), int8, int16 -> i32; float16
// and bfloat16 -> f32.
enum class Lane : uint8_t { f32, f64, i32, i64, u32, u64, c64 };
inline constexpr int kNumLanes = 7;

constexpr Lane lane_of(Dtype t) {
  constexpr Lane lanes[kNumDtypes] = {Lane::u32,
                                      Lane::u32,
                                      Lane::u32,
                                      Lane::u32,
                                      Lane::u64,
                                      Lane::i32,
                                      Lane::i32,
                                      Lane::i32,
                                      Lane::i64,
                                      Lane::f32,
                                      Lane::f32,
                                      Lane::f32,
                                      Lane::f64,
                                      Lane::c64};
  return lanes[static_cast<int>(t)];
}
std::string_view name_of(Lane lane);

// Whether rows of a rule take inputs of a lane (choose: the last two, the first
// is u32), and the lane of the result. Truth values are 0 or 1 in u32.
constexpr bool takes_lane(Rule rule, Lane lane) {
  switch (rule) {
    case Rule::same:
    case Rule::magnitude:
    case Rule::compare:
    case Rule::choose:
      return true;
    case Rule::real:
      return lane != Lane::c64;
    case Rule::float_like:
      return lane == Lane::f32 || lane == Lane::f64 || lane == Lane::c64;
    case Rule::real_float:
      return lane == Lane::f32 || lane == Lane::f64;
    case Rule::logical:
      return lane == Lane::u32;
    case Rule::integer:
      break;
  }
  return lane != Lane::f32 && lane != Lane::f64 && lane != Lane::c64;
}
constexpr Lane result_lane(Rule rule, Lane lane) {
  if (rule == Rule::compare) return Lane::u32;
  if (rule == Rule::magnitude && lane == Lane::c64) return Lane::f32;
  return lane;
}

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

// What a backend has made of an op, kept with it: filled by the first run,
// freed with the op, and not copied. Safe to fill from several threads.
class Prepared {
 public:
  struct Base {
    virtual ~Base() = default;
  };
  Prepared() = default;
  Prepared(const Prepared&) {}
  Prepared& operator=(const Prepared&) { return *this; }
  ~Prepared() { delete value_.load(std::memory_order_acquire); }

  const Base* get() const { return value_.load(std::memory_order_acquire); }
  // Keeps `made`, or the value that another thread was first with.
  const Base* set(std::unique_ptr<const Base> made) const;

 private:
  mutable std::atomic<const Base*> value_{nullptr};
};

// The op that stands for a tape in a plan. Kernel contract (runtime/kernel.h):
// Task::space is the space; every operand has the space's shape, broadcast axes
// with stride 0; full outputs have the space's shape, row outputs the outer
// shape, column outputs the inner shape, all row-contiguous.
class Fused : public Op {
 public:
  Fused() = default;
  explicit Fused(Tape t) : tape(std::move(t)) {}
  Tape tape;
  Prepared prepared;

  std::string_view name() const override { return "fused"; }
  OpKind kind() const override { return OpKind::plain; }
  void hash_structure(Hasher& h) const override;
  bool hash_sizes(Hasher&) const override { return false; }
  bool same_as(const Op& other) const override;
  std::string describe() const override;
  Specs infer(std::span<const Spec>) const override;
  Arrays jvp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override;
  Arrays vjp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override;
  Mapped vmap(const Arrays&, std::span<const int>) const override;
};

// Checks the tape and makes the op.
OpPtr make_fused(Tape tape);

}  // namespace treadle::plan
