// Pooling layers, channels last.
#pragma once

#include <optional>
#include <string>

#include "treadle/nn/functional/conv.h"
#include "treadle/nn/functional/pooling.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Windows over 1 to 3 spatial axes; an entry for each.
struct PoolBase : Module {
  std::string extra_repr() const override;

 protected:
  PoolBase(const Shape& kernel_size,
           const std::optional<Shape>& stride,
           const Shape& padding);
  array largest(const array& x) const;
  array mean(const array& x) const;

  static Shape each(int n) { return {n}; }
  static Shape each(Size2 n) { return n.shape(); }
  static Shape each(Size3 n) { return n.shape(); }
  template <class Size>
  static std::optional<Shape> each(const std::optional<Size>& n) {
    return n ? std::optional<Shape>(each(*n)) : std::nullopt;
  }

 private:
  Shape kernel_size_, stride_, padding_;
};

// Class, lengths, what it computes. Max: the largest value of each window,
// padding counts as -infinity. Avg: the mean, padding counts as zeros. The
// stride is the kernel size unless given. (N, ..., C) -> the same with fewer.
#define TREADLE_POOL(Class, Size, function)                           \
  struct Class : PoolBase {                                           \
    explicit Class(Size kernel_size,                                  \
                   std::optional<Size> stride = {},                   \
                   Size padding = 0)                                  \
        : PoolBase(each(kernel_size), each(stride), each(padding)) {} \
    TREADLE_MODULE(Class)                                             \
    array operator()(const array& x) const { return function(x); }    \
  };
TREADLE_POOL(MaxPool1d, int, largest)
TREADLE_POOL(MaxPool2d, Size2, largest)
TREADLE_POOL(MaxPool3d, Size3, largest)
TREADLE_POOL(AvgPool1d, int, mean)
TREADLE_POOL(AvgPool2d, Size2, mean)
TREADLE_POOL(AvgPool3d, Size3, mean)
#undef TREADLE_POOL

// To a given number of windows; see functional/pooling.h. An entry of -1 keeps
// the axis as it is.
struct AdaptivePoolBase : Module {
  std::string extra_repr() const override;

 protected:
  AdaptivePoolBase(Shape output_size, int axes);
  array pooled(const array& x, array (*f)(const array&, const Shape&)) const;

 private:
  Shape output_size_;
};

#define TREADLE_POOL(Class, axes, function)                                \
  struct Class : AdaptivePoolBase {                                        \
    explicit Class(const Shape& output_size)                               \
        : AdaptivePoolBase(output_size, axes) {}                           \
    explicit Class(int output_size)                                        \
        : AdaptivePoolBase(Shape(size_t(axes), output_size), axes) {}      \
    TREADLE_MODULE(Class)                                                  \
    array operator()(const array& x) const { return pooled(x, function); } \
  };
TREADLE_POOL(AdaptiveAvgPool1d, 1, adaptive_avg_pool)
TREADLE_POOL(AdaptiveAvgPool2d, 2, adaptive_avg_pool)
TREADLE_POOL(AdaptiveAvgPool3d, 3, adaptive_avg_pool)
TREADLE_POOL(AdaptiveMaxPool1d, 1, adaptive_max_pool)
TREADLE_POOL(AdaptiveMaxPool2d, 2, adaptive_max_pool)
TREADLE_POOL(AdaptiveMaxPool3d, 3, adaptive_max_pool)
#undef TREADLE_POOL

}  // namespace treadle::nn
