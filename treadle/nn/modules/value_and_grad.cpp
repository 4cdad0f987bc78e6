#include "treadle/nn/modules/value_and_grad.h"

#include <numeric>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/transforms/autodiff.h"

namespace treadle::nn::detail {

namespace {

// Puts the model's own arrays back, however the function ends. Arrays that the
// function itself replaced (running statistics) are not among them.
class Restore {
 public:
  explicit Restore(std::vector<array*> slots) : slots_(std::move(slots)) {
    for (array* a : slots_) original_.push_back(*a);
  }
  ~Restore() {
    for (size_t i = 0; i < slots_.size(); ++i) *slots_[i] = original_[i];
  }
  const Arrays& original() const { return original_; }

 private:
  std::vector<array*> slots_;
  Arrays original_;
};

void check_differentiable(Module& model, const Arrays& parameters) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (is_inexact(parameters[i].dtype())) continue;
    std::string path = model.trainable_parameters().flatten()[i].first;
    invalid("value_and_grad",
            fmt::format("parameter '{}' is {}, which has no gradient; "
                        "freeze it.",
                        path,
                        to_string(parameters[i].spec())));
  }
}

}  // namespace

std::pair<Arrays, Tree> value_and_grad(Module& model,
                                       const std::function<Arrays()>& f) {
  std::vector<array*> slots = model.trainable_slots();
  Tree form = model.trainable_parameters();
  Restore restore(slots);
  check_differentiable(model, restore.original());

  std::vector<int> argnums(slots.size());
  std::iota(argnums.begin(), argnums.end(), 0);
  auto [values, gradients] = treadle::value_and_grad(
      [&](const Arrays& tracers) {
        for (size_t i = 0; i < slots.size(); ++i) *slots[i] = tracers[i];
        return f();
      },
      argnums)(restore.original());
  return {std::move(values), form.with_leaves(gradients)};
}

}  // namespace treadle::nn::detail
