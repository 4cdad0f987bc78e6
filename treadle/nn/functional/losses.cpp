#include "treadle/nn/functional/losses.h"

#include <atomic>
#include <cstdio>
#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cross_entropy.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

Reduction::Reduction(std::string_view word) {
  if (word == "none")
    kind_ = Kind::none;
  else if (word == "mean")
    kind_ = Kind::mean;
  else if (word == "sum")
    kind_ = Kind::sum;
  else {
    invalid("loss",
            fmt::format("reduction is '{}'; expected 'none', 'mean' or 'sum'.",
                        word));
  }
}

array Reduction::operator()(const array& loss) const {
  switch (kind_) {
    case Kind::none:
      break;
    case Kind::mean:
      return mean(loss);
    case Kind::sum:
      return sum(loss);
  }
  return loss;
}

namespace {

void check_vector(std::string_view what, const array& w, int64_t classes) {
  if (w.shape() != Shape{classes}) {
    invalid("cross_entropy",
            fmt::format("{} have shape {}; expected one for each class, "
                        "({},).",
                        what,
                        to_string(w.shape()),
                        classes));
  }
}

void warn_of_ambiguous_weights() {
  static std::atomic<bool> warned{false};
  if (warned.exchange(true)) return;
  std::fputs(
      "treadle: cross_entropy: as many targets as classes; `weights` were "
      "taken "
      "as one factor per target. For one per class pass class_weights.\n",
      stderr);
}

// Class indices along any axis (`hit` is true at them), or probabilities.
// Everything is elementwise or a sum along the row, so loss and gradient are
// one pass over the logits each; a gather would cut that in two. The shift
// keeps both terms small, so their difference is exact for large logits too. A
// target that is no class has an infinite loss, as in ops/cross_entropy.h.
array pointwise(const array& logits,
                const array& targets,
                const array& hit,
                int axis,
                double smoothing) {
  array x = astype(logits, at_least_float(logits.dtype()));
  x = x - stop_gradient(max(x, axis, true));
  array score =
      hit.null() ? sum(x * targets, axis) : sum(select(hit, x, 0), axis);
  array loss = log(sum(exp(x), axis)) - (1 - smoothing) * score;
  if (smoothing != 0) loss = loss - smoothing * mean(x, axis);
  if (hit.null()) return loss;
  const int64_t classes = x.shape(axis);
  const array t = class_numbers(targets, classes);
  return select(logical_or(less(t, 0), greater_equal(t, classes)),
                std::numeric_limits<double>::infinity(),
                loss);
}

}  // namespace

