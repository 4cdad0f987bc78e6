#include "treadle/nn/functional/pooling.h"

#include <limits>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/banded.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/pool.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

// The wanted length of each spatial axis.
Shape lengths_for(std::string_view op, const array& x, const Shape& size) {
  const int axes = x.ndim() - 2;
  if (axes < 1 || axes > 3) {
    invalid(op,
            fmt::format("the input is {}; expected a batch, one to three "
                        "spatial axes, and channels.",
                        to_string(x.spec())));
  }
  if (size.size() != 1 && size.size() != size_t(axes)) {
    invalid(op,
            fmt::format("got {} sizes for {} spatial axes; expected one for "
                        "each, or one for all.",
                        size.size(),
                        axes));
  }
  Shape out;
  for (int a = 0; a < axes; ++a) {
    const int64_t want = size[size.size() == 1 ? 0 : size_t(a)];
    if (want < 1 && want != -1) {
      invalid(op,
              fmt::format("size {}; expected 1 or more, or -1 to keep an axis.",
                          want));
    }
    out.push_back(want == -1 ? x.shape(a + 1) : want);
    if (x.shape(a + 1) < 1) {
      invalid(op,
              fmt::format("axis {} of the input {} has no elements.",
                          a + 1,
                          to_string(x.spec())));
    }
  }
  return out;
}

// Where window i of `size` over n elements begins and ends.
int64_t window_begin(int64_t n, int64_t size, int64_t i) {
  return i * n / size;
}
int64_t window_end(int64_t n, int64_t size, int64_t i) {
  return ((i + 1) * n + size - 1) / size;
}

// Windows of one axis, all as wide as the widest: (size, width) numbers of
// elements, and whether they belong to the window.
struct Windows {
  int64_t size, width = 0;
  std::vector<int32_t> index;
  std::vector<uint8_t> inside;

  Windows(int64_t n, int64_t size) : size(size) {
    auto first = [&](int64_t i) { return window_begin(n, size, i); };
    auto end = [&](int64_t i) { return window_end(n, size, i); };
    for (int64_t i = 0; i < size; ++i) {
      width = std::max(width, end(i) - first(i));
    }
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t k = first(i); k < first(i) + width; ++k) {
        index.push_back(int32_t(std::min(k, n - 1)));
        inside.push_back(k < end(i));
      }
    }
  }
};

// The mean over each window.
Band means_of(int64_t n, int64_t size) {
  Band band;
  band.in = n;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t first = window_begin(n, size, i);
    const int64_t width = window_end(n, size, i) - first;
    band.add(first, std::vector<double>(size_t(width), 1 / double(width)));
  }
  return band;
}

array max_along(const array& x, int axis, int64_t size) {
  const Windows w(x.shape(axis), size);
  const Shape both{w.size, w.width};
  const array values = take(x, array::from(w.index.data(), both), axis);
  Shape along(size_t(values.ndim()), 1);
  along[size_t(axis)] = w.size;
  along[size_t(axis) + 1] = w.width;
  const array inside =
      astype(reshape(array::from(w.inside.data(), both), along), bool_);
  const array lowest =
      is_floating(x.dtype())
          ? full({}, -std::numeric_limits<double>::infinity(), x.dtype())
          : array(min(x));
  return max(select(inside, values, lowest), axis + 1);
}

array pooled(std::string_view op,
             const array& x,
             const Shape& size,
             PoolKind kind) {
  const Shape wanted = lengths_for(op, x, size);
  Shape window;
  bool even = true;
  for (size_t a = 0; a < wanted.size(); ++a) {
    const int64_t n = x.shape(int(a) + 1);
    even = even && n % wanted[a] == 0;
    window.push_back(n / wanted[a]);
  }
  if (even) {
    return kind == PoolKind::max ? max_pool(x, window) : avg_pool(x, window);
  }
  if (kind == PoolKind::mean) {
    std::vector<Band> bands;
    for (size_t a = 0; a < wanted.size(); ++a)
      bands.push_back(means_of(x.shape(int(a) + 1), wanted[a]));
    return banded_product(
        astype(x, at_least_float(x.dtype())), 1, std::move(bands));
  }
  array y = x;
  for (size_t a = 0; a < wanted.size(); ++a) {
    if (y.shape(int(a) + 1) == wanted[a]) continue;
    y = max_along(y, int(a) + 1, wanted[a]);
  }
  return y;
}

}  // namespace

array adaptive_avg_pool(const array& x, const Shape& size) {
  return pooled("adaptive_avg_pool", x, size, PoolKind::mean);
}

array adaptive_max_pool(const array& x, const Shape& size) {
  return pooled("adaptive_max_pool", x, size, PoolKind::max);
}

}  // namespace treadle::nn
