// The attention kernels against sums written out in double precision.
#include "treadle/backend/cpu/attention.h"

#include <cmath>

#include <gtest/gtest.h>

#include "treadle/ops/attention.h"

#include "tests/backend/kernel_call.h"
#include "tests/support/tolerance.h"

namespace treadle::testing {
namespace {

using Values = std::vector<double>;

struct Case {
  int64_t batches, heads, groups, rows, keys, depth, width;
  AttentionMask mask = AttentionMask::none;
  bool sinks = false;
  Dtype dtype = float32;
  Shape mask_shape = {};  // default: a number for each score

  friend std::ostream& operator<<(std::ostream& os, const Case& c) {
    return os << c.batches << "x" << c.heads << "/" << c.groups << " " << c.rows
              << "x" << c.keys << " " << c.depth << "," << c.width << " mask "
              << int(c.mask) << (c.sinks ? " sinks " : " ") << name_of(c.dtype);
  }
};

struct Problem {
  Attention op;
  std::vector<Tensor> in;
  Tensor dout;
};

Problem problem(const Case& c) {
  Problem p;
  p.op.scale = 0.3;
  p.op.mask = c.mask;
  p.op.has_sinks = c.sinks;
  p.in = {normal(c.dtype, {c.batches, c.heads, c.rows, c.depth}, 1),
          normal(c.dtype, {c.batches, c.groups, c.keys, c.depth}, 2),
          normal(c.dtype, {c.batches, c.groups, c.keys, c.width}, 3)};
  if (p.op.has_mask()) {
    Shape shape = c.mask_shape.empty()
                      ? Shape{c.batches, c.heads, c.rows, c.keys}
                      : c.mask_shape;
    const Values v = normal(float32, shape, 4).values();
    p.in.push_back(
        tensor(c.mask == AttentionMask::boolean ? bool_ : c.dtype,
               shape,
               [&](int64_t i) {
                 const double x = v[size_t(i)];
                 if (c.mask == AttentionMask::boolean) return double(x > -0.3);
                 return x < -1 ? -std::numeric_limits<double>::infinity() : x;
               }));
  }
  if (c.sinks) p.in.push_back(normal(c.dtype, {c.heads}, 5));
  p.dout = normal(c.dtype, {c.batches, c.heads, c.rows, c.width}, 6);
  return p;
}

struct Expected {
  Values out, lse, dq, dk, dv, dsinks;
};

Expected expected(const Case& c, const Problem& p) {
  const Values q = p.in[0].values(), k = p.in[1].values(), v = p.in[2].values();
  const Values dout = p.dout.values();
  Values mask, sinks(size_t(c.heads), -INFINITY);
  if (p.op.has_mask())
    mask = Tensor(p.in[3])
               .broadcast({c.batches, c.heads, c.rows, c.keys})
               .values();
  if (c.sinks) sinks = p.in.back().values();
  Expected e;
  e.out.resize(dout.size());
  e.dq.resize(q.size());
  e.dk.resize(k.size());
  e.dv.resize(v.size());
  e.dsinks.resize(size_t(c.heads));
  for (int64_t b = 0; b < c.batches; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.groups);
      for (int64_t i = 0; i < c.rows; ++i) {
        const int64_t row = (b * c.heads + h) * c.rows + i;
        auto key = [&](int64_t j) { return (b * c.groups + g) * c.keys + j; };
        Values s(size_t(c.keys)), weight(s.size()), dweight(s.size());
        std::vector<bool> hidden(s.size());
        double top = sinks[size_t(h)];
        bool blind = !c.sinks;
        for (int64_t j = 0; j < c.keys; ++j) {
          double x = 0;
          for (int64_t d = 0; d < c.depth; ++d)
            x += q[size_t(row * c.depth + d)] * k[size_t(key(j) * c.depth + d)];
          x *= p.op.scale;
          bool hide =
              c.mask == AttentionMask::causal && j > i + c.keys - c.rows;
          if (!mask.empty()) {
            const double m = mask[size_t(row * c.keys + j)];
            if (c.mask == AttentionMask::boolean) {
              hide = m == 0;
            } else {
              x += m;
            }
          }
          hidden[size_t(j)] = hide;
          blind = blind && hide;
          s[size_t(j)] = hide ? -INFINITY : x;
          top = std::max(top, s[size_t(j)]);
        }
        double sum = c.sinks ? std::exp(sinks[size_t(h)] - top) : 0;
        for (size_t j = 0; j < s.size(); ++j) {
          weight[j] = blind ? 1 : std::exp(s[j] - top);
          sum += weight[j];
        }
        e.lse.push_back(blind ? INFINITY : top + std::log(sum));
        double delta = 0;
        for (int64_t j = 0; j < c.keys; ++j) {
          const double w = weight[size_t(j)] /= sum;
          for (int64_t d = 0; d < c.width; ++d) {
            const double x = v[size_t(key(j) * c.width + d)],
                         dy = dout[size_t(row * c.width + d)];
            e.out[size_t(row * c.width + d)] += w * x;
            e.dv[size_t(key(j) * c.width + d)] += w * dy;
            dweight[size_t(j)] += x * dy;
          }
          delta += w * dweight[size_t(j)];
        }
        if (c.sinks) {
          e.dsinks[size_t(h)] -= std::exp(sinks[size_t(h)] - top) / sum * delta;
        }
        for (int64_t j = 0; j < c.keys; ++j) {
          if (hidden[size_t(j)]) continue;
          const double ds = weight[size_t(j)] * (dweight[size_t(j)] - delta);
          for (int64_t d = 0; d < c.depth; ++d) {
            const size_t at = size_t(row * c.depth + d),
                         to = size_t(key(j) * c.depth + d);
            e.dq[at] += p.op.scale * ds * k[to];
            e.dk[to] += p.op.scale * ds * q[at];
          }
        }
      }
    }
  }
  return e;
}

