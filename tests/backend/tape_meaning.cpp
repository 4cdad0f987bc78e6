#include "tests/backend/tape_meaning.h"

#include <cmath>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/lane_table.h"

namespace treadle::testing {

using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;

double rounded_to(Dtype t, double x) {
  const Tensor one = tensor(t, {1}, std::vector<double>{x});
  return one.values()[0];
}

// The outputs of a tape, every value an array over the whole space in double.
std::vector<std::vector<double>> meaning(const Tape& tape,
                                         const Shape& space,
                                         const std::vector<Tensor>& in) {
  const size_t n = static_cast<size_t>(size_of(space));
  size_t inner = 1;
  for (size_t i = space.size() - tape.inner_axes; i < space.size(); ++i) {
    inner *= static_cast<size_t>(space[i]);
  }
  const size_t outer = inner == 0
                           ? static_cast<size_t>(size_of(Shape(
                                 space.begin(), space.end() - tape.inner_axes)))
                           : n / inner;
  const auto merge = [](ReduceKind kind, double a, double b) {
    switch (kind) {
      case ReduceKind::sum:
        return a + b;
      case ReduceKind::prod:
        return a * b;
      case ReduceKind::max:
        return std::isnan(a) || a > b ? a : b;
      default:
        return std::isnan(a) || a < b ? a : b;
    }
  };
  const auto start = [](ReduceKind kind) {
    constexpr double inf = std::numeric_limits<double>::infinity();
    constexpr double values[] = {0, 1, -inf, inf};
    return values[static_cast<int>(kind)];
  };
  std::vector<std::vector<double>> values(tape.values.size()),
      outputs(tape.outputs.size());
  std::vector<std::vector<double>> row_of(
      tape.values.size());  // of reductions, even if empty
  for (size_t v = 0; v < tape.values.size(); ++v) {
    const TapeValue& t = tape.values[v];
    std::vector<double>& y = values[v];
    switch (t.code) {
      case Code::load:
        y = in[t.index].values();
        break;
      case Code::row: {
        y.resize(n);
        const bool choose = info(t.row).rule == Rule::choose;
        const bool compare = info(t.row).rule == Rule::compare;
        const auto fn =
            backend::cpu::scalar_table().row[static_cast<int>(t.row)][1];
        for (size_t i = 0; i < n; ++i) {
          if (choose) {
            y[i] = values[t.a][i] != 0 ? values[t.b][i] : values[t.c][i];
          } else if (compare) {
            uint32_t truth;
            fn(1, &truth, &values[t.a][i], &values[t.b][i], nullptr, 0);
            y[i] = truth;
          } else {
            fn(1,
               &y[i],
               &values[t.a][i],
               info(t.row).arity > 1 ? &values[t.b][i] : nullptr,
               nullptr,
               0);
          }
        }
        break;
      }
      case Code::convert:
        for (double x : values[t.a]) y.push_back(rounded_to(t.dtype, x));
        break;
      case Code::reduce_row:
        y.resize(n);
        for (size_t r = 0; r < outer; ++r) {
          double a = start(t.reduce);
          for (size_t i = 0; i < inner; ++i)
            a = merge(t.reduce, a, values[t.a][r * inner + i]);
          for (size_t i = 0; i < inner; ++i) y[r * inner + i] = a;
          row_of[v].push_back(a);
        }
        break;
      case Code::store: {
        std::vector<double>& out = outputs[t.index];
        const bool row = tape.outputs[t.index].form == OutputForm::row;
        if (row && !row_of[t.a].empty()) {
          out = row_of[t.a];
        } else {
          for (size_t i = 0; i < n; i += row ? inner : 1)
            out.push_back(values[t.a][i]);
        }
        for (double& x : out) x = rounded_to(t.dtype, x);
        break;
      }
      case Code::reduce_column:
        outputs[t.index].assign(inner, start(t.reduce));
        for (size_t i = 0; i < n; ++i) {
          double& a = outputs[t.index][i % inner];
          a = merge(t.reduce, a, values[t.a][i]);
        }
        break;
    }
  }
  return outputs;
}

void expect_meaning(const OpPtr& op,
                    const Shape& space,
                    const std::vector<Tensor>& in,
                    double tolerance,
                    const std::string& what) {
  const Tape& tape = static_cast<const plan::Fused&>(*op).tape;
  const auto want = meaning(tape, space, in);
  const auto got = run_tape(*op, space, in, 1);
  for (int threads : {2, 4}) {
    const auto again = run_tape(*op, space, in, threads);
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(got[k].memory, again[k].memory)
          << what << ": " << threads << " threads";
    }
  }
  for (size_t k = 0; k < got.size(); ++k) {
    const std::vector<double> y = got[k].values();
    ASSERT_EQ(y.size(), want[k].size()) << what;
    for (size_t i = 0; i < y.size(); ++i) {
      const bool same =
          y[i] == want[k][i] || (std::isnan(y[i]) && std::isnan(want[k][i]));
      const double error = std::abs(y[i] - want[k][i]);
      ASSERT_TRUE(same || error <= tolerance * (1 + std::abs(want[k][i])))
          << what << " " << to_string(space) << ": output " << k << " at " << i
          << ": got " << y[i] << ", want " << want[k][i] << "\n"
          << tape.to_string();
    }
  }
}

