#include "treadle/ops/conv.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Shape spatial_of(const Shape& shape) {
  return Shape(shape.begin() + 1, shape.end() - 1);
}

Shape with_spatial(int64_t first, const Shape& spatial, int64_t last) {
  Shape out{first};
  out.append(spatial.begin(), spatial.end());
  out.push_back(last);
  return out;
}

template <class T>
T with(const ConvGeometry& geometry, const Shape& spatial) {
  T op;
  op.geometry = geometry;
  op.spatial = spatial;
  return op;
}

array conv(const ConvGeometry& g, const array& x, const array& w) {
  Conv op;
  op.geometry = g;
  return record(std::move(op), {x, w}, resolve({}));
}
array input_grad(const ConvGeometry& g,
                 const Shape& spatial,
                 const array& w,
                 const array& ct) {
  return record(with<ConvInputGrad>(g, spatial), {w, ct}, resolve({}));
}
array weight_grad(const ConvGeometry& g,
                  const Shape& spatial,
                  const array& x,
                  const array& ct) {
  return record(with<ConvWeightGrad>(g, spatial), {x, ct}, resolve({}));
}

// The tangent of an op that is linear in each of its two inputs.
template <class F>
Arrays bilinear_jvp(const Arrays& x, const Arrays& t, Argnums args, F&& f) {
  array y;
  for (size_t i = 0; i < args.size(); ++i) {
    if (t[i].null()) continue;
    array part = args[i] == 0 ? f(t[i], x[1]) : f(x[0], t[i]);
    y = y.null() ? part : add(y, part);
  }
  return {y};
}

// vmap
// --------------------------------------------------------------------------

int64_t batch_of(const Arrays& x, std::span<const int> axes) {
  return axes[0] != kNotMapped ? x[0].shape(axes[0]) : x[1].shape(axes[1]);
}

// With the mapped axis in front; repeated when there is none.
array batched(const array& x, int axis, int64_t batch) {
  if (axis != kNotMapped) return moveaxis(x, axis, 0);
  Shape shape{batch};
  shape.append(x.shape().begin(), x.shape().end());
  return broadcast_to(x, shape);
}

// Axis `from` joins axis `to` (counted without `from`), as the slower one.
array join(const array& x, int from, int to) {
  array y = moveaxis(x, from, to);
  return flatten(y, to, to + 1);
}

// Axis `from`, which holds `batch` parts, becomes an axis in front.
array part(const array& x, int64_t batch, int from) {
  return moveaxis(unflatten(x, from, {batch, -1}), from, 0);
}

ConvGeometry grouped(const ConvGeometry& g, int64_t batch) {
  ConvGeometry wide = g;
  wide.groups = int(g.groups * batch);
  return wide;
}

}  // namespace

// rules
// -------------------------------------------------------------------------

Shape ConvGeometry::output(const Shape& input, const Shape& weight) const {
  Shape out;
  for (size_t i = 0; i < spatial(); ++i) {
    const int64_t length =
        input[i] == 0 ? 0 : (input[i] - 1) * input_dilation[i] + 1;
    const int64_t padded = length + low[i] + high[i];
    const int64_t reach = (weight[i] - 1) * kernel_dilation[i] + 1;
    if (weight[i] < 1 || padded < reach) {
      invalid("conv",
              fmt::format("the kernel does not fit into the input along "
                          "spatial axis {}: it spans {} elements; the padded "
                          "input has {}.",
                          i,
                          reach,
                          padded));
    }
    out.push_back((padded - reach) / stride[i] + 1);
  }
  return out;
}

bool is_product(const Op& op) {
  return as<Matmul>(op) || as<Conv>(op) || as<ConvInputGrad>(op) ||
         as<ConvWeightGrad>(op);
}

Specs Conv::infer(std::span<const Spec> in) const {
  const Shape &x = in[0].shape, &w = in[1].shape;
  Shape out = geometry.output(spatial_of(x), spatial_of(w));
  return {Spec{with_spatial(x[0], out, w[0]), in[0].dtype}};
}

Specs ConvInputGrad::infer(std::span<const Spec> in) const {
  const Shape &w = in[0].shape, &ct = in[1].shape;
  return {Spec{with_spatial(ct[0], spatial, w.back() * geometry.groups),
               in[0].dtype}};
}

