#include "treadle/nn/modules/shared.h"

#include <unordered_map>

#include "treadle/nn/modules/walk.h"

namespace treadle::nn {

namespace {

// What the places of a model that is being copied will hold in its copy. The
// base of a model is copied before its members: there all its places are found,
// and each is looked up once when its own turn comes.
struct Pending {
  const Module* original;
  std::shared_ptr<Module> copy;
};
std::unordered_map<const SharedPlace*, Pending>& pending() {
  static thread_local std::unordered_map<const SharedPlace*, Pending> all;
  return all;
}

class PlaceLister final : public Visitor {
 public:
  void on_array(std::string_view, array&) override {}
  void on_module(std::string_view, Module& m) override { m.visit(*this); }
  void on_shared_place(std::string_view, SharedPlace& place) override {
    places.push_back(&place);
  }
  void open(std::string_view, Tree::Kind) override {}
  void close() override {}
  std::vector<SharedPlace*> places;
};

std::shared_ptr<Module> take_pending(const SharedPlace& place) {
  auto& all = pending();
  if (all.empty()) return nullptr;
  auto it = all.find(&place);
  if (it == all.end()) return nullptr;
  const Pending found = std::move(it->second);
  all.erase(it);
  return found.original == &place.module() ? found.copy : nullptr;
}

}  // namespace

void prepare_copies_of_shared(const Module& model) {
  PlaceLister v;
  const_cast<Module&>(model).visit(v);
  if (v.places.empty()) return;
  auto& all = pending();
  std::unordered_map<const Module*, std::shared_ptr<Module>> copies;
  for (const SharedPlace* place : v.places) {
    auto it = all.find(place);
    // A part of a model whose places are known already.
    if (it != all.end() && it->second.original == &place->module()) continue;
    auto& copy = copies[&place->module()];
    if (!copy) copy = place->copy_of_module();
    all[place] = {&place->module(), copy};
  }
}

SharedPlace::SharedPlace(const SharedPlace& o)
    : module_(take_pending(o)), copy_(o.copy_) {
  if (!module_) module_ = o.module_;
}

SharedPlace& SharedPlace::operator=(const SharedPlace& o) {
  if (this == &o) return *this;
  const std::shared_ptr<Module> copy = take_pending(o);
  module_ = copy ? copy : o.module_;
  copy_ = o.copy_;
  return *this;
}

void Visitor::on_shared_place(std::string_view name, SharedPlace& place) {
  on_shared(name, place.module());
}

}  // namespace treadle::nn
