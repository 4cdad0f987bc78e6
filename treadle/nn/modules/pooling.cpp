#include "treadle/nn/modules/pooling.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/pool.h"

namespace treadle::nn {

namespace {
Shape lengths(Size2 s) { return {s.height, s.width}; }
}  // namespace

Pool2d::Pool2d(Size2 kernel_size, std::optional<Size2> stride, Size2 padding)
    : kernel_size_(kernel_size),
      stride_(stride.value_or(kernel_size)),
      padding_(padding) {
  if (kernel_size.height <= 0 || kernel_size.width <= 0 ||
      stride_.height <= 0 || stride_.width <= 0 || padding.height < 0 ||
      padding.width < 0) {
    invalid(
        "Pool2d",
        fmt::format("got kernel_size {}, stride {} and padding {}; expected "
                    "positive lengths and no negative padding.",
                    kernel_size.to_string(),
                    stride_.to_string(),
                    padding.to_string()));
  }
}

std::string Pool2d::extra_repr() const {
  return fmt::format("kernel_size={}, stride={}, padding={}",
                     kernel_size_.to_string(),
                     stride_.to_string(),
                     padding_.to_string());
}

array MaxPool2d::operator()(const array& x) const {
  ModuleScope scope(label());
  return max_pool(
      x, lengths(kernel_size_), lengths(stride_), lengths(padding_));
}

array AvgPool2d::operator()(const array& x) const {
  ModuleScope scope(label());
  return avg_pool(
      x, lengths(kernel_size_), lengths(stride_), lengths(padding_));
}

}  // namespace treadle::nn
