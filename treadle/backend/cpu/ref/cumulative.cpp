#include "treadle/backend/cpu/ref/cumulative.h"

#include "treadle/backend/cpu/cumulative_steps.h"

namespace treadle::backend::cpu {

namespace {

void run(const runtime::Task& task) {
  const auto& op = static_cast<const Cumulative&>(task.op);
  const runtime::Operand &in = task.in[0], &out = task.out[0];
  if (size_of(in.shape) == 0) return;
  const int64_t length = in.shape[size_t(op.axis)];
  int64_t inner = 1;
  for (size_t i = size_t(op.axis) + 1; i < in.shape.size(); ++i)
    inner *= in.shape[i];
  visit_steps<true>(op.kind_of, in.dtype, [&]<class T, class S>() {
    const T* x = static_cast<const T*>(in.data);
    T* y = static_cast<T*>(out.data);
    for (int64_t k = 0; k < size_of(in.shape) / length; ++k) {
      auto s = S::start();
      for (int64_t i = 0; i < length; ++i) {
        int64_t row = op.reverse ? length - 1 - i : i;
        int64_t at = (k / inner * length + row) * inner + k % inner;
        auto next = S::join(s, S::lift(x[at]));
        y[at] = S::value(op.inclusive ? next : s);
        s = next;
      }
    }
  });
}

}  // namespace

runtime::Kernel ref_cumulative() {
  return {.name = "ref::cumulative", .run = run};
}

}  // namespace treadle::backend::cpu
