// Loss functions. Each is a formula per element followed by a reduction.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "treadle/graph/array.h"

namespace treadle::nn {

// What happens to the losses of a batch: "none" keeps them, "mean" and "sum"
// give a scalar. Any other word throws std::invalid_argument.
class Reduction {
 public:
  enum class Kind : uint8_t { none, mean, sum };
  Reduction() = default;
  Reduction(std::string_view word);
  Reduction(const char* word) : Reduction(std::string_view(word)) {}
  Kind kind() const { return kind_; }
  array operator()(const array& loss) const;

 private:
  Kind kind_ = Kind::none;
};

struct CrossEntropyOptions {
  // One factor for each loss (of the loss's shape), or one for each class,
  // (C,). When the loss has shape (C,) itself, they are taken for factors of
  // losses, with a warning, once; class_weights says it clearly.
  array weights = {};
  array class_weights = {};  // (C,); for class indices only
  int axis = -1;
  double label_smoothing = 0;  // in [0, 1)
  // Targets of this class cost nothing and do not count in a mean.
  std::optional<int64_t> ignore_index = {};
  Reduction reduction = {};
};

// log sum_c exp(logits_c) - logits_target, along `axis`.
//
// targets: class indices, of the shape of logits without `axis`, in [-C, C),
// where a negative one counts from the end and one outside has an infinite
// loss; or a probability for each class, of the shape of logits, then the
// second term is sum_c targets_c logits_c. Smoothing by s moves the share s of
// the target to all classes evenly. Result: the shape of logits without `axis`,
// or a scalar; the dtype of logits. Throws std::invalid_argument when shapes do
// not match.
array cross_entropy(const array& logits,
                    const array& targets,
                    const CrossEntropyOptions& options = {});

struct BinaryCrossEntropyOptions {
  array weights = {};  // one factor for each loss, of its shape
  bool with_logits = true;
  Reduction reduction = {};
};
// log(1 + e^x) - t x for logits x and targets t in [0, 1]; for probabilities p,
// with_logits = false, -t log p - (1 - t) log(1 - p) with logarithms of at
// least -100, whose gradient at 0 is 0. Shapes must be equal.
array binary_cross_entropy(const array& inputs,
                           const array& targets,
                           const BinaryCrossEntropyOptions& options = {});

// -inputs_target along `axis`, for log probabilities and class indices of the
// shape of inputs without `axis`. A negative index counts from the end; one
// outside [-C, C) throws std::out_of_range when the loss is computed.
array nll_loss(const array& inputs,
               const array& targets,
               int axis = -1,
               Reduction reduction = {});

// sum e^targets (targets - inputs) along `axis`; both are log probabilities.
array kl_div_loss(const array& inputs,
                  const array& targets,
                  int axis = -1,
                  Reduction reduction = {});

// The losses below compare numbers; the file losses_distance.cpp. Shapes of
// predictions and targets must be equal where it is said, else they broadcast.

// |predictions - targets|; equal shapes.
array l1_loss(const array& predictions,
              const array& targets,
              Reduction reduction = {});

// (predictions - targets)^2; equal shapes.
array mse_loss(const array& predictions,
               const array& targets,
               Reduction reduction = {});

// For d = |predictions - targets|: d^2 / (2 beta) where d < beta, else
// d - beta / 2. Equal shapes.
array smooth_l1_loss(const array& predictions,
                     const array& targets,
                     double beta = 1,
                     Reduction reduction = {});

// For d = |inputs - targets|: d^2 / 2 where d <= delta, else delta (d -
// delta / 2).
array huber_loss(const array& inputs,
                 const array& targets,
                 double delta = 1,
                 Reduction reduction = {});

// log cosh(inputs - targets)
array log_cosh_loss(const array& inputs,
                    const array& targets,
                    Reduction reduction = {});

// (log v + (targets - inputs)^2 / v) / 2 for v = max(vars, eps), plus
// log(2 pi) / 2 when `full`. Equal shapes.
array gaussian_nll_loss(const array& inputs,
                        const array& targets,
                        const array& vars,
                        bool full = false,
                        double eps = 1e-6,
                        Reduction reduction = {});

// max(0, 1 - inputs targets); targets are -1 or 1.
array hinge_loss(const array& inputs,
                 const array& targets,
                 Reduction reduction = {});

// max(0, |a - p| - |a - n| + margin) for the norms (sum |x|^p + eps)^(1/p)
// along `axis`.
array triplet_loss(const array& anchors,
                   const array& positives,
                   const array& negatives,
                   int axis = -1,
                   double p = 2,
                   double margin = 1,
                   double eps = 1e-6,
                   Reduction reduction = {});

// x1 . x2 / max(|x1| |x2|, eps) along `axis`: 1 for the same direction, as in
// MLX, where this is called a loss. Gradients are finite at vectors of zeros.
array cosine_similarity_loss(const array& x1,
                             const array& x2,
                             int axis = 1,
                             double eps = 1e-8,
                             Reduction reduction = {});

// max(0, margin - targets (inputs1 - inputs2)); targets are -1 or 1. Equal
// shapes.
array margin_ranking_loss(const array& inputs1,
                          const array& inputs2,
                          const array& targets,
                          double margin = 0,
                          Reduction reduction = {});

}  // namespace treadle::nn
