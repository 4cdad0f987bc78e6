// Shared: one module held at several places, which is how weights are tied.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Copies hold the same module: changing it here changes it there. That is so
// for the copy of a model as well, whose other weights are its own.
template <class M>
class Shared {
 public:
  Shared(M module) : module_(std::make_shared<M>(std::move(module))) {}

  template <class... Args>
  decltype(auto) operator()(Args&&... args) const {
    return std::as_const(*module_)(std::forward<Args>(args)...);
  }
  M& operator*() const { return *module_; }
  M* operator->() const { return module_.get(); }

  void accept(Visitor& v, std::string_view name) {
    v.on_shared(name, *module_);
  }

 private:
  std::shared_ptr<M> module_;
};

}  // namespace treadle::nn
