#include "treadle/nn/functional/pooling.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/banded.h"
#include "treadle/ops/pool.h"
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

// The mean over each window of an axis of n elements.
Band means_of(int64_t n, int64_t size) {
  Band band;
  band.in = n;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t first = i * n / size;
    const int64_t width = ((i + 1) * n + size - 1) / size - first;
    band.add(first, std::vector<double>(size_t(width), 1 / double(width)));
  }
  return band;
}

}  // namespace

array adaptive_avg_pool(const array& x, const Shape& size) {
  const Shape wanted = lengths_for("adaptive_avg_pool", x, size);
  bool even = true;
  for (size_t a = 0; a < wanted.size(); ++a)
    even = even && x.shape(int(a) + 1) % wanted[a] == 0;
  if (even) return shared_pool(PoolKind::mean, x, wanted);
  // One axis after the other: an element is read once for each axis, and the
  // gradient of windows that overlap is a sum of few, not an addition to
  // memory. 1.5 times as fast, both ways.
  std::vector<Band> bands;
  for (size_t a = 0; a < wanted.size(); ++a)
    bands.push_back(means_of(x.shape(int(a) + 1), wanted[a]));
  return banded_product(
      astype(x, at_least_float(x.dtype())), 1, std::move(bands));
}

array adaptive_max_pool(const array& x, const Shape& size) {
  return shared_pool(
      PoolKind::max, x, lengths_for("adaptive_max_pool", x, size));
}

}  // namespace treadle::nn