array cross_entropy(const array& logits,
                    const array& targets,
                    const CrossEntropyOptions& o) {
  constexpr std::string_view op = "cross_entropy";
  if (o.label_smoothing < 0 || o.label_smoothing >= 1) {
    invalid(op,
            fmt::format("label_smoothing is {}; expected [0, 1).",
                        o.label_smoothing));
  }
  const int axis = normalize_axis(op, o.axis, logits.shape().size());
  const int64_t classes = logits.shape(axis);
  Shape loss_shape = logits.shape();
  loss_shape.erase(loss_shape.begin() + axis);
  const bool indices = targets.shape() == loss_shape;
  if (!indices && targets.shape() != logits.shape()) {
    invalid(op,
            fmt::format(
                "the targets are {} and the logits {}; expected class indices "
                "{} or probabilities {}.",
                to_string(targets.spec()),
                to_string(logits.spec()),
                to_string(loss_shape),
                to_string(logits.shape())));
  }
  if (indices && !is_integer(targets.dtype())) {
    invalid(op,
            fmt::format("class indices are {}; expected an integer dtype.",
                        to_string(targets.spec())));
  }
  const bool by_class = !o.class_weights.null() || o.ignore_index;
  if (by_class && !indices) {
    invalid(op,
            "class_weights and ignore_index need class indices as targets; got "
            "probabilities.");
  }

  // An ignored target may be no class; as another it has a finite loss.
  const array kept =
      o.ignore_index ? not_equal(targets, *o.ignore_index) : array();
  const array classes_of = kept.null() ? targets : select(kept, targets, 0);
  array hit, loss;
  if (indices) hit = class_hits(classes_of, classes, axis, logits.ndim());
  if (indices && axis + 1 == logits.ndim() && is_floating(logits.dtype()) &&
      classes > 0) {
    loss = astype(fast::cross_entropy(logits, classes_of, o.label_smoothing),
                  logits.dtype());
  } else {
    loss = pointwise(logits, classes_of, hit, axis, o.label_smoothing);
  }

  array class_weights = o.class_weights;
  if (!o.weights.null()) {
    if (o.weights.shape() == loss_shape) {
      if (indices && loss_shape == Shape{classes}) warn_of_ambiguous_weights();
      loss = loss * o.weights;
    } else if (indices && o.weights.ndim() == 1 && class_weights.null()) {
      class_weights = o.weights;
    } else {
      invalid(
          op,
          fmt::format("weights have shape {}; expected that of the loss, {}.",
                      to_string(o.weights.shape()),
                      to_string(loss_shape)));
    }
  }
  if (!class_weights.null()) {
    check_vector("class weights", class_weights, classes);
    Shape along(size_t(logits.ndim() - axis), 1);
    along[0] = classes;
    loss = loss * sum(select(hit, reshape(class_weights, along), 0), axis);
  }
  if (!o.ignore_index) return o.reduction(loss);

  loss = select(kept, loss, 0);
  if (o.reduction.kind() != Reduction::Kind::mean) return o.reduction(loss);
  // float16 cannot count beyond 65504.
  const Dtype wide = promote_types(loss.dtype(), float32);
  const array count = maximum(sum(astype(kept, wide)), 1);
  return astype(sum(astype(loss, wide)) / count, loss.dtype());
}

namespace {

// The logarithm of a probability, at least -100. At 0 it has no gradient, where
// that of log would be infinite times 0.
array log_probability(const array& p) {
  const array zero = equal(p, 0);
  return select(zero, -100, maximum(log(select(zero, 1, p)), -100));
}

}  // namespace

array binary_cross_entropy(const array& inputs,
                           const array& targets,
                           const BinaryCrossEntropyOptions& o) {
  constexpr std::string_view op = "binary_cross_entropy";
  if (inputs.shape() != targets.shape()) {
    invalid(op,
            fmt::format("inputs are {} and targets {}; expected equal shapes.",
                        to_string(inputs.spec()),
                        to_string(targets.spec())));
  }
  array loss;
  if (o.with_logits) {
    loss = logaddexp(0, inputs) - inputs * targets;
  } else {
    loss = -(targets * log_probability(inputs) +
             (1 - targets) * log_probability(1 - inputs));
  }
  if (!o.weights.null()) {
    if (o.weights.shape() != loss.shape()) {
      invalid(op,
              fmt::format("weights have shape {}; expected that of the loss, "
                          "{}.",
                          to_string(o.weights.shape()),
                          to_string(loss.shape())));
    }
    loss = loss * o.weights;
  }
  return o.reduction(loss);
}

array nll_loss(const array& inputs,
               const array& targets,
               int axis,
               Reduction reduction) {
  axis = normalize_axis("nll_loss", axis, inputs.shape().size());
  Shape expected = inputs.shape();
  expected.erase(expected.begin() + axis);
  if (targets.shape() != expected || !is_integer(targets.dtype())) {
    invalid("nll_loss",
            fmt::format("targets are {}; expected class indices {}.",
                        to_string(targets.spec()),
                        to_string(expected)));
  }
  array at = expand_dims(targets, axis);
  return reduction(-squeeze(take_along_axis(inputs, at, axis), axis));
}

array kl_div_loss(const array& inputs,
                  const array& targets,
                  int axis,
                  Reduction reduction) {
  return reduction(sum(exp(targets) * (targets - inputs), axis));
}

}  // namespace treadle::nn