void expect_near(const Tensor& got,
                 const Values& want,
                 double ulps,
                 const char* what) {
  const Values v = got.values();
  ASSERT_EQ(v.size(), want.size()) << what;
  double size = 0;
  for (double x : want) {
    if (std::isfinite(x)) size = std::max(size, std::abs(x));
  }
  for (size_t i = 0; i < v.size(); ++i) {
    ASSERT_TRUE(close(v[i], want[i], got.spec.dtype, ulps, size))
        << what << "[" << i << "]: got " << v[i] << ", expected " << want[i];
  }
}

struct Results {
  std::vector<Tensor> forward, backward;
};

Results run(const Case& c, const Problem& p, int threads) {
  Results r;
  r.forward = call(backend::cpu::attention(), p.op, p.in, threads);
  AttentionGrad op;
  op.scale = p.op.scale;
  op.mask = p.op.mask;
  op.has_sinks = p.op.has_sinks;
  op.wrt = {0, 1, 2};
  if (c.sinks) op.wrt.push_back(int(p.in.size()) - 1);
  std::vector<Tensor> in = p.in;
  in.insert(in.end(), {r.forward[0], r.forward[1], p.dout});
  r.backward = call(backend::cpu::attention_grad(), op, in, threads);
  return r;
}

void check(const Case& c, const Problem& p, double ulps) {
  const Expected e = expected(c, p);
  const Results r = run(c, p, 1);
  expect_near(r.forward[0], e.out, ulps, "out");
  expect_near(r.forward[1], e.lse, 8, "lse");
  // out, rounded, takes part in the gradient.
  expect_near(r.backward[0], e.dq, 2 * ulps, "dq");
  expect_near(r.backward[1], e.dk, 2 * ulps, "dk");
  expect_near(r.backward[2], e.dv, 2 * ulps, "dv");
  // A sum of numbers of both signs.
  if (c.sinks) expect_near(r.backward[3], e.dsinks, 16 * ulps, "dsinks");
}

class AttentionKernel : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionKernel, IsCloseToSumsInDoublePrecision) {
  const Case& c = GetParam();
  check(c, problem(c), is_half(c.dtype) ? 2 : 8);
}

TEST_P(AttentionKernel, DoesNotDependOnTheNumberOfThreads) {
  const Problem p = problem(GetParam());
  const Results one = run(GetParam(), p, 1), many = run(GetParam(), p, 3);
  for (size_t i = 0; i < one.forward.size(); ++i)
    EXPECT_EQ(one.forward[i].memory, many.forward[i].memory) << i;
  for (size_t i = 0; i < one.backward.size(); ++i)
    EXPECT_EQ(one.backward[i].memory, many.backward[i].memory) << i;
}

constexpr auto kNone = AttentionMask::none, kCausal = AttentionMask::causal,
               kBoolean = AttentionMask::boolean,
               kAdditive = AttentionMask::additive;

