#include "treadle/nn/modules/walk.h"

#include <unordered_set>

#include "treadle/nn/modules/embedding.h"
#include "treadle/nn/modules/unary.h"

namespace treadle::nn {

namespace detail {

std::string_view next_name(std::string_view& names) {
  size_t end = std::min(names.find(','), names.size());
  std::string_view name = names.substr(0, end);
  names.remove_prefix(std::min(end + 1, names.size()));
  while (name.starts_with(' ')) name.remove_prefix(1);
  while (name.ends_with(' ')) name.remove_suffix(1);
  if (name.ends_with('_')) name.remove_suffix(1);
  return name;
}

}  // namespace detail

namespace {

// Keeps the key of the member being visited, "layers.0.1" inside nested
// containers, relative to the module that owns it.
class KeyVisitor : public Visitor {
 public:
  void open(std::string_view name, Tree::Kind) override {
    sizes_.push_back(prefix_.size());
    prefix_ = key(name);
  }
  void close() override {
    prefix_.resize(sizes_.back());
    sizes_.pop_back();
  }

 protected:
  std::string key(std::string_view name) const {
    return prefix_.empty() ? std::string(name)
                           : prefix_ + "." + std::string(name);
  }

 private:
  std::string prefix_;
  std::vector<size_t> sizes_;
};

class Collector final : public Visitor {
 public:
  Collector(Select select, bool with_tree)
      : trainable_(select == Select::trainable), with_tree_(with_tree) {}

  Collected run(Module& m) {
    frames_.push_back({Tree::map(), "", "", &m, false});
    m.visit(*this);
    return {std::move(frames_.back().tree), std::move(slots_)};
  }

  void on_array(std::string_view name, array& value) override {
    if (skipping_) return;
    if (value.null() || !wanted(name)) return leave_out(name);
    slots_.push_back(&value);
    if (with_tree_) put(name, Tree(value));
  }

  void on_module(std::string_view name, Module& m) override {
    if (skipping_) return;
    if (!wanted(name)) return leave_out(name);
    frames_.push_back({Tree::map(), std::string(name), "", &m, false});
    m.visit(*this);
    pop();
  }

  void on_shared(std::string_view name, Module& m) override {
    if (skipping_) return;
    bool again = !shared_.insert(&m).second;
    if (trainable_ && again) return leave_out(name);
    on_module(name, m);
  }

  void open(std::string_view name, Tree::Kind kind) override {
    if (skipping_) {
      ++skipping_;
    } else if (!wanted(name)) {
      leave_out(name);
      skipping_ = 1;
    } else {
      Tree t = kind == Tree::Kind::map    ? Tree::map()
               : kind == Tree::Kind::list ? Tree::list()
                                          : Tree::tuple();
      frames_.push_back({std::move(t),
                         std::string(name),
                         key(name),
                         frames_.back().owner,
                         true});
    }
  }

  void close() override {
    if (skipping_) {
      --skipping_;
    } else {
      pop();
    }
  }

 private:
  struct Frame {
    Tree tree;
    std::string name;  // in the frame outside
    std::string key;   // of a container: relative to its owner
    Module* owner;
    bool container;
  };

  std::string key(std::string_view name) const {
    const std::string& prefix = frames_.back().key;
    return prefix.empty() ? std::string(name)
                          : prefix + "." + std::string(name);
  }
  bool wanted(std::string_view name) const {
    const Frame& f = frames_.back();
    return !trainable_ || !(f.container ? f.owner->is_frozen(key(name))
                                        : f.owner->is_frozen(name));
  }
  void put(std::string_view name, Tree t) {
    if (!with_tree_) return;
    Tree& into = frames_.back().tree;
    if (into.is_map()) {
      into[name] = std::move(t);
    } else {
      into.push_back(std::move(t));
    }
  }
  // A member is simply not there; an item leaves {} so that others keep their
  // place.
  void leave_out(std::string_view name) {
    if (frames_.back().container) put(name, Tree::map());
  }
  void pop() {
    Frame f = std::move(frames_.back());
    frames_.pop_back();
    put(f.name, std::move(f.tree));
  }

  bool trainable_, with_tree_;
  int skipping_ = 0;  // open containers inside one that is left out
  std::vector<Frame> frames_;
  std::vector<array*> slots_;
  std::unordered_set<Module*> shared_;
};

class ChildLister final : public KeyVisitor {
 public:
  void on_array(std::string_view, array&) override {}
  void on_module(std::string_view name, Module& m) override {
    out.emplace_back(key(name), &m);
  }
  std::vector<std::pair<std::string, Module*>> out;
};

class KeyLister final : public KeyVisitor {
 public:
  void on_array(std::string_view name, array& value) override {
    if (!value.null()) out.push_back(key(name));
  }
  void on_module(std::string_view, Module&) override {}
  std::vector<std::string> out;
};

class NameLister final : public KeyVisitor {
 public:
  void on_array(std::string_view name, array& value) override {
    if (!value.null()) out.push_back(key(name));
  }
  void on_module(std::string_view name, Module&) override {
    out.push_back(key(name));
  }
  void open(std::string_view name, Tree::Kind kind) override {
    out.push_back(key(name));
    KeyVisitor::open(name, kind);
  }
  std::vector<std::string> out;
};

class PlaceFinder final : public KeyVisitor {
 public:
  explicit PlaceFinder(std::string_view path) : path_(path) {}
  void on_array(std::string_view, array&) override {}
  void on_module(std::string_view name, Module& m) override {
    if (key(name) == path_) {
      found.module = &m;
    } else {
      look_into(name, m);
    }
  }
  void on_unary(std::string_view name, Unary& place) override {
    if (key(name) == path_) {
      found.unary = &place;
    } else {
      look_into(name, place.module());
    }
  }
  void on_embedding(std::string_view name, AnyEmbedding& place) override {
    if (key(name) == path_) {
      found.embedding = &place;
    } else {
      look_into(name, place.module());
    }
  }
  FoundPlace found;

 private:
  void look_into(std::string_view name, Module& m) {
    const std::string k = key(name);
    if (!path_.starts_with(k + ".")) return;
    PlaceFinder inside(path_.substr(k.size() + 1));
    m.visit(inside);
    found = inside.found;
  }

  std::string_view path_;
};

}  // namespace

Collected collect(Module& m, Select select) {
  return Collector(select, true).run(m);
}

std::vector<array*> collect_slots(Module& m, Select select) {
  return Collector(select, false).run(m).slots;
}

std::vector<std::pair<std::string, Module*>> children_of(Module& m) {
  ChildLister v;
  m.visit(v);
  return std::move(v.out);
}

std::vector<std::string> own_array_keys(Module& m) {
  KeyLister v;
  m.visit(v);
  return std::move(v.out);
}

std::vector<std::string> member_names(Module& m) {
  NameLister v;
  m.visit(v);
  return std::move(v.out);
}

FoundPlace find_place(Module& m, std::string_view path) {
  PlaceFinder v(path);
  m.visit(v);
  return v.found;
}

}  // namespace treadle::nn
