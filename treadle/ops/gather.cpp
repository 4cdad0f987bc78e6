// The axes with indices go to the front and become one, in which a place is one
// number; whole slices along the rest are taken as they lie. Slices longer than
// 1 along an indexed axis are more places, as if their offsets were indices
// too.
#include "treadle/ops/gather.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

class Places {
 public:
  Places(std::string_view op,
         const array& x,
         const Arrays& indices,
         const Axes& axes,
         const Shape& size,
         StreamOrDevice s)
      : s_(s), size_(size) {
    const size_t ndim = x.shape().size();
    bool fits = indices.size() == axes.size() && size.size() == ndim;
    for (size_t i = 0; fits && i < ndim; ++i)
      fits = size[i] >= 0 && size[i] <= x.shape()[i];
    for (const array& i : indices) {
      fits = fits && is_integer(i.dtype());
      starts_ = broadcast_shapes(op, starts_, i.shape());
    }
    if (!fits) {
      invalid(op,
              fmt::format("got {} index arrays for {} axes and slices of shape "
                          "{} of {}; expected one integer array for each axis, "
                          "and slices that fit.",
                          indices.size(),
                          axes.size(),
                          to_string(size),
                          to_string(x.spec())));
    }
    for (int a : axes) indexed_.push_back(normalize_axis(op, a, ndim));
    normalize_axes(op, axes, ndim);  // none twice
    order_ = indexed_;
    for (int i = 0; i < int(ndim); ++i) {
      if (std::find(indexed_.begin(), indexed_.end(), i) == indexed_.end()) {
        order_.push_back(i);
        // A part of an axis without indices begins at its first element.
        whole_.push_back(size[size_t(i)]);
      }
    }
    number(x, indices);
  }

  // (places, whole slices): x with the indexed axes merged in front, and the
  // others cut to the slices' lengths.
  array merged(const array& x) const {
    array y = transpose(x, order_, s_);
    Shape start(y.shape().size(), 0), stop = y.shape();
    std::copy(whole_.begin(), whole_.end(), stop.end() - whole_.size());
    y = slice(y, start, stop, {}, s_);
    Shape shape{-1};
    if (size_of(whole_) == 0) shape[0] = count_;
    shape.append(whole_.begin(), whole_.end());
    return reshape(y, shape, s_);
  }
  // x with merged(x) replaced by y.
  array put_back(const array& x, const array& y) const {
    array all = transpose(x, order_, s_);
    Shape start(all.shape().size(), 0), stop = all.shape();
    std::copy(whole_.begin(), whole_.end(), stop.end() - whole_.size());
    array part = reshape(y, stop, s_);
    if (stop != all.shape()) {
      part = slice_update(all, part, start, stop, {}, s_);
    }
    Axes back(order_.size(), 0);
    for (size_t i = 0; i < order_.size(); ++i) back[size_t(order_[i])] = int(i);
    return transpose(part, back, s_);
  }

  // One number for each start and each offset along an indexed axis: (I...,
  // offsets...).
  const array& numbers() const { return numbers_; }

  // (I..., offsets..., whole...) -> (I..., size...), and the other way round.
  array as_slices(const array& y) const { return transpose(y, to_axes_, s_); }
  array as_places(const array& y) const {
    Axes back(to_axes_.size(), 0);
    for (size_t i = 0; i < to_axes_.size(); ++i)
      back[size_t(to_axes_[i])] = int(i);
    return transpose(y, back, s_);
  }
  Shape slices() const {
    Shape out = starts_;
    out.append(size_.begin(), size_.end());
    return out;
  }

 private:
  void number(const array& x, const Arrays& indices) {
    const size_t lead = starts_.size(), n = indexed_.size();
    numbers_ = full({}, 0, int64, s_);
    Shape shape = starts_;
    count_ = 1;
    for (size_t k = 0; k < n; ++k) {
      const int64_t length = x.shape(indexed_[k]);
      const int64_t part = size_[size_t(indexed_[k])];
      shape.push_back(part);
      count_ *= length;
      array i = astype(indices[k], int64, s_);
      i = select(less(i, 0, s_), add(i, length, s_), i, s_);
      // (I..., 1...) beside (part, 1...).
      Shape with_ones = i.shape(), offsets(n - k, 1);
      with_ones.resize(with_ones.size() + n, 1);
      offsets[0] = part;
      i = reshape(i, with_ones, s_);
      // A start from which the slice would leave the axis becomes a place
      // that x does not have.
      array out = logical_or(less(i, 0, s_), greater(i, length - part, s_), s_);
      wrong_ = wrong_.null() ? out : logical_or(wrong_, out, s_);
      i = add(i, reshape(arange(double(part), int64, s_), offsets, s_), s_);
      numbers_ = add(multiply(numbers_, length, s_), i, s_);
    }
    if (!wrong_.null()) numbers_ = select(wrong_, count_, numbers_, s_);
    numbers_ = broadcast_to(numbers_, shape, s_);
    // Where axis i of the slices is among (I..., offsets..., whole...).
    for (size_t i = 0; i < lead; ++i) to_axes_.push_back(int(i));
    for (size_t i = 0; i < order_.size(); ++i) {
      auto it = std::find(order_.begin(), order_.end(), int(i));
      to_axes_.push_back(int(lead) + int(it - order_.begin()));
    }
  }

  StreamOrDevice s_;
  Shape size_, starts_, whole_;
  Axes indexed_, order_, to_axes_;
  int64_t count_ = 1;
  array numbers_, wrong_;
};

}  // namespace

array gather(const array& x,
             const Arrays& indices,
             const Axes& axes,
             const Shape& size,
             StreamOrDevice s) {
  Places p("gather", x, indices, axes, size, s);
  return p.as_slices(take(p.merged(x), p.numbers(), 0, s));
}

array scatter(const array& x,
              const Arrays& indices,
              const array& updates,
              const Axes& axes,
              ScatterMode mode,
              StreamOrDevice s) {
  Shape size(x.shape().size(), 1);
  if (updates.shape().size() < size.size()) {
    invalid("scatter",
            fmt::format("updates {} have fewer axes than x {}.",
                        to_string(updates.spec()),
                        to_string(x.spec())));
  }
  std::copy(
      updates.shape().end() - size.size(), updates.shape().end(), size.begin());
  Places p("scatter", x, indices, axes, size, s);
  if (p.slices() != updates.shape()) {
    invalid("scatter",
            fmt::format("updates have the shape {}; expected {}.",
                        to_string(updates.shape()),
                        to_string(p.slices())));
  }
  array y = scatter(p.merged(x), p.numbers(), p.as_places(updates), 0, mode, s);
  return p.put_back(x, y);
}

}  // namespace treadle
