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
// targets: class indices, of the shape of logits without `axis`, in [0, C); or
// a probability for each class, of the shape of logits, then the second term is
// sum_c targets_c logits_c. Smoothing by s moves the share s of the target to
// all classes evenly. Result: the shape of logits without `axis`, or a scalar;
// the dtype of logits. Throws std::invalid_argument when shapes do not match.
array cross_entropy(const array& logits,
                    const array& targets,
                    const CrossEntropyOptions& options = {});

// (predictions - targets)^2; the shapes must be equal.
array mse_loss(const array& predictions,
               const array& targets,
               Reduction reduction = {});

}  // namespace treadle::nn
