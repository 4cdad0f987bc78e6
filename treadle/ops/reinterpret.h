// The bytes of an array read in another way: as another dtype, or along strides
// of the caller's choice. Both are views.
#pragma once

#include <optional>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

#define TREADLE_VIEW_RULES                                                   \
  TREADLE_RULES                                                              \
  bool view(                                                                 \
      const Spec& in, const Layout& layout, const Spec& out, Layout* result) \
      const override;

// The bits of each element, or of the elements of a row, as another dtype. With
// another element size the input must be row-contiguous, and begin where an
// element of the result may begin. Never to bool.
struct BitCast : OpBase<BitCast, OpKind::view> {
  static constexpr std::string_view op_name = "view";
  Dtype dtype = float32;
  int from_size = 4;  // bytes of an input element
  auto fields() const { return std::tie(dtype, from_size); }
  TREADLE_VIEW_RULES
  bool keeps_contiguous() const override { return true; }
  bool views_strided() const override {
    return from_size == int(size_of(dtype));
  }
};

// Element [i, j, ...] is element offset + i strides[0] + j strides[1] + ... of
// the flattened input.
struct AsStrided : OpBase<AsStrided, OpKind::view> {
  static constexpr std::string_view op_name = "as_strided";
  Shape shape;
  Shape strides;
  int64_t offset = 0;
  auto sizes() const { return std::tie(shape, strides, offset); }
  TREADLE_VIEW_RULES
  bool views_strided() const override { return false; }
  void hash_facts(Hasher& h, std::span<const Spec> in) const override;
};

#undef TREADLE_VIEW_RULES

// The bits of x as another dtype. Where the element sizes differ the last axis
// gets longer or shorter; its bytes must be a multiple of the new size. To
// bool: true where a byte is not 0. Between float32 and complex64 derivatives
// pass, through other changes of dtype they do not.
array view(const array& x, Dtype dtype, StreamOrDevice s = {});
// Real and imaginary part; of real numbers x and 0.
array real(const array& x, StreamOrDevice s = {});
array imag(const array& x, StreamOrDevice s = {});
// The flattened x along strides, which count elements as `offset` does. Without
// a shape x's; without strides those of a row-contiguous array of the shape.
// Throws when an element outside of x would be read.
array as_strided(const array& x,
                 std::optional<Shape> shape = {},
                 std::optional<Shape> strides = {},
                 int64_t offset = 0,
                 StreamOrDevice s = {});

}  // namespace treadle
