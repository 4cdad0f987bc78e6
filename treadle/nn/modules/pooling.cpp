#include "treadle/nn/modules/pooling.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"
#include "treadle/ops/pool.h"

namespace treadle::nn {

PoolBase::PoolBase(const Shape& kernel_size,
                   const std::optional<Shape>& stride,
                   const Shape& padding)
    : kernel_size_(kernel_size),
      stride_(stride.value_or(kernel_size)),
      padding_(padding) {
  auto least = [](const Shape& s) {
    return *std::min_element(s.begin(), s.end());
  };
  if (least(kernel_size_) < 1 || least(stride_) < 1 || least(padding_) < 0) {
    invalid("pool",
            fmt::format("got kernel_size {}, stride {} and padding {}; "
                        "expected positive lengths and no negative padding.",
                        python(kernel_size_),
                        python(stride_),
                        python(padding_)));
  }
}

std::string PoolBase::extra_repr() const {
  return fmt::format("kernel_size={}, stride={}, padding={}",
                     python(kernel_size_),
                     python(stride_),
                     python(padding_));
}

array PoolBase::largest(const array& x) const {
  const Call call(*this);
  return call(max_pool(x, kernel_size_, stride_, padding_));
}

array PoolBase::mean(const array& x) const {
  const Call call(*this);
  return call(avg_pool(x, kernel_size_, stride_, padding_));
}

AdaptivePoolBase::AdaptivePoolBase(Shape output_size, int axes)
    : output_size_(std::move(output_size)) {
  const bool positive = std::all_of(output_size_.begin(),
                                    output_size_.end(),
                                    [](int64_t n) { return n == -1 || n > 0; });
  if (output_size_.size() != size_t(axes) || !positive) {
    invalid("adaptive_pool",
            fmt::format("output_size is {}; expected {} lengths of 1 or more, "
                        "or -1 to keep an axis.",
                        python(output_size_),
                        axes));
  }
}

array AdaptivePoolBase::pooled(const array& x,
                               array (*f)(const array&, const Shape&)) const {
  const Call call(*this);
  if (x.ndim() != int(output_size_.size()) + 2) {
    invalid("adaptive_pool",
            fmt::format("the input is {}; expected a batch, {} spatial axes, "
                        "and channels.",
                        treadle::to_string(x.spec()),
                        output_size_.size()));
  }
  return call(f(x, output_size_));
}

std::string AdaptivePoolBase::extra_repr() const {
  return "output_size=" + python(output_size_);
}

}  // namespace treadle::nn
