// Convolution kernels: the reference against stored exact results, the fast
// ones against the reference on small integers, where all dtypes are exact.
#include "treadle/ops/conv.h"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/backend/cpu/conv_matmul.h"
#include "treadle/backend/cpu/onednn/conv.h"
#include "treadle/backend/cpu/ref/conv.h"

#include "tests/backend/conv_cases.h"
#include "tests/backend/kernel_call.h"

namespace treadle::testing {
namespace {

namespace cpu = backend::cpu;

ConvGeometry geometry_of(const ConvCase& c) {
  ConvGeometry g;
  g.stride = c.stride;
  g.low = c.low;
  g.high = c.high;
  g.kernel_dilation = c.kernel_dilation;
  g.input_dilation = c.input_dilation;
  g.groups = c.groups;
  g.flip = c.flip;
  return g;
}

Shape spatial_of(const Shape& s) { return Shape(s.begin() + 1, s.end() - 1); }

// The three ops of one geometry.
struct Ops {
  Conv forward;
  ConvInputGrad input;
  ConvWeightGrad weight;

  Ops(const ConvGeometry& g, const Shape& x, const Shape& w) {
    forward.geometry = input.geometry = weight.geometry = g;
    input.spatial = spatial_of(x);
    weight.spatial = spatial_of(w);
  }
};

TEST(ConvKernels, ReferenceGivesTheStoredResultsAndGradients) {
  for (const ConvCase& c : kConvCases) {
    for (Dtype dtype : {float32, float64, bfloat16, float16}) {
      const Tensor x = tensor(dtype, c.x, conv_x),
                   w = tensor(dtype, c.w, conv_w),
                   ct = tensor(dtype, c.y, conv_ct);
      const Ops ops(geometry_of(c), c.x, c.w);
      const Tensor y = call(cpu::ref_conv(), ops.forward, {x, w})[0];
      EXPECT_EQ(y.spec.shape, c.y) << c.name;
      EXPECT_EQ(y.values(), c.result) << c.name;
      const Tensor gx = call(cpu::ref_conv_input_grad(), ops.input, {w, ct})[0];
      EXPECT_EQ(gx.spec.shape, c.x) << c.name;
      EXPECT_EQ(gx.values(), c.x_grad) << c.name;
      const Tensor gw =
          call(cpu::ref_conv_weight_grad(), ops.weight, {x, ct})[0];
      EXPECT_EQ(gw.spec.shape, c.w) << c.name;
      EXPECT_EQ(gw.values(), c.w_grad) << c.name;
    }
  }
}

// How many of oneDNN's kernels took the problem; those that did are exact, and
// so are those that make a matrix product of it, which take all.
int expect_exact(const ConvGeometry& g,
                 const Shape& x_shape,
                 const Shape& w_shape,
                 Dtype dtype,
                 const std::string& what,
                 int threads = 2) {
  const Ops ops(g, x_shape, w_shape);
  const Tensor x = integers(dtype, x_shape, 1, 1),
               w = integers(dtype, w_shape, 2, 1);
  const Tensor y = call(cpu::ref_conv(), ops.forward, {x, w})[0];
  const Tensor ct = integers(dtype, y.spec.shape, 3, 1);
  struct {
    runtime::Kernel onednn, matmul, reference;
    const Op& op;
    std::vector<Tensor> in;
  } const triples[] = {
      {cpu::onednn_conv(),
       cpu::matmul_conv(),
       cpu::ref_conv(),
       ops.forward,
       {x, w}},
      {cpu::onednn_conv_input_grad(),
       cpu::matmul_conv_input_grad(),
       cpu::ref_conv_input_grad(),
       ops.input,
       {w, ct}},
      {cpu::onednn_conv_weight_grad(),
       cpu::matmul_conv_weight_grad(),
       cpu::ref_conv_weight_grad(),
       ops.weight,
       {x, ct}},
  };
  int taken = 0;
  for (const auto& t : triples) {
    const std::vector<double> want = call(t.reference, t.op, t.in)[0].values();
    for (const runtime::Kernel* k : {&t.onednn, &t.matmul}) {
      if (!why_not(*k, t.op, t.in).empty()) {
        EXPECT_EQ(k, &t.onednn) << what;
        continue;
      }
      taken += k == &t.onednn;
      EXPECT_EQ(call(*k, t.op, t.in, threads)[0].values(), want)
          << k->name << " " << name_of(dtype) << " " << what
          << ", threads=" << threads;
    }
  }
  return taken;
}

bool has_onednn() {
  const Ops ops({{1}, {0}, {0}, {1}, {1}}, {1, 1, 1}, {1, 1, 1});
  const Tensor one = integers(float32, {1, 1, 1}, 1);
  return why_not(cpu::onednn_conv(), ops.forward, {one, one}).empty();
}
const bool kHasOneDnn = has_onednn();

TEST(ConvKernels, FastOnesAgreeWithTheReferenceOnTheStoredGeometries) {
  for (const ConvCase& c : kConvCases) {
    const bool left_out =
        c.name == "stride and input dilation" || c.name == "negative padding";
    for (Dtype dtype : {float32, bfloat16, float16, float64}) {
      const int threads = dtype == float32 ? 1 : 2;
      const bool none = left_out || dtype == float64 || !kHasOneDnn;
      EXPECT_EQ(expect_exact(geometry_of(c), c.x, c.w, dtype, c.name, threads),
                none ? 0 : 3)
          << c.name;
    }
  }
}

TEST(ConvKernels, FastOnesAgreeWithTheReferenceOnManyGeometries) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  for (int64_t stride : {1, 2}) {
    for (int64_t dilation : {1, 2}) {
      for (int64_t pad : {0, 2}) {
        for (int groups : {1, 6}) {
          for (bool flip : {false, true}) {
            for (bool transposed : {false, true}) {
              ConvGeometry g;
              const Shape one = {1, 1}, wide = {stride, stride};
              g.stride = transposed ? one : wide;
              g.input_dilation = transposed ? wide : one;
              g.low = {pad, 1};
              g.high = {1, pad};
              g.kernel_dilation = {dilation, 1};
              g.groups = groups;
              g.flip = flip;
              for (Dtype dtype : {float32, bfloat16}) {
                if (dtype == bfloat16 && flip) continue;  // to save time
                EXPECT_EQ(
                    expect_exact(
                        g,
                        {2, 6, 5, 6},
                        {12, 3, 2, 6 / groups},
                        dtype,
                        fmt::format("stride {} dilation {} pad {} groups {} "
                                    "flip {} transposed {}",
                                    stride,
                                    dilation,
                                    pad,
                                    groups,
                                    flip,
                                    transposed)),
                    3);
              }
            }
          }
        }
      }
    }
  }
}

TEST(ConvKernels, FastOnesTakeOneAndThreeSpatialAxes) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  for (bool flip : {false, true}) {
    for (Dtype dtype : {float32, bfloat16, float16}) {
      const ConvGeometry one{{2}, {1}, {1}, {1}, {1}, 2, flip};
      EXPECT_EQ(expect_exact(one, {3, 20, 16}, {32, 3, 8}, dtype, "1d"), 3);
      const ConvGeometry three{
          {1, 2, 1}, {1, 1, 0}, {0, 1, 1}, {1, 1, 2}, {1, 1, 1}, 1, flip};
      EXPECT_EQ(
          expect_exact(three, {2, 3, 4, 5, 4}, {8, 2, 3, 2, 4}, dtype, "3d"),
          3);
    }
  }
}

