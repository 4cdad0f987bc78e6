#include "tests/support/op_check.h"

#include <random>

#include <gtest/gtest.h>

#include "treadle/runtime/interpreter.h"
#include "treadle/transforms/compile.h"

#include "tests/support/tolerance.h"

namespace treadle::testing {

namespace {

double size_of_values(const std::vector<double>& v) {
  double m = 0;
  for (double x : v) {
    if (std::isfinite(x)) m = std::max(m, std::abs(x));
  }
  return m;
}

// The case's function summed with fixed weights: one number to differentiate.
array weighted_sum(const array& y, int seed) {
  std::mt19937 rng{uint32_t(seed)};
  std::uniform_real_distribution<double> u(0.5, 1.5);
  std::vector<double> w(size_t(y.size()));
  for (double& x : w) x = u(rng);
  return sum(y * array::from(w.data(), y.shape()));
}

ArraysFn scalar_of(const OpCase& c) {
  return [&c](const Arrays& x) { return Arrays{weighted_sum(c.f(x), 7)}; };
}

std::vector<int> differentiable(const OpCase& c) {
  std::vector<int> args;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].differentiable && is_floating(c.inputs[i].dtype))
      args.push_back(int(i));
  }
  return args;
}

void compare_with_differences(const ArraysFn& f,
                              const Arrays& x,
                              const std::vector<int>& args,
                              const std::string& what) {
  Arrays g = grad(f, args)(x);
  for (size_t k = 0; k < args.size(); ++k) {
    const array& at = x[size_t(args[k])];
    EXPECT_EQ(g[k].shape(), at.shape()) << what;
    EXPECT_EQ(g[k].dtype(), at.dtype()) << what;
    std::vector<double> values = at.to_vector<double>(),
                        got = g[k].to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) {
      auto moved = [&](double d) {
        std::vector<double> v = values;
        v[i] += d;
        Arrays y = x;
        y[size_t(args[k])] = array::from(v.data(), at.shape());
        return f(y)[0].item<double>();
      };
      // A five-point difference: its error is of order h^4.
      double h = 1e-3 * std::max(1.0, std::abs(values[i]));
      double want =
          (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) /
          (12 * h);
      double scale = std::max({1.0, std::abs(want), std::abs(got[i])});
      EXPECT_NEAR(got[i], want, 2e-8 * scale)
          << what << ": argument " << args[k] << ", element " << i;
    }
  }
}

}  // namespace

Arrays draw(const OpCase& c, std::optional<Dtype> dtype, int seed) {
  std::mt19937 rng(uint32_t(seed) * 7919 +
                   uint32_t(std::hash<std::string>()(c.name) % 100000));
  Arrays out;
  for (const Input& in : c.inputs) {
    std::uniform_real_distribution<double> u(in.low, in.high);
    std::vector<double> v(size_t(size_of(in.shape)));
    for (double& x : v) x = u(rng);
    Dtype t = dtype && is_floating(in.dtype) ? *dtype : in.dtype;
    if (!is_inexact(t)) {
      for (double& x : v) x = std::floor(x);
      // A negative number has no unsigned value.
      if (!is_signed_integer(t)) {
        for (double& x : v) x = std::abs(x);
      }
    }
    array a = astype(array::from(v.data(), in.shape), t);
    if (t == complex64) a = multiply(a, complex64_t(1, 0.5f));
    a.eval();
    out.push_back(a);
  }
  return out;
}

void expect_close(const array& got,
                  const array& want,
                  double ulps,
                  const std::string& what,
                  double cancels) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  std::vector<double> a = got.to_vector<double>(), b = want.to_vector<double>();
  // Elements that cancel are judged by the size of their neighbours.
  double scale = cancels * size_of_values(b);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(close(a[i], b[i], got.dtype(), ulps, scale))
        << what << ": element " << i << ": got " << a[i] << ", expected "
        << b[i];
  }
}

void check_every_dtype(const OpCase& c) {
  for (int i = 0; i < kNumDtypes; ++i) {
    const Dtype t = Dtype(i);
    const Arrays x = draw(c, t);
    array planned;
    try {
      planned = c.f(x);
    } catch (const std::exception&) {
      continue;  // said when it is recorded
    }
    planned.eval();
    runtime::PlanningScope off(false);
    array reference = c.f(x);
    reference.eval();
    if (planned.dtype() == complex64) {
      planned = view(reshape(planned, {planned.size()}), float32);
      reference = view(reshape(reference, {reference.size()}), float32);
    }
    // Integers, whose sums wrap, agree in all bits.
    expect_close(planned,
                 reference,
                 is_inexact(planned.dtype()) ? c.ulps : 0,
                 c.name + " planned, " + std::string(name_of(t)),
                 std::max(c.cancels, is_complex(t) ? 1.0 : 0.0));
  }
}

