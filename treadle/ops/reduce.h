// Reductions over axes.
#pragma once

#include <optional>

#include "treadle/base/device.h"
#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

enum class ReduceKind : uint8_t { sum, prod, max, min };
std::string_view name_of(ReduceKind kind);

// Axes are sorted and not repeated; the result keeps them with length 1.
struct Reduce : OpBase<Reduce> {
  static constexpr std::string_view op_name = "reduce";
  ReduceKind reduce = ReduceKind::sum;
  Axes axes;

  auto fields() const { return std::tie(reduce, axes); }
  std::string_view name() const override { return name_of(reduce); }
  TREADLE_RULES
};

// Which axes a reduction takes: all of them, one, or several; negative axes
// count from the end.
class AxisArg {
 public:
  AxisArg() = default;  // all axes
  AxisArg(int axis) : axes_(Axes{axis}) {}
  AxisArg(std::initializer_list<int> axes) : axes_(Axes(axes)) {}
  AxisArg(Axes axes) : axes_(std::move(axes)) {}
  // Sorted, in [0, ndim).
  Axes resolve(std::string_view op, size_t ndim) const;

 private:
  std::optional<Axes> axes_;
};

// x of any shape; the result has x's shape without the reduced axes, or with
// length 1 there when keepdims. Sums and products of bool and of integers below
// 32 bits are int32 (uint32 for unsigned); float16 and bfloat16 accumulate in
// float32. The maximum or minimum of no element is an error.
array sum(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          StreamOrDevice s = {});
array prod(const array& x,
           const AxisArg& axis = {},
           bool keepdims = false,
           StreamOrDevice s = {});
array max(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          StreamOrDevice s = {});
array min(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          StreamOrDevice s = {});
// Arithmetic mean; integers become float32.
array mean(const array& x,
           const AxisArg& axis = {},
           bool keepdims = false,
           StreamOrDevice s = {});
// Mean of squared deviations (of complex numbers: of their absolute values, so
// that it is real), divided by (count - ddof).
array var(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          int ddof = 0,
          StreamOrDevice s = {});
// The square root of var.
array std(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          int ddof = 0,
          StreamOrDevice s = {});
// True when all elements, or any of them, are other than 0.
array all(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          StreamOrDevice s = {});
array any(const array& x,
          const AxisArg& axis = {},
          bool keepdims = false,
          StreamOrDevice s = {});
// How many elements are other than 0, int32.
array count_nonzero(const array& x,
                    const AxisArg& axis = {},
                    bool keepdims = false,
                    StreamOrDevice s = {});
// log(sum(exp(x))), without overflow.
array logsumexp(const array& x,
                const AxisArg& axis = {},
                bool keepdims = false,
                StreamOrDevice s = {});

}  // namespace treadle
