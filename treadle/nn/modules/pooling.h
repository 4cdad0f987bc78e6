// Pooling layers.
#pragma once

#include <optional>
#include <string>

#include "treadle/nn/functional/conv.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

struct Pool2d : Module {
  std::string extra_repr() const override;

 protected:
  Pool2d(Size2 kernel_size, std::optional<Size2> stride, Size2 padding);
  Size2 kernel_size_, stride_, padding_;
};

// The largest value of each window; padding counts as -infinity. The stride is
// the kernel size unless given.
struct MaxPool2d : Pool2d {
  explicit MaxPool2d(Size2 kernel_size,
                     std::optional<Size2> stride = {},
                     Size2 padding = 0)
      : Pool2d(kernel_size, stride, padding) {}
  TREADLE_MODULE(MaxPool2d)
  array operator()(const array& x) const;  // (N, H, W, C) -> (N, H', W', C)
};

// The mean of each window; padding counts as zeros.
struct AvgPool2d : Pool2d {
  explicit AvgPool2d(Size2 kernel_size,
                     std::optional<Size2> stride = {},
                     Size2 padding = 0)
      : Pool2d(kernel_size, stride, padding) {}
  TREADLE_MODULE(AvgPool2d)
  array operator()(const array& x) const;  // (N, H, W, C) -> (N, H', W', C)
};

}  // namespace treadle::nn
