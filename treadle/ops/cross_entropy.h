// Cross-entropy of logits against class numbers.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// log sum_c exp(x_c) - (1 - smoothing) x_t - smoothing mean_c x_c. Inputs
// logits (..., C), floating, and targets t (...), integers (class_numbers; one
// that is no class has x_t = -infinity). Outputs
// the loss (...) and, for the gradient, the first term (...), both float32
// (float64 for float64).
struct CrossEntropy : Composite<CrossEntropy> {
  static constexpr std::string_view op_name = "cross_entropy";
  double smoothing = 0;

  auto fields() const { return std::tie(smoothing); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

// ct (softmax(x) - (1 - smoothing) onehot(t) - smoothing / C): the cotangent of
// the logits. Inputs: logits, targets, the second output of CrossEntropy, and
// the cotangent of the first.
struct CrossEntropyGrad : Composite<CrossEntropyGrad> {
  static constexpr std::string_view op_name = "cross_entropy_grad";
  double smoothing = 0;

  auto fields() const { return std::tie(smoothing); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

// Targets as numbers in [0, C), of int32 or a wider dtype: a negative one
// counts from the end. Those outside [-C, C) stay outside.
array class_numbers(const array& targets, int64_t classes);

// True at the class of each target: targets have `ndim` - 1 axes, and the
// result one for the classes, `axis`, counted from the front.
array class_hits(const array& targets, int64_t classes, int axis, int ndim);

namespace fast {

// log sum_c exp(logits_c) - logits_target over the last axis, without keeping
// the softmax. logits (..., C), targets (...) class numbers in [-C, C), where a
// negative one counts from the end; the result has the targets' shape and is
// float32 (float64 for float64). `smoothing` in [0, 1) moves that share of the
// target to all classes evenly. A target outside is a class of probability 0:
// its loss is infinite (its gradient that of the first term). Throws
// std::invalid_argument when shapes or dtypes do not fit.
array cross_entropy(const array& logits,
                    const array& targets,
                    double smoothing = 0,
                    StreamOrDevice s = {});

}  // namespace fast
}  // namespace treadle
