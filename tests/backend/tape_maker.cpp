#include "tests/backend/tape_maker.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/tape.h"

namespace treadle::testing {

using plan::OutputForm;
using plan::TapeValue;
using Code = TapeValue::Code;

Dtype dtype_of_lane(plan::Lane lane) {
  constexpr Dtype dtypes[] = {
      float32, float64, int32, int64, uint32, uint64, complex64};
  return dtypes[static_cast<int>(lane)];
}

uint16_t TapeMaker::push(TapeValue v) {
  tape_.values.push_back(v);
  return static_cast<uint16_t>(tape_.values.size() - 1);
}

uint16_t TapeMaker::after(uint16_t a) const {
  const TapeValue& v = tape_.values[a];
  return static_cast<uint16_t>(v.phase + (v.code == Code::reduce_row ? 1 : 0));
}

uint16_t TapeMaker::load(Dtype dtype, bool uniform) {
  TapeValue v = {};
  v.code = Code::load;
  v.lane = plan::lane_of(dtype);
  v.dtype = dtype;
  v.uniform = uniform;
  v.index = static_cast<uint16_t>(tape_.operands.size());
  tape_.operands.push_back(dtype);
  return push(v);
}

uint16_t TapeMaker::row(Row row, uint16_t a, uint16_t b, uint16_t c) {
  TapeValue v = {};
  v.code = Code::row;
  v.row = row;
  v.a = a;
  v.b = b;
  v.c = c;
  const bool choose = info(row).rule == Rule::choose;
  v.lane = plan::result_lane(info(row).rule, tape_.values[choose ? b : a].lane);
  v.uniform = true;
  const uint16_t in[] = {a, b, c};
  for (int k = 0; k < info(row).arity; ++k) {
    v.uniform = v.uniform && tape_.values[in[k]].uniform;
    v.phase = std::max(v.phase, after(in[k]));
  }
  return push(v);
}

uint16_t TapeMaker::convert(uint16_t a, Dtype dtype) {
  TapeValue v = {};
  v.code = Code::convert;
  v.lane = plan::lane_of(dtype);
  v.dtype = dtype;
  v.a = a;
  v.uniform = tape_.values[a].uniform;
  v.phase = after(a);
  return push(v);
}

uint16_t TapeMaker::reduce_row(ReduceKind kind, uint16_t a) {
  TapeValue v = {};
  v.code = Code::reduce_row;
  v.lane = tape_.values[a].lane;
  v.reduce = kind;
  v.a = a;
  v.uniform = true;
  v.phase = after(a);
  return push(v);
}

void TapeMaker::output(uint16_t a, Dtype dtype, OutputForm form, TapeValue v) {
  v.lane = tape_.values[a].lane;
  v.dtype = dtype;
  v.a = a;
  v.phase = after(a);
  v.index = static_cast<uint16_t>(tape_.outputs.size());
  tape_.outputs.push_back({dtype, form});
  push(v);
}

void TapeMaker::store(uint16_t a) {
  store(a, dtype_of_lane(tape_.values[a].lane));
}
void TapeMaker::store(uint16_t a, Dtype dtype) {
  TapeValue v = {};
  v.code = Code::store;
  output(a, dtype, OutputForm::full, v);
}
void TapeMaker::store_row(uint16_t a) {
  TapeValue v = {};
  v.code = Code::store;
  output(a, dtype_of_lane(tape_.values[a].lane), OutputForm::row, v);
}
void TapeMaker::reduce_column(ReduceKind kind, uint16_t a) {
  TapeValue v = {};
  v.code = Code::reduce_column;
  v.reduce = kind;
  output(a, dtype_of_lane(tape_.values[a].lane), OutputForm::column, v);
}

namespace {

constexpr size_t kGuard = 256;
constexpr char kPattern = 0x5a;

// Memory with a pattern before and after that must survive.
class Guarded {
 public:
  explicit Guarded(size_t bytes)
      : bytes_((bytes + 63) / 64 * 64),
        memory_(bytes_ + 2 * kGuard + 64, kPattern) {
    const auto p = reinterpret_cast<uintptr_t>(memory_.data()) + kGuard;
    start_ = reinterpret_cast<char*>((p + 63) / 64 * 64);
    end_ = start_ + bytes;
  }
  char* get() { return start_; }
  bool intact() const {
    const auto ok = [](char c) { return c == kPattern; };
    return std::all_of(memory_.data(), static_cast<const char*>(start_), ok) &&
           std::all_of(static_cast<const char*>(end_),
                       memory_.data() + memory_.size(),
                       ok);
  }

 private:
  size_t bytes_;
  std::vector<char> memory_;
  char *start_, *end_;
};

}  // namespace

std::vector<Tensor> run_tape(const Op& op,
                             const Shape& space,
                             const std::vector<Tensor>& in,
                             int threads,
                             const std::vector<int>& in_place,
                             unsigned unwanted) {
  const plan::Tape& tape = static_cast<const plan::Fused&>(op).tape;
  const runtime::Kernel kernel = backend::cpu::tape_kernel();
  std::vector<Tensor> inputs = in, outputs;
  std::vector<runtime::Operand> operands, results;
  for (const Tensor& t : inputs) {
    EXPECT_EQ(t.spec.shape, space);
    operands.push_back(t.operand());
  }
  const size_t outer = space.size() - static_cast<size_t>(tape.inner_axes);
  std::vector<Guarded> memory;
  memory.reserve(tape.outputs.size());
  for (size_t k = 0; k < tape.outputs.size(); ++k) {
    Shape shape = space;
    if (tape.outputs[k].form == OutputForm::row) {
      shape = Shape(space.begin(), space.begin() + outer);
    } else if (tape.outputs[k].form == OutputForm::column) {
      shape = Shape(space.begin() + outer, space.end());
    }
    const Dtype dtype = tape.outputs[k].dtype;
    Tensor t;
    t.spec = {shape, dtype};
    t.layout.strides = row_major_strides(shape);
    const size_t bytes = static_cast<size_t>(size_of(shape)) * size_of(dtype);
    t.memory.resize(bytes);
    outputs.push_back(t);
    memory.emplace_back(bytes);
    runtime::Operand o;
    o.data = memory.back().get();
    o.dtype = dtype;
    o.shape = shape;
    o.strides = t.layout.strides;
    if (k < in_place.size() && in_place[k] >= 0)
      o.data = operands[in_place[k]].data;
    if (unwanted >> k & 1) o.data = nullptr;
    results.push_back(o);
  }
  runtime::Task task{op, operands, results, space, nullptr, threads};
  const size_t bytes = kernel.workspace(task);
  Guarded workspace(bytes);
  task.workspace = bytes > 0 ? workspace.get() : nullptr;
  kernel.run(task);
  EXPECT_TRUE(workspace.intact());
  for (size_t k = 0; k < outputs.size(); ++k) {
    EXPECT_TRUE(memory[k].intact()) << "output " << k;
    if (results[k].data && !outputs[k].memory.empty()) {
      std::memcpy(
          outputs[k].memory.data(), results[k].data, outputs[k].memory.size());
    }
  }
  return outputs;
}

}  // namespace treadle::testing