Specs ConvWeightGrad::infer(std::span<const Spec> in) const {
  const Shape &x = in[0].shape, &ct = in[1].shape;
  return {Spec{with_spatial(ct.back(), spatial, x.back() / geometry.groups),
               in[0].dtype}};
}

Arrays Conv::jvp(const Arrays& x,
                 const Arrays&,
                 const Arrays& t,
                 Argnums args) const {
  return bilinear_jvp(x, t, args, [&](const array& a, const array& w) {
    return conv(geometry, a, w);
  });
}
Arrays ConvInputGrad::jvp(const Arrays& x,
                          const Arrays&,
                          const Arrays& t,
                          Argnums args) const {
  return bilinear_jvp(x, t, args, [&](const array& w, const array& ct) {
    return input_grad(geometry, spatial, w, ct);
  });
}
Arrays ConvWeightGrad::jvp(const Arrays& x,
                           const Arrays&,
                           const Arrays& t,
                           Argnums args) const {
  return bilinear_jvp(x, t, args, [&](const array& a, const array& ct) {
    return weight_grad(geometry, spatial, a, ct);
  });
}

Arrays Conv::vjp(const Arrays& x,
                 const Arrays&,
                 const Arrays& ct,
                 Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    return arg == 0
               ? input_grad(geometry, spatial_of(x[0].shape()), x[1], ct[0])
               : weight_grad(geometry, spatial_of(x[1].shape()), x[0], ct[0]);
  });
}
Arrays ConvInputGrad::vjp(const Arrays& x,
                          const Arrays&,
                          const Arrays& ct,
                          Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    return arg == 0
               ? weight_grad(geometry, spatial_of(x[0].shape()), ct[0], x[1])
               : conv(geometry, ct[0], x[0]);
  });
}
Arrays ConvWeightGrad::vjp(const Arrays& x,
                           const Arrays&,
                           const Arrays& ct,
                           Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    return arg == 0
               ? input_grad(geometry, spatial_of(x[0].shape()), ct[0], x[1])
               : conv(geometry, x[0], ct[0]);
  });
}

// A batch of one factor joins an axis that the other factor does not have: N,
// or the channels at the other side of the kernel when there are no groups. A
// batch of both becomes groups of channels.
Mapped Conv::vmap(const Arrays& x, std::span<const int> axes) const {
  const int64_t batch = batch_of(x, axes);
  if (axes[1] == kNotMapped) {
    array y = conv(geometry, flatten(moveaxis(x[0], axes[0], 0), 0, 1), x[1]);
    return {{unflatten(y, 0, {batch, -1})}, {0}};
  }
  array w = flatten(batched(x[1], axes[1], batch), 0, 1);
  if (axes[0] == kNotMapped && geometry.groups == 1) {
    array y = conv(geometry, x[0], w);
    return {{part(y, batch, y.ndim() - 1)}, {0}};
  }
  array a = batched(x[0], axes[0], batch);
  array y = conv(grouped(geometry, batch), join(a, 0, a.ndim() - 2), w);
  return {{part(y, batch, y.ndim() - 1)}, {0}};
}

Mapped ConvInputGrad::vmap(const Arrays& x, std::span<const int> axes) const {
  const int64_t batch = batch_of(x, axes);
  if (axes[0] == kNotMapped) {
    array y = input_grad(
        geometry, spatial, x[0], flatten(moveaxis(x[1], axes[1], 0), 0, 1));
    return {{unflatten(y, 0, {batch, -1})}, {0}};
  }
  if (axes[1] == kNotMapped && geometry.groups == 1) {
    array y = input_grad(
        geometry, spatial, join(x[0], axes[0], x[0].ndim() - 2), x[1]);
    return {{part(y, batch, y.ndim() - 1)}, {0}};
  }
  array w = flatten(batched(x[0], axes[0], batch), 0, 1);
  array ct = batched(x[1], axes[1], batch);
  array y = input_grad(
      grouped(geometry, batch), spatial, w, join(ct, 0, ct.ndim() - 2));
  return {{part(y, batch, y.ndim() - 1)}, {0}};
}

