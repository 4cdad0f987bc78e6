#include "treadle/nn/modules/unary.h"

#include "treadle/base/error.h"
#include "treadle/nn/modules/hooks.h"

namespace treadle::nn {

namespace {

struct Function : Module {
  explicit Function(array (*f)(const array&)) : function(f) {}
  array (*function)(const array&);
  TREADLE_MODULE(Function)
  array operator()(const array& x) const { return function(x); }
};

}  // namespace

Unary::Unary(array (*function)(const array&)) : Unary(Function(function)) {}

array Unary::operator()(const array& x) const {
  const Call call(module());
  return call(held_->call(x));
}

Module& Unary::module() const {
  if (!held_)
    invalid("Unary",
            "no layer has been put here; assign one, such as nn::Linear.");
  return held_->module();
}

void Unary::wrong_type() const {
  invalid("Unary",
          "the layer here is " +
              (held_ ? "a " + std::string(held_->module().type_name())
                     : std::string("empty")) +
              ", not of the type asked for; try_as() gives null instead.");
}

void Visitor::on_unary(std::string_view name, Unary& place) {
  on_module(name, place.module());
}

}  // namespace treadle::nn