TEST(ConvKernels, EmptyInputsGiveEmptyResultsAndZeroGradients) {
  const ConvGeometry g{{1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, 1, false};
  for (const Shape& x : {Shape{0, 4, 4, 3}, Shape{2, 4, 4, 0}}) {
    const Shape w = {5, 3, 3, x.back()};
    EXPECT_EQ(expect_exact(g, x, w, float32, "empty"), kHasOneDnn ? 3 : 0);
  }
}

TEST(ConvKernels, FastOnesSayWhatTheyDoNotTake) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  auto reason = [](const ConvGeometry& g, Dtype dtype) {
    const Ops ops(g, {1, 8, 8, 1}, {1, 2, 2, 1});
    return why_not(
        cpu::onednn_conv(),
        ops.forward,
        {integers(dtype, {1, 8, 8, 1}, 1), integers(dtype, {1, 2, 2, 1}, 2)});
  };
  EXPECT_EQ(reason({{2, 2}, {0, 0}, {0, 0}, {1, 1}, {2, 2}, 1, false}, float32),
            "does not take stride and input_dilation at once");
  EXPECT_EQ(
      reason({{1, 1}, {-1, 0}, {0, 0}, {1, 1}, {1, 1}, 1, false}, float32),
      "does not take padding that cuts off");
  EXPECT_EQ(reason({{1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, 1, false}, float64),
            "takes float32, bfloat16 and float16, not float64");
}

// Enough positions for several blocks of rows and parts of sums: the same bits
// for any number of threads.
TEST(ConvKernels, ThoseByMatrixProductDoNotDependOnTheNumberOfThreads) {
  const ConvGeometry g{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, false};
  for (Dtype dtype : {float32, float64}) {
    const Tensor x = normal(dtype, {5, 30, 31, 24}, 1),
                 ct = normal(dtype, {5, 30, 31, 20}, 2);
    const Ops ops(g, x.spec.shape, {20, 3, 3, 24});
    const runtime::Kernel k = cpu::matmul_conv_weight_grad();
    EXPECT_EQ(call(k, ops.weight, {x, ct}, 1)[0].values(),
              call(k, ops.weight, {x, ct}, 3)[0].values());
  }
}

// Rounding: at most what a sum of that many float32 products may have.
TEST(ConvKernels, ErrorOnNormalNumbersIsThatOfFloat32Sums) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  const ConvGeometry g{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1, false};
  const Tensor x = normal(float32, {2, 14, 14, 32}, 1),
               w = normal(float32, {48, 3, 3, 32}, 2);
  const Ops ops(g, x.spec.shape, w.spec.shape);
  const std::vector<double> want =
      call(cpu::ref_conv(), ops.forward, {x, w})[0].values();
  const std::vector<double> size =
      call(cpu::ref_conv(), ops.forward, {absolute(x), absolute(w)})[0]
          .values();
  const std::vector<double> got =
      call(cpu::onednn_conv(), ops.forward, {x, w})[0].values();
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::abs(got[i] - want[i]), std::sqrt(288.0) * 0x1p-24 * size[i]);
  }
}

}  // namespace
}  // namespace treadle::testing
