#include "treadle/graph/op.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/array.h"

namespace treadle {

bool Op::view(const Spec&, const Layout&, const Spec&, Layout*) const {
  return false;
}

Arrays Op::expand(const Arrays&) const {
  throw std::logic_error("[" + std::string(name()) + "] is not a composite");
}

Arrays not_differentiable(std::string_view op) {
  invalid(op,
          "has no derivative. Use stop_gradient on its input, or leave it "
          "out of the differentiated function.");
}

Mapped not_mappable(std::string_view op, std::string_view why) {
  invalid(op, fmt::format("cannot be vmapped: {}.", why));
}

namespace fields {

void hash(Hasher& h, const Scalar& v) {
  h.add(uint64_t(v.kind()));
  h.add(v.kind() <= Scalar::Kind::integer ? uint64_t(v.integer())
                                          : std::bit_cast<uint64_t>(v.real()));
  h.add(std::bit_cast<uint64_t>(v.imag()));
}

bool same(const Scalar& a, const Scalar& b) {
  return a.kind() == b.kind() && a.integer() == b.integer() &&
         std::bit_cast<uint64_t>(a.real()) ==
             std::bit_cast<uint64_t>(b.real()) &&
         std::bit_cast<uint64_t>(a.imag()) == std::bit_cast<uint64_t>(b.imag());
}

std::string text(bool v) { return v ? "true" : "false"; }
std::string text(int64_t v) { return fmt::format("{}", v); }
std::string text(double v) { return fmt::format("{}", v); }
std::string text(Dtype v) { return std::string(name_of(v)); }

}  // namespace fields

}  // namespace treadle