OpPtr chain_tape(Dtype dtype) {
  // sigmoid(x * y + x) * (x - 0.5 y) + y y, with the 0.5 as an operand
  TapeMaker t;
  const auto x = t.load(dtype), y = t.load(dtype), half = t.load(dtype);
  const auto s =
      t.row(Row::sigmoid, t.row(Row::add, t.row(Row::multiply, x, y), x));
  const auto d = t.row(Row::subtract, x, t.row(Row::multiply, half, y));
  const auto p = t.row(Row::multiply, s, d);
  t.store(t.row(Row::add, p, t.row(Row::multiply, y, y)), dtype);
  return t.op();
}

OpPtr softmax_tape(Dtype dtype) {
  TapeMaker t(1);
  const auto x = t.load(dtype);
  const auto e = t.row(
      Row::exp, t.row(Row::subtract, x, t.reduce_row(ReduceKind::max, x)));
  t.store(t.row(Row::divide, e, t.reduce_row(ReduceKind::sum, e)), dtype);
  return t.op();
}

// (x - mean) / sqrt(var + eps) * gamma + beta, with the statistics as outputs.
OpPtr layer_norm_tape() {
  TapeMaker t(1);
  const auto x = t.load(float32), gamma = t.load(float32),
             beta = t.load(float32);
  const auto count = t.load(float32, true), eps = t.load(float32, true);
  const auto mean = t.row(Row::divide, t.reduce_row(ReduceKind::sum, x), count);
  const auto d = t.row(Row::subtract, x, mean);
  const auto var = t.row(
      Row::divide, t.reduce_row(ReduceKind::sum, t.row(Row::square, d)), count);
  const auto inv = t.row(Row::rsqrt, t.row(Row::add, var, eps));
  const auto norm = t.row(Row::multiply, d, inv);
  t.store(t.row(Row::add, t.row(Row::multiply, norm, gamma), beta));
  t.store_row(mean);
  t.store_row(inv);
  return t.op();
}

// What a backward pass of a norm holds: full, row and column outputs at once.
OpPtr mixed_tape() {
  TapeMaker t(1);
  const auto x = t.load(float32), g = t.load(float32);
  const auto xg = t.row(Row::multiply, x, g);
  const auto s = t.reduce_row(ReduceKind::sum, xg);
  t.store(t.row(Row::subtract, g, t.row(Row::multiply, x, s)));
  t.store_row(s);
  t.reduce_column(ReduceKind::sum, xg);
  t.reduce_column(ReduceKind::max, t.row(Row::add, g, s));
  return t.op();
}

// 0, 1, ... limit in disorder.
Tensor naturals(Dtype dtype, const Shape& shape, int seed, int limit) {
  return tensor(dtype, shape, [=](int64_t i) {
    return double((i * 7919 + i / 13 + seed) % (limit + 1));
  });
}

Tensor scalar_over(const Shape& space, Dtype dtype, double v) {
  return tensor(dtype, {}, std::vector<double>{v}).broadcast(space);
}

}  // namespace treadle::testing
