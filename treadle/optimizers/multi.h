// MultiOptimizer: several optimizers, each for a part of the parameters.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "treadle/optimizers/optimizer.h"

namespace treadle::optimizers {

class MultiOptimizer : public Optimizer {
 public:
  using Part = std::shared_ptr<Optimizer>;
  using Filter = std::function<bool(const std::string& path, const array&)>;

  // Not copied: a copy would move the same parts.
  MultiOptimizer(const MultiOptimizer&) = delete;
  MultiOptimizer& operator=(const MultiOptimizer&) = delete;
  MultiOptimizer(MultiOptimizer&&) = default;
  MultiOptimizer& operator=(MultiOptimizer&&) = default;
  ~MultiOptimizer() override = default;

  // Each parameter goes to the first optimizer whose filter accepts it; the
  // last optimizer has no filter and takes the rest.
  explicit MultiOptimizer(std::vector<Part> optimizers,
                          std::vector<Filter> filters = {});

  // Each parameter goes to the optimizer whose key is the longest among those
  // that are its path or a beginning of it, such as "encoder" or "layers.0"; a
  // key may hold * and ?, and "*" or "default" takes the rest. Throws
  // std::invalid_argument, listing them, when parameters match no key, and for
  // a key without parameters.
  MultiOptimizer(std::vector<std::pair<std::string, Part>> by_path,
                 const Tree& parameters);

  Tree apply_gradients(const Tree& gradients, const Tree& parameters) override;
  void init(const Tree& parameters) override;
  // {"states": a list of those of the optimizers}
  const Tree& state() const override;
  void set_state(Tree state) override;
  // Those of the first optimizer; setting a rate sets it for all.
  const array& step() const override { return optimizers_[0]->step(); }
  const array& learning_rate() const override {
    return optimizers_[0]->learning_rate();
  }
  void set_learning_rate(const Rate& rate) override;
  // Throws std::invalid_argument: groups belong to the optimizers.
  Optimizer& add_group(std::string paths, Group values) override;

  const std::vector<Part>& optimizers() const { return optimizers_; }
  // The keys; "0", "1", ... for a list.
  const std::vector<std::string>& names() const { return names_; }

 private:
  Tree init_single(const array&) const override;
  array apply_single(const array&, const array& w, Tree&) override;
  // Which optimizer takes each leaf of the tree.
  std::vector<size_t> owners(const Tree& tree) const;

  std::vector<Part> optimizers_;
  std::vector<std::string> names_;
  std::function<std::optional<size_t>(const std::string&, const array&)> owner_;
  mutable Tree states_;
};

}  // namespace treadle::optimizers
