#include "tools/gpu_smoke/checks.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

namespace treadle::gpu_smoke {
namespace {

using plan::OutputForm;
using runtime::Operand;

double epsilon(Dtype t) {
  switch (t) {
    case float64:
      return 0x1p-52;
    case float32:
    case complex64:
      return 0x1p-23;
    case float16:
      return 0x1p-10;
    case bfloat16:
      return 0x1p-7;
    default:
      return 1;
  }
}
double smallest_normal(Dtype t) {
  switch (t) {
    case float64:
      return 0x1p-1022;
    case float16:
      return 0x1p-14;
    default:
      return 0x1p-126;
  }
}

// Random numbers of a dtype, with special ones first when asked for: every pair
// of them meets once in operands 0 and 1.
std::vector<char> numbers(
    Dtype t, int64_t n, const OperandSpec& spec, bool specials, int operand) {
  std::vector<char> bytes(size_t(n) * size_of(t));
  std::mt19937_64 bits(0x7eed1e + 977 * operand + n);
  std::uniform_real_distribution<double> real(-spec.spread, spec.spread);
  visit_dtype(t, [&]<class T>() {
    for (int64_t i = 0; i < n; ++i) {
      T v{};
      if constexpr (std::is_same_v<T, bool>) {
        v = bits() & 1;
      } else if constexpr (std::is_same_v<T, complex64_t>) {
        v = T(float(real(bits)), float(real(bits)));
      } else if constexpr (std::is_integral_v<T>) {
        const uint64_t b = bits();
        v = i % 4 == 0 ? T(b)
                       : T(int64_t(b % 21) - (std::is_signed_v<T> ? 10 : 0));
      } else {
        const double stretch = i % 8 == 7 && specials ? 10 : 1;
        v = T(float(real(bits) * stretch));
        if constexpr (std::is_same_v<T, double>) v = real(bits) * stretch;
      }
      if (spec.value) {
        if constexpr (std::is_same_v<T, complex64_t>) {
          v = T(float(*spec.value), 0);
        } else if constexpr (std::is_integral_v<T> ||
                             std::is_same_v<T, double>) {
          v = T(*spec.value);
        } else {
          v = T(float(*spec.value));
        }
      }
      std::memcpy(&bytes[size_t(i) * sizeof(T)], &v, sizeof(T));
    }
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      using L = std::numeric_limits<T>;
      std::vector<T> list = {
          T(0), T(1), T(2), T(3), L::max(), L::lowest(), T(L::max() / 2)};
      if (std::is_signed_v<T>) list.insert(list.end(), {T(-1), T(-2), T(-3)});
      if (std::is_floating_point_v<T>) {
        list.insert(list.end(),
                    {T(-0.0),
                     L::infinity(),
                     -L::infinity(),
                     L::quiet_NaN(),
                     L::min(),
                     L::denorm_min(),
                     L::epsilon(),
                     T(0.5),
                     T(-0.5),
                     T(1.5)});
      }
      const int64_t k = int64_t(list.size());
      for (int64_t i = 0; specials && i < std::min(n, k * k); ++i) {
        const T v = list[size_t(operand == 0 ? i / k : i % k)];
        std::memcpy(&bytes[size_t(i) * sizeof(T)], &v, sizeof(T));
      }
    }
  });
  return bytes;
}

struct Difference {
  double error = 0;
  int64_t at = -1;
  std::complex<long double> got, expected;
};

template <class T>
std::complex<long double> widened(T v) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return {v.real(), v.imag()};
  } else if constexpr (std::is_same_v<T, float16_t> ||
                       std::is_same_v<T, bfloat16_t>) {
    return {float(v), 0};
  } else {
    return {(long double)v, 0};
  }
}

// The expected value as the dtype would hold it.
template <class T>
std::complex<long double> rounded(std::complex<long double> want) {
  const long double re = want.real();
  if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return widened(T(float(re)));
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    return {float(re), float(want.imag())};
  } else if constexpr (std::is_floating_point_v<T>) {
    return T(re);
  } else {
    return re < 0 ? T(int64_t(re)) : T(uint64_t(re));
  }
}

bool same(std::complex<long double> got, std::complex<long double> want) {
  if (std::isnan(want.real()) || std::isnan(want.imag())) {
    return std::isnan(got.real()) || std::isnan(got.imag());
  }
  return got == want;
}

Difference compare(Expected want,
                   const std::vector<char>& bytes,
                   Dtype t,
                   const Tolerance& tolerance) {
  Difference worst;
  visit_dtype(t, [&]<class T>() {
    for (size_t i = 0; i < want.size(); ++i) {
      T v;
      if constexpr (std::is_same_v<T, bool>) {
        v = bytes[i] != 0;
      } else {
        std::memcpy(&v, &bytes[i * sizeof(T)], sizeof(T));
      }
      const std::complex<long double> got = widened(v);
      // Integers wrap; with limit 0 only the dtype's own rounding will do.
      if (tolerance.limit == 0 || !is_inexact(t)) want[i] = rounded<T>(want[i]);
      if (std::is_same_v<T, bool> && (bytes[i] & ~1))
        want[i] = 2;  // neither true nor false
      if (same(got, want[i])) continue;
      const long double unit =
          epsilon(t) * std::max<long double>({std::abs(want[i]),
                                              (long double)tolerance.floor,
                                              (long double)smallest_normal(t)});
      double error = double(std::abs(got - want[i]) / unit);
      if (!(error <= 1e30)) error = 1e30;
      if (error > worst.error) worst = {error, int64_t(i), got, want[i]};
    }
  });
  return worst;
}

}  // namespace