Mapped ConvWeightGrad::vmap(const Arrays& x, std::span<const int> axes) const {
  const int64_t batch = batch_of(x, axes);
  if (axes[1] == kNotMapped && geometry.groups == 1) {
    array y = weight_grad(
        geometry, spatial, join(x[0], axes[0], x[0].ndim() - 2), x[1]);
    return {{part(y, batch, y.ndim() - 1)}, {0}};
  }
  if (axes[0] == kNotMapped && geometry.groups == 1) {
    array y = weight_grad(
        geometry, spatial, x[0], join(x[1], axes[1], x[1].ndim() - 2));
    return {{part(y, batch, 0)}, {0}};
  }
  array a = batched(x[0], axes[0], batch), ct = batched(x[1], axes[1], batch);
  array y = weight_grad(grouped(geometry, batch),
                        spatial,
                        join(a, 0, a.ndim() - 2),
                        join(ct, 0, ct.ndim() - 2));
  return {{part(y, batch, 0)}, {0}};
}

// functions
// ---------------------------------------------------------------------

namespace {

Shape per_axis(const Shape& given,
               size_t spatial,
               int64_t otherwise,
               std::string_view what,
               int64_t least) {
  Shape v = given;
  if (v.size() < 2 && v.size() != spatial) {
    v.assign(spatial, given.empty() ? otherwise : given[0]);
  }
  if (v.size() != spatial) {
    invalid("conv",
            fmt::format("{} has {} entries: got {}; expected one for each of "
                        "the {} spatial axes.",
                        what,
                        v.size(),
                        to_string(given),
                        spatial));
  }
  for (int64_t e : v) {
    if (e < least) {
      invalid(
          "conv",
          fmt::format("{} is not positive: got {}.", what, to_string(given)));
    }
  }
  return v;
}

void check_operands(const array& x, const array& w, const ConvGeometry& g) {
  auto got = [&] {
    return fmt::format(
        "got input {} and weight {}", to_string(x.spec()), to_string(w.spec()));
  };
  if (w.ndim() != x.ndim()) {
    invalid("conv",
            fmt::format("{}; expected as many dimensions in both.", got()));
  }
  if (g.groups < 1) {
    invalid("conv", fmt::format("groups={} is not positive.", g.groups));
  }
  if (x.shape(-1) % g.groups != 0 || w.shape(0) % g.groups != 0) {
    invalid("conv",
            fmt::format("channels do not divide into groups={}: {}; expected "
                        "multiples of it in the input's last and the "
                        "weight's first axis.",
                        g.groups,
                        got()));
  }
  if (x.shape(-1) / g.groups != w.shape(-1)) {
    invalid("conv",
            fmt::format("input channels differ: {}, groups={}; expected an "
                        "input (N, ..., {}), channels last.",
                        got(),
                        g.groups,
                        w.shape(-1) * g.groups));
  }
}

void check_spatial(std::string_view op, const array& x, int spatial) {
  if (x.ndim() != spatial + 2) {
    invalid(op,
            fmt::format("the input has {} dimensions: {}; expected {}: "
                        "(N, ..., C).",
                        x.ndim(),
                        to_string(x.spec()),
                        spatial + 2));
  }
}

Shape list(const std::pair<int, int>& p) { return {p.first, p.second}; }
Shape list(const std::tuple<int, int, int>& p) {
  return {std::get<0>(p), std::get<1>(p), std::get<2>(p)};
}

// A transposed convolution is one over the widened input with the kernel read
// backwards.
array conv_transpose(std::string_view op,
                     const array& x,
                     const array& w,
                     const Shape& stride,
                     const Shape& padding,
                     const Shape& dilation,
                     const Shape& output_padding,
                     int groups,
                     StreamOrDevice s) {
  check_spatial(op, x, int(stride.size()));
  check_spatial(op, w, int(stride.size()));
  Shape low, high;
  for (size_t i = 0; i < stride.size(); ++i) {
    const int64_t reach = dilation[i] * (w.shape()[i + 1] - 1);
    low.push_back(reach - padding[i]);
    high.push_back(reach - padding[i] + output_padding[i]);
  }
  return conv_general(x, w, {}, low, high, dilation, stride, groups, true, s);
}

}  // namespace

