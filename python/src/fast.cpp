// treadle.core.fast: operations with kernels of their own.
#include <optional>
#include <string>
#include <variant>

#include <nanobind/stl/variant.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/cross_entropy.h"
#include "treadle/ops/gated_delta.h"
#include "treadle/ops/norms.h"
#include "treadle/ops/rope.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;
using Optional = std::optional<array>;

array or_null(const Optional& x) { return x.value_or(array()); }

void bind_norms(nb::module_& f) {
  f.def(
      "rms_norm",
      [](const array& x, const Optional& weight, double eps, const S& s) {
        return wrap(fast::rms_norm(x, or_null(weight), eps, s));
      },
      nb::arg("x"),
      nb::arg("weight").none(),
      nb::arg("eps"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "x / sqrt(mean(x^2) + eps) weight, over the last axis.");
  f.def(
      "layer_norm",
      [](const array& x,
         const Optional& weight,
         const Optional& bias,
         double eps,
         const S& s) {
        return wrap(
            fast::layer_norm(x, or_null(weight), or_null(bias), eps, s));
      },
      nb::arg("x"),
      nb::arg("weight").none(),
      nb::arg("bias").none(),
      nb::arg("eps"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "(x - mean(x)) / sqrt(var(x) + eps) weight + bias, over the last axis.");
}

void bind_rope(nb::module_& f) {
  f.def(
      "rope",
      [](const array& a,
         int dims,
         bool traditional,
         std::optional<double> base,
         double scale,
         const Operand& offset,
         const Optional& freqs,
         const S& s) {
        return wrap(fast::rope(a,
                               dims,
                               traditional,
                               base,
                               scale,
                               offset.to_array(),
                               or_null(freqs),
                               s));
      },
      nb::arg("a"),
      nb::arg("dims"),
      nb::kw_only(),
      nb::arg("traditional"),
      nb::arg("base").none(),
      nb::arg("scale"),
      nb::arg("offset"),
      nb::arg("freqs") = nb::none(),
      nb::arg("stream") = nb::none(),
      "Rotary position embedding of (B, ..., T, D): pairs of the first dims "
      "features turn by (position + offset) scale base^(-2i / dims), or by "
      "(position + offset) scale / freqs[i].");
}

void bind_attention(nb::module_& f) {
  f.def(
      "scaled_dot_product_attention",
      [](const array& q,
         const array& k,
         const array& v,
         double scale,
         const std::variant<std::monostate, std::string, array>& mask,
         const Optional& sinks,
         bool force_fused,
         const S& s) {
        // The CPU's kernel takes every dtype that Python can name but float64.
        if (force_fused && (q.dtype() == float64 || k.dtype() == float64 ||
                            v.dtype() == float64 ||
                            resolve(s).device.type != Device::Type::cpu)) {
          invalid("scaled_dot_product_attention",
                  "force_fused: there is no fused kernel for float64 or off "
                  "the CPU.");
        }
        const auto* word = std::get_if<std::string>(&mask);
        const auto* values = std::get_if<array>(&mask);
        if (word && *word != "causal") {
          invalid(
              "scaled_dot_product_attention",
              "the mask is '" + *word + "'; expected 'causal' or an array.");
        }
        return wrap(
            fast::scaled_dot_product_attention(q,
                                               k,
                                               v,
                                               scale,
                                               word ? *word : "",
                                               values ? *values : array(),
                                               or_null(sinks),
                                               s));
      },
      nb::arg("q"),
      nb::arg("k"),
      nb::arg("v"),
      nb::kw_only(),
      nb::arg("scale"),
      nb::arg("mask") = nb::none(),
      nb::arg("sinks") = nb::none(),
      nb::arg("force_fused") = false,
      nb::arg("stream") = nb::none(),
      "softmax(scale q k' + mask) v for q (B, H, Tq, D), k and v (B, Hk, Tk, "
      "D); mask: 'causal', or an array that broadcasts to (B, H, Tq, Tk), "
      "boolean or added; sinks (H,): a further score of each row.");
}

}  // namespace

void bind_fast(nb::module_& m) {
  nb::module_ f =
      m.def_submodule("fast", "Operations with kernels of their own.");
  bind_norms(f);
  bind_rope(f);
  bind_attention(f);
  f.def(
      "cross_entropy",
      [](const array& logits, const array& targets, const S& s) {
        return wrap(fast::cross_entropy(logits, targets, 0, s));
      },
      nb::arg("logits"),
      nb::arg("targets"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "logsumexp(logits) - logits[target] over the last axis; float32.");
  f.def(
      "gated_delta_update",
      [](const array& q,
         const array& k,
         const array& v,
         const array& gamma,
         const array& beta,
         const Optional& state,
         const Optional& mask,
         const S& s) {
        auto [y, last] = fast::gated_delta_update(
            q, k, v, gamma, beta, or_null(state), or_null(mask), s);
        nb::list out;
        out.append(wrap(std::move(y)));
        out.append(wrap(std::move(last)));
        return out;
      },
      nb::arg("q"),
      nb::arg("k"),
      nb::arg("v"),
      nb::arg("gamma"),
      nb::arg("beta"),
      nb::arg("initial_state") = nb::none(),
      nb::arg("mask") = nb::none(),
      nb::arg("stream") = nb::none(),
      "The gated delta rule over time: S = gamma S, S += beta (v - S k) k', "
      "y = S q, for q and k (B, T, Hk, Dk), v (B, T, Hv, Dv), gamma and beta "
      "(B, T, Hv); returns y (B, T, Hv, Dv) and the last S (B, Hv, Dv, Dk).");
}

}  // namespace treadle::python
