// Hooks: functions that see, and may replace, what the modules of a model
// return while they are called.
//
//   nn::Capture outputs(model, "layers.*.attention");
//   model(x);
//   outputs["layers.0.attention"]  // of its last call
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "treadle/base/error.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// A module's call: names it for errors and plans, and shows hooks its result.
// Every layer of the library opens one, and so does nn::Unary for what it
// holds; a module of one's own that is called in another way needs it to be
// seen:
//
//   array operator()(const array& x) const {
//     const nn::Call call(*this);
//     return call(head(body(x)));
//   }
class Call {
 public:
  explicit Call(const Module& module);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  array operator()(array output) const;
  std::pair<array, array> operator()(std::pair<array, array> outputs) const;

 private:
  void show(Arrays& outputs) const;

  const Module& module_;
  const Call* outer_;
  bool seen_;  // the call around this one is of the same module
  ModuleScope scope_;
};

// Gets the path of the module, the module, and its results, which it may
// replace by others.
using Hook = std::function<void(
    const std::string& path, const Module& module, Arrays& outputs)>;

// In its scope, on its thread, `hook` is called after each call of a module
// below `model` (which is "" itself) whose path fits one of the patterns, with
// * (also over dots), ? and [...]. Only these very modules are watched, not
// their copies; none may be replaced or destroyed meanwhile. A pattern that
// fits no path throws std::invalid_argument. Compiled functions call their
// modules only while they are traced. Later hooks run after earlier ones.
class Hooks {
 public:
  Hooks(Module& model, Hook hook, std::vector<std::string> patterns = {"*"});
  ~Hooks();
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

 private:
  friend class Call;
  Hook hook_;
  std::unordered_map<const Module*, std::string> paths_;
};

// Keeps the outputs of modules while it lives.
class Capture {
 public:
  explicit Capture(Module& model, std::vector<std::string> patterns = {"*"});
  Capture(Module& model, const char* pattern)
      : Capture(model, std::vector<std::string>{pattern}) {}

  // The first result of the last call; throws std::out_of_range naming the
  // paths there are.
  const array& operator[](const std::string& path) const;
  // All calls in their order: path and results.
  const std::vector<std::pair<std::string, Arrays>>& calls() const {
    return calls_;
  }

 private:
  std::vector<std::pair<std::string, Arrays>> calls_;
  Hooks hooks_;
};

}  // namespace treadle::nn
