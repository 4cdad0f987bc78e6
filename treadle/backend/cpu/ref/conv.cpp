#include "treadle/backend/cpu/ref/conv.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "treadle/backend/cpu/conv_problem.h"
#include "treadle/backend/cpu/convert.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// Elements from one position to the next, of a row-contiguous array
// (first, spatial ..., channels).
int64_t offset(int64_t first,
               const Lengths& spatial,
               const Lengths& at,
               int64_t channels) {
  for (size_t i = 0; i < 3; ++i) first = first * spatial[i] + at[i];
  return first * channels;
}

// Calls f(x, w, y) with the offsets of every pair of positions that meet, of
// the first channel of each group. The channels of one group follow.
template <class F>
void for_each_meeting(const ConvProblem& p, F&& f) {
  const int64_t x_channels = p.groups * p.in_channels;
  const int64_t y_channels = p.groups * p.out_channels;
  const int64_t w_row = p.kernel[0] * p.kernel[1] * p.kernel[2] * p.in_channels;
  Lengths o, k, at;
  for (int64_t n = 0; n < p.n; ++n) {
    for (o[0] = 0; o[0] < p.out[0]; ++o[0]) {
      for (o[1] = 0; o[1] < p.out[1]; ++o[1]) {
        for (o[2] = 0; o[2] < p.out[2]; ++o[2]) {
          for (k[0] = 0; k[0] < p.kernel[0]; ++k[0]) {
            for (k[1] = 0; k[1] < p.kernel[1]; ++k[1]) {
              for (k[2] = 0; k[2] < p.kernel[2]; ++k[2]) {
                bool inside = true;
                Lengths tap = k;
                for (size_t i = 0; i < 3; ++i) {
                  const int64_t wide = o[i] * p.stride[i] - p.low[i] +
                                       k[i] * p.kernel_dilation[i];
                  inside = inside && wide >= 0 &&
                           wide % p.input_dilation[i] == 0 &&
                           wide / p.input_dilation[i] < p.in[i];
                  at[i] = wide / p.input_dilation[i];
                  if (p.flip) tap[i] = p.kernel[i] - 1 - k[i];
                }
                if (!inside) continue;
                const int64_t x = offset(n, p.in, at, x_channels);
                const int64_t w = offset(0, p.kernel, tap, p.in_channels);
                const int64_t y = offset(n, p.out, o, y_channels);
                for (int64_t g = 0; g < p.groups; ++g) {
                  f(x + g * p.in_channels,
                    w + g * p.out_channels * w_row,
                    y + g * p.out_channels);
                }
              }
            }
          }
        }
      }
    }
  }
}

enum class Unknown { x, w, y };

// Sums are kept in double, wide enough to be the exact side of a comparison.
template <class T, Unknown unknown>
void compute(const ConvProblem& p,
             const Operand& first,
             const Operand& second,
             const Operand& out) {
  const int64_t w_row = p.kernel[0] * p.kernel[1] * p.kernel[2] * p.in_channels;
  const T* const a = static_cast<const T*>(first.data);
  const T* const b = static_cast<const T*>(second.data);
  std::vector<double> sum(size_t(treadle::size_of(out.shape)), 0);
  for_each_meeting(p, [&](int64_t x, int64_t w, int64_t y) {
    for (int64_t o = 0; o < p.out_channels; ++o) {
      for (int64_t c = 0; c < p.in_channels; ++c) {
        const int64_t xi = x + c, wi = w + o * w_row + c, yi = y + o;
        if constexpr (unknown == Unknown::y) {
          sum[size_t(yi)] += double(a[xi]) * double(b[wi]);
        } else if constexpr (unknown == Unknown::x) {
          sum[size_t(xi)] += double(a[wi]) * double(b[yi]);
        } else {
          sum[size_t(wi)] += double(a[xi]) * double(b[yi]);
        }
      }
    }
  });
  T* const to = static_cast<T*>(out.data);
  for (size_t i = 0; i < sum.size(); ++i) to[i] = convert<T>(sum[i]);
}

template <class O, Unknown unknown>
void run(const Task& task) {
  const Operand &a = task.in[0], &b = task.in[1], &out = task.out[0];
  const ConvProblem p = conv_problem(
      static_cast<const O&>(task.op), a.shape, b.shape, out.shape, out.dtype);
  visit_dtype(out.dtype, [&]<class T>() {
    if constexpr (std::is_floating_point_v<T> || is_half_type<T>) {
      compute<T, unknown>(p, a, b, out);
    }
  });
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  return is_floating(in[0].dtype) ? "" : "takes floating dtypes";
}

}  // namespace

runtime::Kernel ref_conv() {
  return {
      .name = "ref::conv", .why_not = why_not, .run = run<Conv, Unknown::y>};
}
runtime::Kernel ref_conv_input_grad() {
  return {.name = "ref::conv_input_grad",
          .why_not = why_not,
          .run = run<ConvInputGrad, Unknown::x>};
}
runtime::Kernel ref_conv_weight_grad() {
  return {.name = "ref::conv_weight_grad",
          .why_not = why_not,
          .run = run<ConvWeightGrad, Unknown::w>};
}

}  // namespace treadle::backend::cpu
