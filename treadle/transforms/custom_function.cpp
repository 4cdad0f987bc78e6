#include "treadle/transforms/custom_function.h"

#include <memory>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

void check_results(const char* rule,
                   const Arrays& got,
                   const Arrays& like,
                   const char* what) {
  if (got.size() != like.size()) {
    invalid("custom_function",
            fmt::format("{} returned {} arrays; expected one for each of the "
                        "{} {}.",
                        rule,
                        got.size(),
                        like.size(),
                        what));
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (!got[i].null() && got[i].shape() != like[i].shape()) {
      invalid("custom_function",
              fmt::format("{} returned an array of shape {} for number {} of "
                          "the {}; expected {}.",
                          rule,
                          to_string(got[i].shape()),
                          i,
                          what,
                          to_string(like[i].shape())));
    }
  }
}

// Stands behind a function's results. Inputs: the primals, then the results,
// which it passes on; a walk that meets it asks the user's rule, or goes on
// into the results.
struct Custom : Composite<Custom> {
  static constexpr std::string_view op_name = "custom_function";
  std::weak_ptr<const CustomRules> rules;  // kept by the open traces
  size_t num_primals = 0;

  auto fields() const { return std::tie(num_primals); }

  Specs infer(std::span<const Spec> in) const override {
    return {in.begin() + long(num_primals), in.end()};
  }
  Arrays expand(const Arrays& x) const override {
    return {x.begin() + long(num_primals), x.end()};
  }

  // The rules, or null when the function has none of this kind.
  template <class Rule>
  std::shared_ptr<const CustomRules> having(Rule CustomRules::*rule) const {
    auto r = rules.lock();
    return r && (*r).*rule ? r : nullptr;
  }
  static Arrays primals_of(const Arrays& x, size_t count) {
    return {x.begin(), x.begin() + long(count)};
  }

  Arrays jvp(const Arrays& x,
             const Arrays& y,
             const Arrays& t,
             Argnums args) const override {
    Arrays out(y.size()), tangents(num_primals);
    const auto own = having(&CustomRules::jvp);
    bool any = false;
    for (size_t i = 0; i < args.size(); ++i) {
      const size_t arg = size_t(args[i]);
      if (arg < num_primals) {
        tangents[arg] = t[i];
        any = any || !t[i].null();
      } else if (!own) {
        out[arg - num_primals] = t[i];
      }
    }
    if (!own || !any) return out;
    out = own->jvp(primals_of(x, num_primals), tangents);
    check_results("jvp", out, y, "outputs");
    return out;
  }

  Arrays vjp(const Arrays& x,
             const Arrays& y,
             const Arrays& ct,
             Argnums args) const override {
    const auto own = having(&CustomRules::vjp);
    Arrays g;
    if (own && size_t(args[0]) < num_primals) {
      Arrays cotangents = ct;
      for (size_t i = 0; i < y.size(); ++i) {
        if (cotangents[i].null()) cotangents[i] = zeros_like(y[i]);
      }
      const Arrays primals = primals_of(x, num_primals);
      g = own->vjp(primals, cotangents, y);
      check_results("vjp", g, primals, "primals");
    }
    Arrays out;
    for (int arg : args) {
      const bool primal = size_t(arg) < num_primals;
      if (primal) {
        out.push_back(own ? g[size_t(arg)] : array());
      } else {
        out.push_back(own ? array() : ct[size_t(arg) - num_primals]);
      }
    }
    return out;
  }

  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    const auto own = having(&CustomRules::vmap);
    if (!own) {
      return {expand(x), {axes.begin() + long(num_primals), axes.end()}};
    }
    Mapped m = own->vmap(primals_of(x, num_primals),
                         {axes.begin(), axes.begin() + long(num_primals)});
    const size_t expected = x.size() - num_primals;
    if (m.outputs.size() != expected || m.axes.size() != expected) {
      invalid("custom_function",
              fmt::format("vmap returned {} arrays and {} axes; expected {} of "
                          "each.",
                          m.outputs.size(),
                          m.axes.size(),
                          expected));
    }
    return m;
  }
};

}  // namespace

std::optional<CustomParts> custom_function_of(const Op& op) {
  const Custom* c = as<Custom>(op);
  auto rules = c ? c->rules.lock() : nullptr;
  if (!rules) return {};
  return CustomParts{std::move(rules), c->num_primals};
}

ArraysFn custom_function(ArraysFn f, CustomRules rules) {
  auto shared = std::make_shared<const CustomRules>(std::move(rules));
  return [f = std::move(f), shared](const Arrays& args) {
    // Without a trace there is nothing that could ask for a rule.
    if (!Trace::any_open()) return f(args);
    // On identities, so that an array given twice counts as two primals.
    Arrays in = identities(args);
    const Arrays results = f(in);
    Custom op;
    op.rules = shared;
    op.num_primals = in.size();
    Trace::hold(shared);
    in.insert(in.end(), results.begin(), results.end());
    return record_all(make_op(std::move(op)), std::move(in), resolve({}));
  };
}

}  // namespace treadle
