#include "treadle/nn/modules/module.h"

#include <algorithm>
#include <ostream>
#include <set>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"
#include "treadle/io/gguf.h"
#include "treadle/io/npz.h"
#include "treadle/io/safetensors.h"
#include "treadle/nn/modules/embedding.h"
#include "treadle/nn/modules/torch_weights.h"
#include "treadle/nn/modules/unary.h"
#include "treadle/nn/modules/walk.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

using Named = std::vector<std::pair<std::string, Module*>>;

// "parameters" methods are const for their callers but hand out nothing to
// write with; visit() serves readers and writers alike.
Module& writable(const Module& m) { return const_cast<Module&>(m); }

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

void list_leaves(Module& m, const std::string& prefix, Named& out) {
  for (auto& [name, child] : m.named_children()) {
    std::string path = joined(prefix, name);
    if (child->named_children().empty()) {
      out.emplace_back(path, child);
    } else {
      list_leaves(*child, path, out);
    }
  }
}

std::string indented(const std::string& text) {
  std::string out = "  ";
  for (char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

std::string listed(std::string_view what,
                   const std::vector<std::string>& names) {
  return names.empty()
             ? ""
             : fmt::format(
                   " {} {}: {}.", names.size(), what, fmt::join(names, ", "));
}

// Where each array of a model is. Paths of shared modules lead to one array.
std::unordered_map<std::string, array*> places(Module& m) {
  Collected c = collect(m, Select::all);
  std::unordered_map<std::string, array*> at;
  auto flat = c.tree.flatten();
  for (size_t i = 0; i < flat.size(); ++i)
    at.emplace(std::move(flat[i].first), c.slots[i]);
  return at;
}

}  // namespace

Module::Module(const Module& o) : state_(o.state_) {
  prepare_copies_of_shared(o);
}

Module& Module::operator=(const Module& o) {
  if (this == &o) return *this;
  state_ = o.state_;
  prepare_copies_of_shared(o);
  return *this;
}

Tree Module::parameters() const {
  return collect(writable(*this), Select::all).tree;
}

Tree Module::trainable_parameters() const {
  return collect(writable(*this), Select::trainable).tree;
}

std::vector<array*> Module::slots() {
  return collect_slots(*this, Select::all);
}
std::vector<array*> Module::trainable_slots() {
  return collect_slots(*this, Select::trainable);
}

Module& Module::update(const Tree& parameters, bool strict) {
  // The usual case, after a training step: no path needs to be looked up.
  Collected own = collect(*this, Select::trainable);
  if (!own.tree.same_structure(parameters))
    return update(parameters.flatten(), strict);
  Arrays values = parameters.leaves();
  for (size_t i = 0; strict && i < values.size(); ++i) {
    if (values[i].shape() != own.slots[i]->shape()) {
      return update(parameters.flatten(), strict);  // which names the path
    }
  }
  for (size_t i = 0; i < values.size(); ++i)
    *own.slots[i] = std::move(values[i]);
  return *this;
}

Module& Module::update(const NamedArrays& parameters, bool strict) {
  auto at = places(*this);
  if (strict) {
    for (const auto& [path, value] : parameters) {
      auto found = at.find(path);
      if (found == at.end()) {
        invalid("update",
                fmt::format("the model has no parameter '{}'; got {} for it.",
                            path,
                            treadle::to_string(value.spec())));
      }
      const Shape& expected = found->second->shape();
      if (value.shape() != expected) {
        invalid("update",
                fmt::format("'{}' has shape {}; the model's has {}.",
                            path,
                            treadle::to_string(value.shape()),
                            treadle::to_string(expected)));
      }
    }
  }
  for (const auto& [path, value] : parameters) {
    auto found = at.find(path);
    if (found != at.end()) *found->second = value;
  }
  return strict ? *this : remember_paths();  // labels show shapes
}

Module& Module::apply(const std::function<array(const array&)>& f) {
  Collected c = collect(*this, Select::all);
  auto flat = c.tree.flatten();
  std::set<array*> done;  // a shared module's arrays are listed more than once
  for (size_t i = 0; i < c.slots.size(); ++i) {
    if (!done.insert(c.slots[i]).second) continue;
    ModuleScope scope(flat[i].first);
    *c.slots[i] = f(*c.slots[i]);
  }
  return *this;
}

Module& Module::set_dtype(Dtype dtype) {
  return apply([&](const array& x) {
    return is_floating(x.dtype()) ? astype(x, dtype) : x;
  });
}

bool Module::is_frozen(std::string_view key) const {
  return always_frozen(key) ||
         std::find(state_.frozen.begin(), state_.frozen.end(), key) !=
             state_.frozen.end();
}

namespace {

// The modules that freeze and unfreeze act on, after checking the keys.
std::vector<Module*> affected(Module& m,
                              const FreezeOptions& o,
                              std::string_view op) {
  std::vector<Module*> modules;
  if (o.recurse) {
    for (auto& [path, module] : m.named_modules()) modules.push_back(module);
  } else {
    modules.push_back(&m);
  }
  if (!o.strict) return modules;
  for (const std::string& key : o.keys) {
    bool known =
        std::any_of(modules.begin(), modules.end(), [&](Module* module) {
          auto names = member_names(*module);
          return std::find(names.begin(), names.end(), key) != names.end();
        });
    if (!known) invalid(op, fmt::format("no module has a member '{}'.", key));
  }
  return modules;
}

}  // namespace

Module& Module::freeze(const FreezeOptions& o) {
  for (Module* m : affected(*this, o, "freeze")) {
    for (const std::string& key :
         o.keys.empty() ? own_array_keys(*m) : o.keys) {
      if (std::find(m->state_.frozen.begin(), m->state_.frozen.end(), key) ==
          m->state_.frozen.end()) {
        m->state_.frozen.push_back(key);
      }
    }
  }
  return *this;
}

Module& Module::unfreeze(const FreezeOptions& o) {
  for (Module* m : affected(*this, o, "unfreeze")) {
    if (o.keys.empty()) m->state_.frozen.clear();
    for (const std::string& key : o.keys) std::erase(m->state_.frozen, key);
  }
  return *this;
}

Module& Module::train(bool mode) {
  for (auto& [path, m] : named_modules()) m->state_.training = mode;
  return remember_paths();
}

Named Module::named_children() { return children_of(*this); }

Named Module::named_modules() {
  Named out, stack{{"", this}};
  while (!stack.empty()) {
    auto [path, m] = std::move(stack.back());
    stack.pop_back();
    out.emplace_back(path, m);
    for (auto& [name, child] : m->named_children()) {
      stack.emplace_back(joined(path, name), child);
    }
  }
  return out;
}

Named Module::named_leaf_modules() {
  Named out;
  list_leaves(*this, "", out);
  return out;
}

Module& Module::apply_to_modules(
    const std::function<void(const std::string&, Module&)>& f) {
  for (auto& [path, m] : named_modules()) f(path, *m);
  return *this;
}

namespace {

[[noreturn]] void no_such_place(const Module& m, std::string_view path) {
  invalid("replace",
          fmt::format("'{}' names no layer in this {} that the given one can "
                      "take the place of.",
                      path,
                      m.type_name()));
}

}  // namespace

Module& Module::replace(std::string_view path, Unary with) {
  Unary* place = find_place(*this, path).unary;
  if (!place) no_such_place(*this, path);
  *place = std::move(with);
  return remember_paths();
}

Module& Module::replace_by(std::string_view path, Replacement& with) {
  const FoundPlace at = find_place(*this, path);
  const bool done = at.unary       ? with.put(*at.unary)
                    : at.embedding ? with.put(*at.embedding)
                    : at.module    ? with.put(*at.module)
                                   : false;
  if (!done) no_such_place(*this, path);
  return remember_paths();
}

void Module::save_weights(const std::string& path) const {
  if (path.ends_with(".npz")) return save_npz(path, parameters().flatten());
  if (!path.ends_with(".safetensors")) {
    invalid("save_weights",
            fmt::format("'{}' has an ending that is not known; expected "
                        ".safetensors or .npz.",
                        path));
  }
  save_safetensors(path, parameters().flatten());
}

Module& Module::load_weights(const std::string& path, bool strict) {
  if (path.ends_with(".gguf")) {
    return load_weights(load_gguf(path).tensors, strict);
  }
  if (path.ends_with(".npz")) return load_weights(load_npz(path), strict);
  if (!path.ends_with(".safetensors")) {
    invalid("load_weights",
            fmt::format("'{}' has an ending that is not known; expected "
                        ".safetensors, .npz or .gguf.",
                        path));
  }
  return load_weights(load_safetensors(path).tensors, strict);
}

Module& Module::load_weights(const NamedArrays& weights, bool strict) {
  if (!strict) return update(weights, false);
  auto at = places(*this);
  std::set<std::string> given;
  std::vector<std::string> extra, missing, misshapen;
  for (const auto& [name, value] : weights) {
    given.insert(name);
    auto found = at.find(name);
    if (found == at.end()) {
      extra.push_back(name);
    } else if (value.shape() != found->second->shape()) {
      misshapen.push_back(
          fmt::format("{} is {}, the model's {}",
                      name,
                      treadle::to_string(value.shape()),
                      treadle::to_string(found->second->shape())));
    }
  }
  for (const auto& [name, value] : parameters().flatten()) {
    if (!given.count(name)) missing.push_back(name);
  }
  if (!extra.empty() || !missing.empty() || !misshapen.empty()) {
    invalid("load_weights",
            fmt::format("the weights do not fit the model.{}{}{}",
                        listed("not in the model", extra),
                        listed("missing", missing),
                        listed("of another shape", misshapen)));
  }
  return update(weights, false);
}

Module& Module::load_torch_state_dict(const NamedArrays& state_dict,
                                      bool strict) {
  return load_weights(from_torch(*this, state_dict, strict), strict);
}

std::string Module::to_string() const {
  std::string out = fmt::format("{}({}", type_name(), extra_repr());
  Named children = writable(*this).named_children();
  for (const auto& [name, child] : children) {
    out += "\n" + indented(fmt::format("({}): {}", name, child->to_string()));
  }
  return out + (children.empty() ? ")" : "\n)");
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  return out << module.to_string();
}

namespace {

std::string label_of(const Module& m, const std::string& path) {
  std::string what(m.type_name());
  if (std::string b = m.brief(); !b.empty()) what += " " + b;
  return path.empty() ? what : path + " (" + what + ")";
}

}  // namespace

Module& Module::remember_paths() {
  for (auto& [path, m] : named_modules()) {
    // This module's own path is for its holder to say.
    if (m != this) m->state_.path = joined(state_.path, path);
    m->state_.label =
        std::make_shared<const std::string>(label_of(*m, m->state_.path));
  }
  return *this;
}

std::shared_ptr<const std::string> Module::label() const {
  return state_.label ? state_.label
                      : std::make_shared<const std::string>(
                            label_of(*this, state_.path));
}

CapturedState captured(Module& module) {
  auto get = [&module] {
    Arrays out;
    for (array* a : module.slots()) out.push_back(*a);
    return out;
  };
  auto set = [&module](const Arrays& values) {
    std::vector<array*> slots = module.slots();
    if (slots.size() != values.size()) {
      invalid("compile",
              fmt::format("the model has {} arrays, it had {} when it was "
                          "captured.",
                          slots.size(),
                          values.size()));
    }
    for (size_t i = 0; i < slots.size(); ++i) *slots[i] = values[i];
  };
  return {get, set};
}

}  // namespace treadle::nn
