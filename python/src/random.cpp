// Random numbers, and the default key.
#include "treadle/ops/random.h"

#include <nanobind/stl/variant.h>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

// random.state: a list of one element, the default key.
struct RandomState {};

int64_t only_element(int64_t i) {
  if (i != 0 && i != -1)
    out_of_range("random.state", "holds one key, at index 0.");
  return 0;
}

array key_or_default(const std::optional<array>& key) {
  return key.value_or(array());
}

}  // namespace

void bind_random(nb::module_& m) {
  nb::module_ r =
      m.def_submodule("random",
                      "Random numbers from explicit keys, or from a "
                      "default key that each draw replaces.");
  nb::class_<RandomState>(
      r, "RandomState", "A list of one element, the default key.")
      .def("__len__", [](const RandomState&) { return 1; })
      .def("__getitem__",
           [](const RandomState&, int64_t i) {
             only_element(i);
             return random_state();
           })
      .def("__setitem__",
           [](const RandomState&, int64_t i, const array& key) {
             only_element(i);
             set_random_state(key);
           })
      .def("__iter__",
           [](nb::handle) { return nb::iter(nb::make_tuple(random_state())); })
      .def("__repr__", [](const RandomState&) {
        return "[" + repr_of(random_state()) + "]";
      });
  r.attr("state") = nb::cast(RandomState{});

  auto shape = nb::arg("shape") = nb::tuple();
  auto key = nb::arg("key") = nb::none();
  auto stream = nb::arg("stream") = nb::none();
  using Key = std::optional<array>;
  using S = StreamOrDevice;
  r.def("seed",
        &random::seed,
        nb::arg("seed"),
        "Makes the default key key(seed).");
  r.def(
      "key",
      [](uint64_t seed) { return wrap(random::key(seed)); },
      nb::arg("seed"),
      "A key, uint32 (2,).");
  r.def(
      "split",
      [](const array& key, int num, const S& s) {
        return wrap(random::split(key, num, s));
      },
      nb::arg("key"),
      nb::arg("num") = 2,
      stream,
      "Independent keys from one: (num, 2).");
  r.def(
      "uniform",
      [](Operand& low,
         Operand& high,
         const Shape& shape,
         std::optional<Dtype> dtype,
         const Key& key,
         const S& s) {
        return wrap(random::uniform(
            low, high, shape, dtype.value_or(float32), key_or_default(key), s));
      },
      nb::arg("low") = 0,
      nb::arg("high") = 1,
      shape,
      nb::arg("dtype").none() = float32,
      key,
      stream,
      "Uniform in [low, high).");
  r.def(
      "normal",
      [](const Shape& shape,
         std::optional<Dtype> dtype,
         std::optional<Operand> loc,
         std::optional<Operand> scale,
         const Key& key,
         const S& s) {
        return wrap(random::normal(shape,
                                   dtype.value_or(float32),
                                   loc ? Term(*loc) : Term(0),
                                   scale ? Term(*scale) : Term(1),
                                   key_or_default(key),
                                   s));
      },
      shape,
      nb::arg("dtype").none() = float32,
      nb::arg("loc") = nb::none(),
      nb::arg("scale") = nb::none(),
      key,
      stream,
      "Normal with mean loc and standard deviation scale.");
  r.def(
      "truncated_normal",
      [](Operand& lower,
         Operand& upper,
         const std::optional<Shape>& shape,
         std::optional<Dtype> dtype,
         const Key& key,
         const S& s) {
        return wrap(random::truncated_normal(lower,
                                             upper,
                                             shape,
                                             dtype.value_or(float32),
                                             key_or_default(key),
                                             s));
      },
      nb::arg("lower"),
      nb::arg("upper"),
      nb::arg("shape") = nb::none(),
      nb::arg("dtype").none() = float32,
      key,
      stream,
      "Normal within [lower, upper], in standard deviations.");
  r.def(
      "randint",
      [](Operand& low,
         Operand& high,
         const Shape& shape,
         std::optional<Dtype> dtype,
         const Key& key,
         const S& s) {
        return wrap(random::randint(
            low, high, shape, dtype.value_or(int32), key_or_default(key), s));
      },
      nb::arg("low"),
      nb::arg("high"),
      shape,
      nb::arg("dtype").none() = int32,
      key,
      stream,
      "Integers in [low, high).");
  r.def(
      "bernoulli",
      [](Operand& p,
         const std::optional<Shape>& shape,
         const Key& key,
         const S& s) {
        return wrap(random::bernoulli(p, shape, key_or_default(key), s));
      },
      nb::arg("p") = 0.5,
      nb::arg("shape") = nb::none(),
      key,
      stream,
      "True with probability p; of p's shape when none is given.");
  r.def(
      "gumbel",
      [](const Shape& shape,
         std::optional<Dtype> dtype,
         const Key& key,
         const S& s) {
        return wrap(random::gumbel(
            shape, dtype.value_or(float32), key_or_default(key), s));
      },
      shape,
      nb::arg("dtype").none() = float32,
      key,
      stream,
      "-log(-log(u)) of uniform u.");
  r.def(
      "laplace",
      [](const Shape& shape,
         std::optional<Dtype> dtype,
         double loc,
         double scale,
         const Key& key,
         const S& s) {
        return wrap(random::laplace(shape,
                                    dtype.value_or(float32),
                                    loc,
                                    scale,
                                    key_or_default(key),
                                    s));
      },
      shape,
      nb::arg("dtype").none() = float32,
      nb::arg("loc") = 0.0,
      nb::arg("scale") = 1.0,
      key,
      stream,
      "Laplace with mean loc and width scale.");
  r.def(
      "permutation",
      [](const std::variant<int, array>& x,
         int axis,
         const Key& key,
         const S& s) {
        array k = key_or_default(key);
        if (const int* n = std::get_if<int>(&x))
          return wrap(random::permutation(*n, k, s));
        return wrap(random::permutation(std::get<array>(x), axis, k, s));
      },
      nb::arg("x"),
      nb::arg("axis") = 0,
      key,
      stream,
      "The numbers below x, or the slices of an array along an axis, in random "
      "order.");
  r.def(
      "multivariate_normal",
      [](const array& mean,
         const array& cov,
         const Shape& shape,
         std::optional<Dtype> dtype,
         const Key& key,
         const S& s) {
        return wrap(random::multivariate_normal(
            mean, cov, shape, dtype.value_or(float32), key_or_default(key), s));
      },
      nb::arg("mean"),
      nb::arg("cov"),
      shape,
      nb::arg("dtype").none() = float32,
      key,
      stream,
      "Normal with a mean (..., N) and a covariance (..., N, N).");
  r.def(
      "categorical",
      [](const array& logits,
         int axis,
         const std::optional<Shape>& shape,
         std::optional<int> num_samples,
         const Key& key,
         const S& s) {
        if (shape && num_samples) {
          invalid("categorical",
                  "got shape and num_samples; expected at most one.");
        }
        array k = key_or_default(key);
        if (shape) return wrap(random::categorical(logits, axis, *shape, k, s));
        if (num_samples)
          return wrap(random::categorical(logits, axis, *num_samples, k, s));
        return wrap(random::categorical(logits, axis, k, s));
      },
      nb::arg("logits"),
      nb::arg("axis") = -1,
      nb::arg("shape") = nb::none(),
      nb::arg("num_samples") = nb::none(),
      key,
      stream,
      "Positions along an axis, drawn by unnormalised log-probabilities.");
}

}  // namespace treadle::python
