#include "treadle/ops/random.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arg_reduce.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/symmetric_root.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs RandomBits::infer(std::span<const Spec> in) const {
  const Shape& k = in[0].shape;
  if (in[0].dtype != uint32 || k.empty() || k.back() != 2) {
    invalid(op_name,
            fmt::format("key is {}; expected uint32 (..., 2).",
                        treadle::to_string(in[0])));
  }
  Shape out(k.begin(), k.end() - 1);
  out.append(shape.begin(), shape.end());
  return {Spec{out, width == 4 ? uint32 : width == 2 ? uint16 : uint8}};
}

// Integers made of integers: all derivatives are zero.
Arrays RandomBits::jvp(const Arrays&,
                       const Arrays&,
                       const Arrays&,
                       Argnums) const {
  return {array()};
}
Arrays RandomBits::vjp(const Arrays&,
                       const Arrays&,
                       const Arrays&,
                       Argnums args) const {
  return Arrays(args.size());
}

Mapped RandomBits::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{record(*this, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

// the default key -------------------------------------------------------------

namespace {

struct DefaultKey {
  std::mutex mutex;
  array key;
};

DefaultKey& default_key() {
  static DefaultKey* k = new DefaultKey;  // outlives every static that draws
  return *k;
}

thread_local RandomStateScope* scope = nullptr;

void check_key(std::string_view op, const array& key) {
  if (key.null() || key.spec() != Spec{{2}, uint32}) {
    invalid(op,
            fmt::format("key is {}; expected uint32 (2,), as key(seed) gives.",
                        key.null() ? "the null array" : to_string(key.spec())));
  }
}

}  // namespace

void update_random_state(const std::function<array(const array&)>& next) {
  if (scope) {
    scope->key_ = next(scope->key_);
    return;
  }
  DefaultKey& d = default_key();
  std::lock_guard lock(d.mutex);
  if (d.key.null()) {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    d.key = random::key(uint64_t(now.count()));
  }
  d.key = next(d.key);
}

array random_state() {
  array state;
  update_random_state([&](const array& key) { return state = key; });
  return state;
}

void set_random_state(const array& key) {
  check_key("set_random_state", key);
  update_random_state([&](const array&) { return key; });
}

RandomStateScope::RandomStateScope(array key)
    : key_(std::move(key)), outer_(scope) {
  check_key("RandomStateScope", key_);
  scope = this;
}
RandomStateScope::~RandomStateScope() { scope = outer_; }

namespace random {

array next_key(StreamOrDevice s) {
  array drawn;
  update_random_state([&](const array& key) {
    auto [next, mine] = split(key, s);
    drawn = mine;
    return next;
  });
  return drawn;
}

void seed(uint64_t value) { set_random_state(key(value)); }

array key(uint64_t seed) {
  return array({uint32_t(seed >> 32), uint32_t(seed)});
}

array split(const array& key, int num, StreamOrDevice s) {
  if (num < 0)
    invalid("split", fmt::format("{} keys; expected 0 or more.", num));
  return bits({num, 2}, 4, key, s);
}

std::pair<array, array> split(const array& key, StreamOrDevice s) {
  array both = split(key, 2, s);
  auto half = [&](int64_t i) {
    return squeeze(slice(both, {i, 0}, {i + 1, 2}, {}, s), 0, s);
  };
  return {half(0), half(1)};
}

// draws -----------------------------------------------------------------------

namespace {

array as_array(const Term& v, Dtype dtype, StreamOrDevice s) {
  return v.is_array() ? astype(v.as_array(), dtype, s)
                      : array(v.scalar(), dtype);
}

void check_floating(std::string_view op, Dtype dtype) {
  if (!is_floating(dtype)) {
    invalid(op,
            fmt::format("dtype is {}; expected a real floating type.",
                        name_of(dtype)));
  }
}

void check_stretches(std::string_view op, const Shape& from, const Shape& to) {
  if (broadcast_shapes(op, from, to) != to) {
    invalid(op,
            fmt::format("parameters of shape {} do not broadcast to the "
                        "requested shape {}.",
                        to_string(from),
                        to_string(to)));
  }
}

// The largest number below 1.
double below_one(Dtype dtype) {
  switch (dtype) {
    case float16:
      return 1 - 0x1p-11;
    case bfloat16:
      return 1 - 0x1p-8;
    default:
      return 1 - 0x1p-24;
  }
}

// [0, 1), with as many random bits as the dtype's precision can use.
array unit_uniform(const Shape& shape,
                   Dtype dtype,
                   const array& key,
                   StreamOrDevice s) {
  if (dtype == float64) {
    Shape pairs = shape;
    pairs.push_back(2);
    Shape low(pairs.size(), 0), high = pairs;
    array b = bits(pairs, 4, key, s);
    auto word = [&](int64_t i) {
      low.back() = i;
      high.back() = i + 1;
      return astype(squeeze(slice(b, low, high, {}, s), -1, s), float64, s);
    };
    array top = floor(multiply(word(0), 0x1p-5, s), s);
    array rest = floor(multiply(word(1), 0x1p-6, s), s);
    return multiply(add(multiply(top, 0x1p26, s), rest, s), 0x1p-53, s);
  }
  array u = divide(bits(shape, 4, key, s), double(UINT32_MAX), s);
  return astype(minimum(u, below_one(dtype), s), dtype, s);
}

// Uniform on the float32 numbers inside (-1, 1): what inverse distribution
// functions start from.
array symmetric_uniform(const Shape& shape,
                        const array& key,
                        StreamOrDevice s) {
  return uniform(-1 + 0x1p-24, 1, shape, float32, key, s);
}

}  // namespace

array bits(const Shape& shape, int width, const array& key, StreamOrDevice s) {
  if (width != 1 && width != 2 && width != 4) {
    invalid("bits",
            fmt::format("width is {} bytes; expected 1, 2 or 4.", width));
  }
  for (int64_t d : shape) {
    if (d < 0) {
      invalid("bits",
              fmt::format("negative length in shape {}.", to_string(shape)));
    }
  }
  array k = key.null() ? next_key(s) : key;
  check_key("bits", k);
  RandomBits op;
  op.width = width;
  op.shape = shape;
  return record(std::move(op), {k}, resolve(s));
}

array uniform(const Term& low,
              const Term& high,
              const Shape& shape,
              Dtype dtype,
              const array& key,
              StreamOrDevice s) {
  check_floating("uniform", dtype);
  if (!low.is_array() && !high.is_array() && low.scalar().real() == 0 &&
      high.scalar().real() == 1) {
    return unit_uniform(shape, dtype, key, s);
  }
  array lo = as_array(low, dtype, s);
  array range = subtract(as_array(high, dtype, s), lo, s);
  check_stretches("uniform", range.shape(), shape);
  array u = unit_uniform(shape, dtype, key, s);
  return add(multiply(range, u, s), lo, s);
}

array uniform(const Shape& shape,
              Dtype dtype,
              const array& key,
              StreamOrDevice s) {
  return uniform(0, 1, shape, dtype, key, s);
}

namespace {

bool is_number(const Term& t, double v) {
  return !t.is_array() && t.scalar().kind() != Scalar::Kind::complex &&
         t.scalar().real() == v;
}

// x * scale + loc, in x's dtype. `factor` is part of the scale.
array scaled(array x,
             double factor,
             const Term& loc,
             const Term& scale,
             StreamOrDevice s) {
  array f(Scalar(factor), x.dtype());
  if (!scale.is_array() && is_floating(x.dtype())) {
    // As two numbers of the dtype multiply; known now, it is no step of a plan.
    const array by(scale.scalar(), x.dtype());
    f = array(Scalar(f.item<double>() * by.item<double>()), x.dtype());
  } else if (!is_number(scale, 1)) {
    f = multiply(f, as_array(scale, x.dtype(), s), s);
  }
  x = multiply(f, x, s);
  return is_number(loc, 0) ? x : add(as_array(loc, x.dtype(), s), x, s);
}

array complex_normal(Shape shape, const array& key, StreamOrDevice s) {
  shape.push_back(2);
  // Pairs of real and imaginary parts lie as complex numbers do.
  const array pairs = erfinv(symmetric_uniform(shape, key, s), s);
  return squeeze(view(pairs, complex64, s), -1, s);
}

}  // namespace

array normal(const Shape& shape,
             Dtype dtype,
             const Term& loc,
             const Term& scale,
             const array& key,
             StreamOrDevice s) {
  for (const Term* t : {&loc, &scale}) {
    if (t->is_array()) check_stretches("normal", t->as_array().shape(), shape);
  }
  if (dtype == complex64)
    return scaled(complex_normal(shape, key, s), 1, loc, scale, s);
  check_floating("normal", dtype);
  array z = astype(erfinv(symmetric_uniform(shape, key, s), s), dtype, s);
  return scaled(z, std::sqrt(2.0), loc, scale, s);
}

array truncated_normal(const Term& lower,
                       const Term& upper,
                       std::optional<Shape> shape,
                       Dtype dtype,
                       const array& key,
                       StreamOrDevice s) {
  check_floating("truncated_normal", dtype);
  array lo = as_array(lower, dtype, s), hi = as_array(upper, dtype, s);
  if (!shape)
    shape = broadcast_shapes("truncated_normal", lo.shape(), hi.shape());
  double root = std::sqrt(2.0);
  array u = uniform(erf(divide(lo, root, s), s),
                    erf(divide(hi, root, s), s),
                    *shape,
                    dtype,
                    key,
                    s);
  array z = multiply(root, erfinv(u, s), s);
  return maximum(minimum(hi, z, s), lo, s);
}

array gumbel(const Shape& shape,
             Dtype dtype,
             const array& key,
             StreamOrDevice s) {
  array u = uniform(shape, dtype, key, s);
  return negative(log(negative(log(u, s), s), s), s);
}

array laplace(const Shape& shape,
              Dtype dtype,
              double loc,
              double scale,
              const array& key,
              StreamOrDevice s) {
  check_floating("laplace", dtype);
  array u = symmetric_uniform(shape, key, s);
  array z = multiply(sign(u, s), log1p(negative(abs(u, s), s), s), s);
  z = astype(z, dtype, s);
  if (scale != 1) z = multiply(scale, z, s);
  return loc != 0 ? add(loc, z, s) : z;
}

array bernoulli(const Term& p,
                std::optional<Shape> shape,
                const array& key,
                StreamOrDevice s) {
  // One step above all 32-bit integers, so that p = 1 is always true.
  constexpr float top = 4294967808.0f;
  array threshold;
  if (p.is_array()) {
    const array& v = p.as_array();
    check_floating("bernoulli", v.dtype());
    if (!shape) shape = v.shape();
    check_stretches("bernoulli", v.shape(), *shape);
    threshold = multiply(v, array(top), s);
  } else {
    threshold = array(float(p.scalar().real()) * top);
  }
  return less(bits(shape.value_or(Shape()), 4, key, s), threshold, s);
}

array randint(const Term& low,
              const Term& high,
              const Shape& shape,
              Dtype dtype,
              const array& key,
              StreamOrDevice s) {
  if (is_inexact(dtype)) {
    invalid("randint",
            fmt::format("dtype is {}; expected an integer type or bool.",
                        name_of(dtype)));
  }
  array u = floor(uniform(low, high, shape, float32, key, s), s);
  array last = high.is_array()
                   ? astype(subtract(high.as_array(), 1, s), dtype, s)
               : high.scalar().kind() == Scalar::Kind::floating
                   ? array(Scalar(high.scalar().real() - 1), dtype)
                   : array(Scalar(high.scalar().integer() - 1), dtype);
  array v = minimum(astype(u, dtype, s), last, s);
  return maximum(v, as_array(low, dtype, s), s);
}

// categorical: the argmax of logits + gumbel noise, or for many draws from one
// distribution, where its running sum passes a uniform number
// ------------------

namespace {

int class_axis(const array& logits, int axis) {
  return normalize_axis("categorical", axis, logits.shape().size());
}

Shape without(Shape shape, int axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

// shape: the result's. The class axis stands where it ends up beside the axes
// of the result that logits do not have.
array draw_classes(const array& logits,
                   int axis,
                   const Shape& shape,
                   const array& key,
                   StreamOrDevice s) {
  if (logits.size() == logits.shape(axis) && !shape.empty()) {
    array x = astype(flatten(logits, 0, -1, s), float32, s);
    array weights = exp(subtract(x, max(x, {}, true, s), s), s);
    // Columns are summed one element after another, as MLX sums rows.
    array columns = broadcast_to(expand_dims(weights, 1, s), {x.size(), 2}, s);
    array cdf = squeeze(
        slice(cumsum(columns, 0, false, true, s), {0, 0}, {x.size(), 1}, {}, s),
        1,
        s);
    array total = slice(cdf, {x.size() - 1}, {x.size()}, {}, s);
    array u = multiply(uniform(shape, float32, key, s), total, s);
    // u may be rounded up to the total, which lies behind the last class.
    return minimum(searchsorted(cdf, u, "right", s),
                   searchsorted(cdf, total, "left", s),
                   s);
  }
  int at = axis + int(shape.size()) - logits.ndim() + 1;
  Shape noise = shape;
  noise.insert(noise.begin() + at, logits.shape(axis));
  array g = gumbel(noise, float32, key, s);
  return argmax(add(g, logits, s), at, false, s);
}

}  // namespace

array categorical(const array& logits,
                  int axis,
                  const array& key,
                  StreamOrDevice s) {
  int a = class_axis(logits, axis);
  return draw_classes(logits, a, without(logits.shape(), a), key, s);
}

array categorical(const array& logits,
                  int axis,
                  const Shape& shape,
                  const array& key,
                  StreamOrDevice s) {
  int a = class_axis(logits, axis);
  check_stretches("categorical", without(logits.shape(), a), shape);
  return draw_classes(logits, a, shape, key, s);
}

array categorical(const array& logits,
                  int axis,
                  int num_samples,
                  const array& key,
                  StreamOrDevice s) {
  int a = class_axis(logits, axis);
  array wide = expand_dims(logits, -1, s);
  Shape shape = without(wide.shape(), a);
  shape.back() = num_samples;
  return draw_classes(wide, a, shape, key, s);
}

array permutation(int n, const array& key, StreamOrDevice s) {
  if (n < 0) {
    invalid("permutation", fmt::format("got {}; expected 0 or more.", n));
  }
  return argsort(bits({n}, 4, key, s), -1, s);
}

array permutation(const array& x,
                  int axis,
                  const array& key,
                  StreamOrDevice s) {
  int a = normalize_axis("permutation", axis, x.shape().size());
  return take(x, argsort(bits({x.shape(a)}, 4, key, s), -1, s), a, s);
}

array multivariate_normal(const array& mean,
                          const array& cov,
                          const Shape& shape,
                          Dtype dtype,
                          const array& key,
                          StreamOrDevice s) {
  constexpr std::string_view op = "multivariate_normal";
  bool fits = mean.ndim() > 0 && cov.ndim() > 1 &&
              cov.shape(-1) == mean.shape(-1) &&
              cov.shape(-2) == mean.shape(-1);
  if (!fits || dtype != float32) {
    invalid(op,
            fmt::format("got a mean {}, a covariance {} and dtype {}; expected "
                        "(..., N), (..., N, N) and float32.",
                        to_string(mean.spec()),
                        to_string(cov.spec()),
                        name_of(dtype)));
  }
  Shape means = mean.shape(), matrices = cov.shape();
  means.pop_back();
  matrices.pop_back();
  matrices.pop_back();
  Shape batch = broadcast_shapes(op, means, matrices);
  Shape out = shape.empty() ? batch : shape;
  check_stretches(op, batch, out);
  out.push_back(mean.shape(-1));
  array root = symmetric_root(astype(cov, float32, s), s);
  array z = expand_dims(normal(out, float32, 0, 1, key, s), -2, s);
  return add(astype(mean, float32, s), squeeze(matmul(z, root, s), -2, s), s);
}

}  // namespace random
}  // namespace treadle
