// Softmax and its logarithm.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/rules.h"

namespace treadle {

// exp(x - m) / sum(exp(x - m)) with m = max(x), over `axes` (sorted). `precise`
// matters for float16 and bfloat16: computed in float32, rounded once.
struct Softmax : OpBase<Softmax, OpKind::composite> {
  static constexpr std::string_view op_name = "softmax";
  Axes axes;
  bool precise = false;

  auto fields() const { return std::tie(axes, precise); }
  TREADLE_RULES
  Arrays expand(const Arrays& x) const override;
};

// x - logsumexp(x) over `axes` (sorted), of x - max(x).
struct LogSoftmax : OpBase<LogSoftmax, OpKind::composite> {
  static constexpr std::string_view op_name = "log_softmax";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  TREADLE_RULES
  Arrays expand(const Arrays& x) const override;
};

// Positive numbers that add up to 1 over the axes; integers become float32.
array softmax(const array& x,
              const AxisArg& axis = {},
              bool precise = false,
              StreamOrDevice s = {});
// log(softmax(x)), without overflow: x - logsumexp(x).
array log_softmax(const array& x,
                  const AxisArg& axis = {},
                  StreamOrDevice s = {});

}  // namespace treadle
