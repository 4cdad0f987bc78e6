#include "treadle/backend/cpu/ref/create.h"

#include "treadle/backend/cpu/convert.h"
#include "treadle/ops/create.h"

namespace treadle::backend::cpu {

namespace {

// Floating values are start + i * step, rounded once; MLX adds up, which
// drifts. For integers start and step are converted first, and values wrap
// around.
void run(const runtime::Task& task) {
  const auto& op = static_cast<const Arange&>(task.op);
  const runtime::Operand& out = task.out[0];
  visit_dtype(out.dtype, [&]<class T>() {
    T* y = static_cast<T*>(out.data);
    int64_t stride = out.strides[0];
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      uint64_t first = uint64_t(convert<int64_t>(op.start));
      uint64_t step = uint64_t(convert<int64_t>(op.start + op.step)) - first;
      if constexpr (std::is_same_v<T, uint64_t>) {
        first = convert<uint64_t>(op.start);
        step = convert<uint64_t>(op.start + op.step) - first;
      }
      for (int64_t i = 0; i < op.count; ++i) {
        y[i * stride] = static_cast<T>(first + uint64_t(i) * step);
      }
    } else {
      for (int64_t i = 0; i < op.count; ++i) {
        y[i * stride] = convert<T>(op.start + double(i) * op.step);
      }
    }
  });
}

}  // namespace

runtime::Kernel ref_arange() {
  return {.name = "ref::arange", .run = run, .strided = true};
}

}  // namespace treadle::backend::cpu