array conv_general(const array& input,
                   const array& weight,
                   const Shape& stride,
                   const Shape& padding_lo,
                   const Shape& padding_hi,
                   const Shape& kernel_dilation,
                   const Shape& input_dilation,
                   int groups,
                   bool flip,
                   StreamOrDevice s) {
  Dtype dtype = promote_types(input.dtype(), weight.dtype());
  if (!is_floating(dtype)) {
    invalid("conv",
            fmt::format("got input {} and weight {}; expected a floating "
                        "dtype.",
                        to_string(input.spec()),
                        to_string(weight.spec())));
  }
  if (input.ndim() < 3 || input.ndim() > 5) {
    invalid("conv",
            fmt::format("the input has {} dimensions: {}; expected 3 to 5: "
                        "(N, ..., C) with 1 to 3 spatial axes.",
                        input.ndim(),
                        to_string(input.spec())));
  }
  const size_t spatial = size_t(input.ndim() - 2);
  constexpr int64_t any = INT64_MIN;
  ConvGeometry g;
  g.stride = per_axis(stride, spatial, 1, "stride", 1);
  g.low = per_axis(padding_lo, spatial, 0, "padding", any);
  g.high = per_axis(padding_hi, spatial, 0, "padding", any);
  g.kernel_dilation =
      per_axis(kernel_dilation, spatial, 1, "kernel_dilation", 1);
  g.input_dilation = per_axis(input_dilation, spatial, 1, "input_dilation", 1);
  g.groups = groups;
  g.flip = flip;
  check_operands(input, weight, g);
  Conv op;
  op.geometry = std::move(g);
  return record(std::move(op),
                {astype(input, dtype, s), astype(weight, dtype, s)},
                resolve(s));
}

array conv1d(const array& input,
             const array& weight,
             int stride,
             int padding,
             int dilation,
             int groups,
             StreamOrDevice s) {
  check_spatial("conv1d", input, 1);
  return conv_general(input,
                      weight,
                      {stride},
                      {padding},
                      {padding},
                      {dilation},
                      {},
                      groups,
                      false,
                      s);
}
array conv2d(const array& input,
             const array& weight,
             const std::pair<int, int>& stride,
             const std::pair<int, int>& padding,
             const std::pair<int, int>& dilation,
             int groups,
             StreamOrDevice s) {
  check_spatial("conv2d", input, 2);
  return conv_general(input,
                      weight,
                      list(stride),
                      list(padding),
                      list(padding),
                      list(dilation),
                      {},
                      groups,
                      false,
                      s);
}
array conv3d(const array& input,
             const array& weight,
             const std::tuple<int, int, int>& stride,
             const std::tuple<int, int, int>& padding,
             const std::tuple<int, int, int>& dilation,
             int groups,
             StreamOrDevice s) {
  check_spatial("conv3d", input, 3);
  return conv_general(input,
                      weight,
                      list(stride),
                      list(padding),
                      list(padding),
                      list(dilation),
                      {},
                      groups,
                      false,
                      s);
}

array conv_transpose1d(const array& input,
                       const array& weight,
                       int stride,
                       int padding,
                       int dilation,
                       int output_padding,
                       int groups,
                       StreamOrDevice s) {
  return conv_transpose("conv_transpose1d",
                        input,
                        weight,
                        {stride},
                        {padding},
                        {dilation},
                        {output_padding},
                        groups,
                        s);
}
array conv_transpose2d(const array& input,
                       const array& weight,
                       const std::pair<int, int>& stride,
                       const std::pair<int, int>& padding,
                       const std::pair<int, int>& dilation,
                       const std::pair<int, int>& output_padding,
                       int groups,
                       StreamOrDevice s) {
  return conv_transpose("conv_transpose2d",
                        input,
                        weight,
                        list(stride),
                        list(padding),
                        list(dilation),
                        list(output_padding),
                        groups,
                        s);
}
array conv_transpose3d(const array& input,
                       const array& weight,
                       const std::tuple<int, int, int>& stride,
                       const std::tuple<int, int, int>& padding,
                       const std::tuple<int, int, int>& dilation,
                       const std::tuple<int, int, int>& output_padding,
                       int groups,
                       StreamOrDevice s) {
  return conv_transpose("conv_transpose3d",
                        input,
                        weight,
                        list(stride),
                        list(padding),
                        list(dilation),
                        list(output_padding),
                        groups,
                        s);
}

}  // namespace treadle