Strides strides_of(View view, const Shape& space, int inner_axes) {
  const int rank = int(space.size()), cut = rank - std::max(1, inner_axes);
  Strides s(size_t(rank), 0);
  int64_t step = 1;
  if (view == View::transposed) {
    for (int d = 0; d < rank; ++d) {
      s[d] = step;
      step *= space[d];
    }
    return s;
  }
  for (int d = rank - 1; d >= 0; --d) {
    if (view == View::scalar || (view == View::inner && d < cut) ||
        (view == View::outer && d >= cut)) {
      continue;
    }
    s[d] = step;
    step *= space[d];
    if (view == View::padded && d == rank - 1) step += 8;
  }
  return s;
}

int64_t elements_of(const Shape& space, const Strides& strides) {
  int64_t last = 0;
  for (size_t d = 0; d < space.size(); ++d)
    last += std::max<int64_t>(0, space[d] - 1) * strides[d];
  return last + 1;
}

Outcome run_check(const Check& check, Modules& modules) {
  const plan::Tape& tape = check.tape;
  const int rank = int(check.space.size()), cut = rank - tape.inner_axes;
  std::vector<std::vector<char>> host;
  std::vector<std::unique_ptr<Buffer>> memory;
  std::vector<Operand> in, host_in, out;

  for (size_t i = 0; i < tape.operands.size(); ++i) {
    const OperandSpec& spec = check.operands[i];
    Operand x;
    x.dtype = tape.operands[i];
    x.shape = check.space;
    x.strides = strides_of(spec.view, check.space, tape.inner_axes);
    x.contiguous = is_row_contiguous(x.shape, x.strides);
    const size_t shift = spec.view == View::misaligned ? size_of(x.dtype) : 0;
    host.push_back(numbers(x.dtype,
                           elements_of(check.space, x.strides),
                           spec,
                           check.special_values,
                           int(i)));
    host.back().insert(host.back().begin(), shift, 0);
    memory.push_back(std::make_unique<Buffer>(host.back().size()));
    memory.back()->upload(host.back().data(), host.back().size());
    x.data = memory.back()->data() + shift;
    in.push_back(x);
    x.data = host.back().data() + shift;
    host_in.push_back(x);
  }
  for (const plan::TapeOutput& o : tape.outputs) {
    Operand y;
    y.dtype = o.dtype;
    y.shape = check.space;
    if (o.form == OutputForm::row)
      y.shape = Shape(check.space.begin(), check.space.begin() + cut);
    if (o.form == OutputForm::column)
      y.shape = Shape(check.space.begin() + cut, check.space.end());
    y.strides = row_major_strides(y.shape);
    memory.push_back(
        std::make_unique<Buffer>(size_t(size_of(y.shape)) * size_of(y.dtype)));
    y.data = memory.back()->data();
    out.push_back(y);
  }

  backend::cuda::TapeLaunch launch =
      backend::cuda::launch_of(tape, check.space, in, out);
  Buffer workspace(launch.workspace);
  launch.set_workspace(workspace.data());
  const std::vector<Expected> expected =
      evaluate(tape, check.space, host_in, check.precision);

  Outcome outcome;
  auto fail = [&](const std::string& what) {
    outcome.passed = false;
    outcome.report += "    " + what + "\n";
  };
  std::vector<std::vector<char>> first;
  for (int run = 0; run < 2; ++run) {
    for (size_t i = 0; i < out.size(); ++i) memory[in.size() + i]->fill(0xff);
    workspace.fill(0xff);
    modules.run(tape, launch);
    TREADLE_CU(cuCtxSynchronize());
    for (size_t i = 0; i < out.size(); ++i) {
      std::vector<char> bytes = memory[in.size() + i]->download();
      if (run == 0) {
        first.push_back(std::move(bytes));
      } else if (bytes != first[i]) {
        fail("output " + std::to_string(i) + " differs between two runs");
      }
    }
  }
  for (const auto& m : memory) {
    if (!m->guard_is_whole()) fail("memory outside an array was written");
  }
  if (!workspace.guard_is_whole())
    fail("memory outside the workspace was written");

  for (size_t i = 0; i < out.size(); ++i) {
    Expected want = expected[i];
    const size_t count = size_t(size_of(out[i].shape));
    if (want.empty()) want.assign(count, 0);  // a sum over no rows
    if (want.size() != count) {
      fail("the reference has " + std::to_string(want.size()) + " elements");
      continue;
    }
    const Tolerance& t = check.tolerances[i];
    const Difference d = compare(want, first[i], out[i].dtype, t);
    if (t.limit > 0) outcome.worst = std::max(outcome.worst, d.error / t.limit);
    const std::string name = check.output_names.empty()
                                 ? "output " + std::to_string(i)
                                 : check.output_names[i];
    if (d.error > t.limit) {
      char line[256];
      std::snprintf(line,
                    sizeof line,
                    "%s[%lld]: got %.9Lg%+.9Lgi, expected %.9Lg%+.9Lgi, error "
                    "%.3g, limit %g",
                    name.c_str(),
                    (long long)d.at,
                    d.got.real(),
                    d.got.imag(),
                    d.expected.real(),
                    d.expected.imag(),
                    d.error,
                    t.limit);
      fail(line);
    }
  }
  outcome.report +=
      "    " + std::string(launch.layout.name()) +
      (launch.layout.vector ? ", vectors" : ", elements") + ", " +
      (launch.calls.empty() ? "nothing" : std::string(launch.calls[0].entry)) +
      "\n";
  return outcome;
}

}  // namespace treadle::gpu_smoke
