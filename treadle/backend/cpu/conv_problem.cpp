#include "treadle/backend/cpu/conv_problem.h"

#include <algorithm>

namespace treadle::backend::cpu {

namespace {

Lengths three(const int64_t* first, const int64_t* last, int64_t missing) {
  Lengths v;
  v.fill(missing);
  std::copy(first, last, v.end() - (last - first));
  return v;
}
Lengths three(const Shape& v, int64_t missing) {
  return three(v.begin(), v.end(), missing);
}
Lengths spatial_of(const Shape& shape) {
  return three(shape.begin() + 1, shape.end() - 1, 1);
}

ConvProblem problem(const ConvGeometry& g,
                    const Shape& x,
                    const Shape& w,
                    const Shape& y,
                    Dtype dtype) {
  ConvProblem p;
  p.spatial = g.spatial();
  p.n = x[0];
  p.groups = g.groups;
  p.in_channels = x.back() / g.groups;
  p.out_channels = y.back() / g.groups;
  p.in = spatial_of(x);
  p.kernel = spatial_of(w);
  p.out = spatial_of(y);
  p.stride = three(g.stride, 1);
  p.low = three(g.low, 0);
  p.kernel_dilation = three(g.kernel_dilation, 1);
  p.input_dilation = three(g.input_dilation, 1);
  p.flip = g.flip;
  p.dtype = dtype;
  return p;
}

}  // namespace

bool ConvProblem::has_no_sum() const {
  if (n == 0 || in_channels == 0 || out_channels == 0) return true;
  for (size_t i = 0; i < 3; ++i) {
    if (in[i] == 0 || kernel[i] == 0 || out[i] == 0) return true;
  }
  return false;
}

ConvProblem conv_problem(const Conv& op,
                         const Shape& x,
                         const Shape& w,
                         const Shape& y,
                         Dtype dtype) {
  return problem(op.geometry, x, w, y, dtype);
}
ConvProblem conv_problem(const ConvInputGrad& op,
                         const Shape& w,
                         const Shape& y,
                         const Shape& x,
                         Dtype dtype) {
  return problem(op.geometry, x, w, y, dtype);
}
ConvProblem conv_problem(const ConvWeightGrad& op,
                         const Shape& x,
                         const Shape& y,
                         const Shape& w,
                         Dtype dtype) {
  return problem(op.geometry, x, w, y, dtype);
}

}  // namespace treadle::backend::cpu