void check_empty(const OpCase& c) {
  Arrays x = draw(c), in;
  std::vector<int> axes;
  const array one = c.f(x);
  for (const array& a : x) {
    Shape shape = a.shape();
    shape.insert(shape.begin(), 0);
    in.push_back(zeros(shape, a.dtype()));
    axes.push_back(0);
  }
  for (bool planned : {true, false}) {
    runtime::PlanningScope scope(planned);
    array y =
        vmap([&](const Arrays& v) { return Arrays{c.f(v)}; }, axes)(in)[0];
    y.eval();
    Shape want = one.shape();
    want.insert(want.begin(), 0);
    EXPECT_EQ(y.shape(), want) << c.name << " of none";
    EXPECT_EQ(y.dtype(), one.dtype()) << c.name << " of none";
  }
}

void check_strided_inputs(const OpCase& c) {
  Arrays x = draw(c), views;
  for (const array& a : x) {
    if (a.ndim() < 2) {
      // Every second element of a longer array.
      if (a.ndim() == 0) {
        views.push_back(a);
        continue;
      }
      array twice = flatten(stack({a, a}, 1));
      twice.eval();
      views.push_back(slice(twice, {0}, {2 * a.shape(0)}, {2}));
      continue;
    }
    array t = contiguous(swapaxes(a, -1, -2));
    t.eval();
    views.push_back(swapaxes(t, -1, -2));
  }
  expect_close(
      c.f(views), c.f(x), c.ulps, c.name + " on strided inputs", c.cancels);
}

void check_gradient(const OpCase& c) {
  std::vector<int> args = differentiable(c);
  if (args.empty()) return;
  Arrays x = draw(c, float64);
  compare_with_differences(scalar_of(c), x, args, c.name + " gradient");
  if (!c.second_order) return;
  int first = args[0];
  auto inner = grad(scalar_of(c), {first});
  ArraysFn outer = [&](const Arrays& a) {
    return Arrays{weighted_sum(inner(a)[0], 11)};
  };
  compare_with_differences(outer, x, {first}, c.name + " second derivative");
}

void check_jvp_against_vjp(const OpCase& c) {
  std::vector<int> args = differentiable(c);
  Arrays x = draw(c, float64), tangents = draw(c, float64, 3);
  Arrays active, t;
  for (int i : args) {
    active.push_back(x[size_t(i)]);
    t.push_back(tangents[size_t(i)]);
  }
  ArraysFn f = [&](const Arrays& a) {
    Arrays full = x;
    for (size_t k = 0; k < args.size(); ++k) full[size_t(args[k])] = a[k];
    return Arrays{c.f(full)};
  };
  auto [y, dy] = jvp(f, active, t);
  EXPECT_EQ(dy[0].shape(), y[0].shape()) << c.name;
  array u = astype(full(y[0].shape(), 1.0), y[0].dtype());
  u = u * 0.75;
  Arrays back = vjp(f, active, {u}).second;
  double left = sum(dy[0] * u).item<double>(), right = 0;
  for (size_t k = 0; k < args.size(); ++k)
    right += sum(back[k] * t[k]).item<double>();
  EXPECT_NEAR(
      left, right, 1e-9 * std::max({1.0, std::abs(left), std::abs(right)}))
      << c.name << ": <J t, u> against <t, J' u>";
}

void check_vmap_against_loop(const OpCase& c) {
  constexpr int kBatch = 3;
  std::vector<Arrays> items;
  for (int b = 0; b < kBatch; ++b) items.push_back(draw(c, {}, b));
  // All inputs mapped, each along another axis; then the first only.
  for (bool all : {true, false}) {
    Arrays in;
    std::vector<int> axes;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (!all && i > 0) {
        in.push_back(items[0][i]);
        axes.push_back(kNotMapped);
        continue;
      }
      Arrays parts;
      for (const Arrays& item : items) parts.push_back(item[i]);
      int axis = all ? int(i) % (items[0][i].ndim() + 1) : 0;
      in.push_back(stack(parts, axis));
      axes.push_back(axis);
    }
    array got =
        vmap([&](const Arrays& x) { return Arrays{c.f(x)}; }, axes)(in)[0];
    Arrays want;
    for (const Arrays& item : items) {
      Arrays x = item;
      for (size_t i = 1; !all && i < x.size(); ++i) x[i] = items[0][i];
      want.push_back(c.f(x));
    }
    expect_close(got,
                 stack(want),
                 c.ulps,
                 c.name + (all ? " vmap" : " vmap of the first"),
                 c.cancels);
  }
}

void check_compiled(const OpCase& c) {
  auto f = compile([&](const Arrays& x) { return Arrays{c.f(x)}; });
  for (int seed : {0, 1}) {
    Arrays x = draw(c, {}, seed);
    expect_close(f(x)[0], c.f(x), c.ulps, c.name + " compiled", c.cancels);
  }
}

void check_all(const OpCase& c) {
  check_every_dtype(c);
  check_strided_inputs(c);
  check_compiled(c);
  if (c.mapped) {
    check_vmap_against_loop(c);
    check_empty(c);
  }
  if (c.gradient) {
    check_gradient(c);
    check_jvp_against_vjp(c);
  }
}

}  // namespace treadle::testing
