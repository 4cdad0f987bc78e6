#include "treadle/ops/depends.h"

#include "treadle/graph/op.h"

namespace treadle {

namespace {

// The first input, which waits for the others.
struct Depends : OpBase<Depends, OpKind::view> {
  static constexpr std::string_view op_name = "depends";
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays jvp(const Arrays&,
             const Arrays&,
             const Arrays& t,
             Argnums args) const override {
    return {args[0] == 0 ? t[0] : array()};
  }
  Arrays vjp(const Arrays&,
             const Arrays&,
             const Arrays& ct,
             Argnums args) const override {
    Arrays out(args.size());
    if (args[0] == 0) out[0] = ct[0];
    return out;
  }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    return {{record(static_op<Depends>(), x, resolve({}))}, {axes[0]}};
  }
  bool view(const Spec&,
            const Layout& layout,
            const Spec&,
            Layout* result) const override {
    *result = layout;
    return true;
  }
  bool keeps_contiguous() const override { return true; }
};

}  // namespace

Arrays depends(const Arrays& x, const Arrays& dependencies, StreamOrDevice s) {
  Arrays out;
  for (const array& a : x) {
    Arrays in{a};
    in.insert(in.end(), dependencies.begin(), dependencies.end());
    out.push_back(record(static_op<Depends>(), in, resolve(s)));
  }
  return out;
}

}  // namespace treadle
