// Operations that move or reinterpret elements without computing: most are
// views, which cost no memory; astype, contiguous and slice_update copy.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

// The input under another identity: what grad differentiates against, and what
// stop_gradient cuts.
struct Identity : OpBase<Identity, OpKind::view> {
  static constexpr std::string_view op_name = "identity";
  bool stop = false;  // its derivative is zero
  auto fields() const { return std::tie(stop); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
  bool keeps_contiguous() const override { return true; }
};

struct Broadcast : OpBase<Broadcast, OpKind::view> {
  static constexpr std::string_view op_name = "broadcast_to";
  Shape shape;
  auto sizes() const { return std::tie(shape); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
  void hash_facts(Hasher& h, std::span<const Spec> in) const override;
};

// Row order is kept. A strided input is copied.
struct Reshape : OpBase<Reshape, OpKind::view> {
  static constexpr std::string_view op_name = "reshape";
  Shape shape;
  auto sizes() const { return std::tie(shape); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
  bool keeps_contiguous() const override { return true; }
  bool views_strided() const override { return false; }
  void hash_facts(Hasher& h, std::span<const Spec> in) const override;
};

// Adds axes of length 1; `axes` are those of the result, sorted.
struct ExpandDims : OpBase<ExpandDims, OpKind::view> {
  static constexpr std::string_view op_name = "expand_dims";
  Axes axes;
  auto fields() const { return std::tie(axes); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
  bool keeps_contiguous() const override { return true; }
};

// Drops axes of length 1, sorted.
struct Squeeze : OpBase<Squeeze, OpKind::view> {
  static constexpr std::string_view op_name = "squeeze";
  Axes axes;
  auto fields() const { return std::tie(axes); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
  bool keeps_contiguous() const override { return true; }
};

struct Transpose : OpBase<Transpose, OpKind::view> {
  static constexpr std::string_view op_name = "transpose";
  Axes axes;  // result axis i is input axis axes[i]
  auto fields() const { return std::tie(axes); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
};

// Elements start, start + step, ... below stop (above it for a negative step).
struct Slice : OpBase<Slice, OpKind::view> {
  static constexpr std::string_view op_name = "slice";
  Shape start, stop, step;
  auto sizes() const { return std::tie(start, stop, step); }
  TREADLE_RULES
  bool view(const Spec& in,
            const Layout& layout,
            const Spec& out,
            Layout* result) const override;
};

// A copy of input 0 in which the slice's elements are those of input 1. Written
// in place when nothing else holds input 0.
struct SliceUpdate : OpBase<SliceUpdate> {
  static constexpr std::string_view op_name = "slice_update";
  Shape start, stop, step;
  auto sizes() const { return std::tie(start, stop, step); }
  TREADLE_RULES
};

struct AsType : OpBase<AsType> {
  static constexpr std::string_view op_name = "astype";
  Dtype dtype = float32;
  auto fields() const { return std::tie(dtype); }
  TREADLE_RULES
};

// The same values in row order, in memory of their own.
struct Contiguous : OpBase<Contiguous> {
  static constexpr std::string_view op_name = "contiguous";
  TREADLE_RULES
};

// The input at an axis offset inside zeros: what slicing's derivative needs and
// what pad records.
struct Pad : OpBase<Pad> {
  static constexpr std::string_view op_name = "pad";
  Shape low, high;  // elements before and after, per axis
  auto sizes() const { return std::tie(low, high); }
  TREADLE_RULES
};

struct Concatenate : OpBase<Concatenate> {
  static constexpr std::string_view op_name = "concatenate";
  int axis = 0;
  auto fields() const { return std::tie(axis); }
  TREADLE_RULES
};

// x with each axis stretched to `shape`: axes of length 1 repeat, missing
// leading axes are added.
array broadcast_to(const array& x, const Shape& shape, StreamOrDevice s = {});
// All to their common shape.
Arrays broadcast_arrays(const Arrays& x, StreamOrDevice s = {});
// One length may be -1: the one that fits.
array reshape(const array& x, Shape shape, StreamOrDevice s = {});
// Axes [start, end] become one.
array flatten(const array& x,
              int start_axis = 0,
              int end_axis = -1,
              StreamOrDevice s = {});
array unflatten(const array& x, int axis, Shape shape, StreamOrDevice s = {});
array expand_dims(const array& x, const Axes& axes, StreamOrDevice s = {});
array expand_dims(const array& x, int axis, StreamOrDevice s = {});
array squeeze(const array& x, const Axes& axes, StreamOrDevice s = {});
array squeeze(const array& x, int axis, StreamOrDevice s = {});
array squeeze(const array& x, StreamOrDevice s = {});
// Reverses the axes, or puts input axis axes[i] at i.
array transpose(const array& x, StreamOrDevice s = {});
array transpose(const array& x, const Axes& axes, StreamOrDevice s = {});
array swapaxes(const array& x, int axis1, int axis2, StreamOrDevice s = {});
array moveaxis(const array& x,
               int source,
               int destination,
               StreamOrDevice s = {});
// Elements start, start + step, ... up to stop, per axis; negative positions
// count from the end and are clamped as in Python.
array slice(const array& x,
            Shape start,
            Shape stop,
            Shape step = {},
            StreamOrDevice s = {});
// x with the slice's elements replaced by `update` (broadcast to the slice).
array slice_update(const array& x,
                   const array& update,
                   Shape start,
                   Shape stop,
                   Shape step = {},
                   StreamOrDevice s = {});
array astype(const array& x, Dtype dtype, StreamOrDevice s = {});
array contiguous(const array& x, StreamOrDevice s = {});
// x with its history cut: derivatives do not pass.
array stop_gradient(const array& x, StreamOrDevice s = {});
// x with `low` and `high` zeros around, per axis.
array pad(const array& x,
          const Shape& low,
          const Shape& high,
          StreamOrDevice s = {});
array concatenate(const Arrays& x, int axis = 0, StreamOrDevice s = {});
array stack(const Arrays& x, int axis = 0, StreamOrDevice s = {});
// Equal parts, or cuts before the given positions.
Arrays split(const array& x, int parts, int axis = 0, StreamOrDevice s = {});
Arrays split(const array& x,
             const Shape& positions,
             int axis = 0,
             StreamOrDevice s = {});

}  // namespace treadle