INSTANTIATE_TEST_SUITE_P(
    Table,
    AttentionKernel,
    ::testing::Values(
        Case{1, 1, 1, 1, 1, 1, 1},
        Case{2, 3, 3, 17, 45, 5, 7},
        Case{1, 2, 1, 64, 64, 64, 64},
        Case{1, 2, 2, 130, 200, 16, 80},
        Case{1, 1, 1, 200, 1100, 24, 8},  // keys in pieces
        Case{1, 2, 2, 130, 200, 32, 48, kCausal},
        Case{2, 2, 1, 96, 96, 64, 64, kCausal},
        Case{1, 4, 2, 70, 70, 20, 12, kCausal, true},
        Case{1, 2, 1, 70, 20, 8, 8, kCausal},        // 50 queries see nothing
        Case{1, 2, 1, 70, 20, 8, 8, kCausal, true},  // 50 see a sink alone
        Case{1, 2, 1, 4, 2, 8, 8, kCausal, true},
        Case{1, 4, 2, 70, 100, 8, 8, kBoolean},
        Case{2, 4, 2, 70, 100, 8, 8, kBoolean, false, float32, {2, 1, 1, 100}},
        Case{1, 2, 2, 5, 3, 8, 8, kBoolean},  // some see nothing
        Case{1, 4, 2, 70, 100, 8, 8, kAdditive, true},
        Case{2, 4, 2, 70, 100, 8, 8, kAdditive, false, float32, {1, 4, 70, 1}},
        // Few queries, keys in pieces.
        Case{1, 2, 2, 1, 1200, 24, 70},
        Case{2, 4, 2, 1, 300, 64, 64, kBoolean, true},
        Case{1, 2, 1, 4, 1200, 64, 64, kCausal, true, bfloat16},
        Case{1, 2, 1, 3, 2, 8, 8, kCausal},
        Case{1, 2, 2, 2, 600, 8, 8, kAdditive, false, float16, {1, 1, 1, 600}},
        Case{1, 2, 2, 2, 600, 8, 20, kAdditive, false, float32, {1, 2, 2, 1}},
        Case{1, 4, 1, 3, 100, 64, 64, kNone, true},
        Case{1, 2, 1, 80, 90, 16, 16, kCausal, false, float16},
        Case{1, 2, 1, 80, 90, 16, 16, kCausal, true, bfloat16},
        // Pairs, where the machine has them: in several tasks, with odd ends.
        Case{1, 2, 1, 300, 133, 40, 72, kCausal, false, bfloat16},
        Case{1, 2, 2, 60, 301, 64, 64, kBoolean, true, bfloat16},
        Case{1, 1, 1, 70, 30, 32, 16, kCausal, false, bfloat16},
        Case{1, 4, 2, 70, 600, 64, 64, kNone, false, bfloat16},
        Case{2, 4, 2, 100, 77, 48, 80, kCausal, true, bfloat16},
        Case{1, 2, 2, 40, 70, 64, 64, kAdditive, false, bfloat16},
        Case{1, 2, 2, 40, 70, 17, 33, kBoolean, false, float16}));

TEST(AttentionKernel, TakesOperandsOfAnyLayout) {
  const Case c{2, 2, 2, 33, 70, 16, 16, kBoolean};
  Problem p = problem(c);
  const Results plain = run(c, p, 1);
  // Heads beside features, as a layer's projection has them.
  for (size_t i : {0, 1, 2}) {
    const Shape s = p.in[i].spec.shape;
    const Values v = p.in[i].transposed({0, 2, 1, 3}).values();
    p.in[i] =
        tensor(c.dtype, {s[0], s[2], s[1], s[3]}, v).transposed({0, 2, 1, 3});
  }
  // Features that lie apart.
  const Values k = p.in[1].transposed({0, 1, 3, 2}).values();
  p.in[1] = tensor(c.dtype, {2, 2, 16, 70}, k).transposed({0, 1, 3, 2});
  const Values m = p.in[3].transposed({3, 2, 1, 0}).values();
  p.in[3] = tensor(bool_, {70, 33, 2, 2}, m).transposed({3, 2, 1, 0});
  const Results strided = run(c, p, 1);
  for (size_t i = 0; i < plain.forward.size(); ++i)
    EXPECT_EQ(plain.forward[i].memory, strided.forward[i].memory) << i;
  for (size_t i = 0; i < plain.backward.size(); ++i)
    EXPECT_EQ(plain.backward[i].memory, strided.backward[i].memory) << i;
}

// Tiles that a mask hides are not computed, whatever kind of mask says so.
TEST(AttentionKernel, EveryMaskThatSaysCausalIsCausal) {
  for (Dtype dtype : {float32, bfloat16}) {
    Case c{1, 2, 1, 150, 200, 32, 32, kCausal, false, dtype};
    Problem p = problem(c);
    const Results want = run(c, p, 1);
    const double lowest = double(std::numeric_limits<float>::lowest());
    for (double low :
         {-1e9, -double(INFINITY), dtype == float32 ? lowest : -1e30, 0.0}) {
      c.mask = low == 0 ? kBoolean : kAdditive;
      Problem masked = p;
      masked.op.mask = c.mask;
      masked.in.push_back(
          tensor(low == 0 ? bool_ : dtype, {1, 1, 150, 200}, [&](int64_t i) {
            const bool seen = i % 200 <= i / 200 + 50;
            return low == 0 ? double(seen) : seen ? 0.0 : low;
          }));
      const Results got = run(c, masked, 1);
      for (size_t i = 0; i < 2; ++i)
        expect_near(got.forward[i], want.forward[i].values(), 2, "forward");
      for (size_t i = 0; i < 3; ++i)
        expect_near(got.backward[i], want.backward[i].values(), 4, "backward");
    }
  }
}

TEST(AttentionKernel, KeepsLargeScoresAndNaN) {
  const Case c{1, 1, 1, 40, 70, 8, 8};
  Problem p = problem(c);
  // Scores of some hundreds, whose rounding errors weights show.
  p.op.scale = 40;
  check(c, p, 1000);
  Values q = p.in[0].values();
  q[3] = NAN;
  p.in[0] = tensor(float32, p.in[0].spec.shape, q);
  const Values out = run(c, p, 1).forward[0].values();
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_EQ(std::isnan(out[i]), i < 8) << i;
}

}  // namespace
}  // namespace treadle::testing
