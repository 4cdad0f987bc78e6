// treadle._core._nn: attention between heads, and positions.
#include <string>
#include <variant>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include "treadle/nn/functional/attention.h"
#include "treadle/nn/functional/position.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

using MaskArgument = std::optional<std::variant<std::string, array>>;

nn::Mask to_mask(const MaskArgument& m) {
  if (!m) return {};
  const std::string* word = std::get_if<std::string>(&*m);
  return word ? nn::Mask(*word) : nn::Mask(std::get<array>(*m));
}

}  // namespace

void bind_nn_attention(nb::module_& m) {
  m.def(
      "multi_head_attention",
      [](const array& q,
         const array& k,
         const array& v,
         int num_heads,
         const MaskArgument& mask) {
        return wrap(
            nn::multi_head_attention(q, k, v, num_heads, to_mask(mask)));
      },
      "q"_a,
      "k"_a,
      "v"_a,
      "num_heads"_a,
      "mask"_a = nb::none(),
      "Attention of num_heads heads that lie side by side in the last axis: q "
      "(B, T, C), k (B, S, C), v (B, S, E) -> (B, T, E).");
  m.def(
      "additive_causal_mask",
      [](int n, Dtype dtype) {
        return wrap(nn::additive_causal_mask(n, dtype));
      },
      "n"_a,
      "dtype"_a,
      "0 where a key is seen, the lowest finite number where it lies ahead.");
  m.def(
      "sinusoidal_frequencies",
      [](int dims, double low, double high, bool turns) {
        return wrap(nn::sinusoidal_frequencies(dims, low, high, turns));
      },
      "dims"_a,
      "min_freq"_a = 1e-4,
      "max_freq"_a = 1.0,
      "full_turns"_a = false,
      "Frequencies falling geometrically from max_freq to min_freq.");
  m.def(
      "sinusoidal_encoding",
      [](const Operand& x, const array& f, double scale, bool cos_first) {
        return wrap(nn::sinusoidal_encoding(x.to_array(), f, scale, cos_first));
      },
      "x"_a,
      "frequencies"_a,
      "scale"_a,
      "cos_first"_a = false,
      "Sines and cosines of x times each frequency, along a new last axis.");
  m.def(
      "alibi_slopes",
      [](int heads, Dtype dtype) {
        return wrap(nn::alibi_slopes(heads, dtype));
      },
      "num_heads"_a,
      "dtype"_a,
      "How fast the scores of each head fall, (heads, 1, 1).");
  m.def(
      "alibi_matrix",
      [](int queries, int keys, int heads, int offset, Dtype dtype) {
        return wrap(nn::alibi_matrix(queries, keys, heads, offset, dtype));
      },
      "queries"_a,
      "keys"_a,
      "num_heads"_a,
      "offset"_a,
      "dtype"_a,
      "Minus slope times distance, (1, heads, queries - offset, keys).");
  m.def(
      "alibi",
      [](const array& scores, int offset, const array* mask) {
        return wrap(nn::alibi(scores, offset, mask ? *mask : array()));
      },
      "scores"_a,
      "offset"_a = 0,
      "mask"_a.none() = nb::none(),
      "Scores (B, H, T, S) plus that matrix and a mask.");
}

}  // namespace treadle::python
