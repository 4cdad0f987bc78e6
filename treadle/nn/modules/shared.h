// Shared: one module held at several places, which is how weights are tied.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// A place of a shared module, whatever its type.
class SharedPlace {
 public:
  SharedPlace(const SharedPlace& o);
  SharedPlace(SharedPlace&&) = default;
  SharedPlace& operator=(const SharedPlace& o);
  SharedPlace& operator=(SharedPlace&&) = default;

  Module& module() const { return *module_; }
  std::shared_ptr<Module> copy_of_module() const { return copy_(*module_); }

 protected:
  using Copy = std::shared_ptr<Module> (*)(const Module&);
  SharedPlace(std::shared_ptr<Module> module, Copy copy)
      : module_(std::move(module)), copy_(copy) {}
  ~SharedPlace() = default;

 private:
  std::shared_ptr<Module> module_;
  Copy copy_;
};

// Copying a Shared ties: the copy holds the same module, changing it here
// changes it there. Copying a model that has one does not: all its places hold
// one new module, which the original has no part in.
template <class M>
class Shared : public SharedPlace {
 public:
  Shared(M module)
      : SharedPlace(std::make_shared<M>(std::move(module)),
                    [](const Module& m) -> std::shared_ptr<Module> {
                      return std::make_shared<M>(static_cast<const M&>(m));
                    }) {}

  template <class... Args>
  decltype(auto) operator()(Args&&... args) const {
    return std::as_const(**this)(std::forward<Args>(args)...);
  }
  M& operator*() const { return static_cast<M&>(module()); }
  M* operator->() const { return &**this; }

  void accept(Visitor& v, std::string_view name) {
    v.on_shared_place(name, *this);
  }
};

}  // namespace treadle::nn
