// An index is resolved into a slice of x, the integer arrays of the axes that
// it gathers and the order of the result's axes. Several arrays are one: the
// axes from the first to the last of them become a single axis, and positions
// in it are computed from the arrays and from aranges for the axes between.
#include "treadle/ops/at.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/join_indices.h"
#include "treadle/ops/masks.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// What an axis of x turns into.
enum class Use : uint8_t { kept, dropped, gathered, masked };

// An axis of the result: an axis of x, a new one, or the axes of the arrays.
struct Token {
  enum class Kind : uint8_t { axis, fresh, group };
  Kind kind;
  int axis = 0;
};
using Tokens = std::vector<Token>;

Shape with_ones(Shape shape, size_t count) {
  shape.resize(shape.size() + count, 1);
  return shape;
}

class Place {
 public:
  Place(const array& x, const Index& index);

  bool gathers() const { return first_ >= 0; }
  bool masks() const { return !mask_.null(); }
  const array& mask() const { return mask_; }
  bool empty() const { return std::ranges::count(group_, 0) > 0; }

  // x as sliced, and without the dropped axes.
  array part(const array& x) const {
    return whole_ ? x : slice(x, start_, stop_, step_);
  }
  array squeezed(const array& part) const;
  // Elements of `y`, a squeezed part, with the result's axes.
  array gathered(array y) const;
  // `values` with the axes of squeezed(part) or, when it gathers or masks, with
  // those of the updates that scatter or select takes.
  array arranged(array values) const;
  // y with `values`, arranged, combined into the elements that are gathered.
  array scattered(const array& y, const array& values, Update how) const;
  // x with the elements of the slice replaced by those of y, squeezed.
  array put_back(const array& x, const array& y) const;
  // True in y's shape, with trailing axes of length 1, where the mask is.
  array mask_for(const array& y) const;

 private:
  void add_whole() { add_range({}); }
  void add_position(int64_t i);
  void add_range(const Range& r);
  void add_array(const array& indices);
  void add_mask(const array& mask);
  void join_group(const Shape& shape);
  void separate() { closed_ = grouped_; }

  size_t next() const { return use_.size(); }
  Tokens wanted() const;
  Tokens gathered_order() const;
  Axes permutation(const Tokens& from, const Tokens& to) const;
  Shape result_shape() const;
  int squeezed_axis(int axis) const;
  // The axes first..last of y as one, and positions in it.
  array joined(const array& y) const;
  array positions(const array& y) const;

  Shape x_shape_, start_, stop_, step_, lengths_;
  bool whole_ = true;  // the slice is all of x
  std::vector<Use> use_;
  Arrays indices_;  // per axis, null where none
  array mask_;
  int first_ = -1, last_ = -1;  // gathered axes of x, or masked ones
  Shape group_;
  bool advanced_ = false;  // positions stand among arrays
  bool grouped_ = false, closed_ = false, front_ = false;
  Tokens tokens_;
};

size_t axes_named(const At& part) {
  switch (part.kind) {
    case At::Kind::position:
    case At::Kind::range:
      return 1;
    case At::Kind::array:
      return part.indices.dtype() == bool_ ? size_t(part.indices.ndim()) : 1;
    default:
      return 0;
  }
}

// Of an index for an array of ndim axes.
size_t axes_named(const Index& index, size_t ndim) {
  size_t used = 0;
  int ellipses = 0;
  for (const At& p : index) {
    used += axes_named(p);
    ellipses += p.kind == At::Kind::ellipsis;
  }
  if (ellipses > 1) invalid("index", "got two Ellipsis; expected at most one.");
  if (used > ndim) {
    invalid(
        "index",
        fmt::format("got an index of {} axes for an array of {}.", used, ndim));
  }
  return used;
}

Place::Place(const array& x, const Index& index) : x_shape_(x.shape()) {
  const size_t ndim = x_shape_.size();
  const size_t used = axes_named(index, ndim);
  for (const At& p : index) {
    advanced_ |= p.kind == At::Kind::array || p.kind == At::Kind::truth;
  }
  for (const At& p : index) {
    switch (p.kind) {
      case At::Kind::position:
        add_position(p.position);
        break;
      case At::Kind::range:
        separate();
        add_range(p.range);
        break;
      case At::Kind::new_axis:
        separate();
        tokens_.push_back({Token::Kind::fresh});
        break;
      case At::Kind::ellipsis:
        separate();
        for (size_t n = ndim - used; n > 0; --n) add_whole();
        break;
      case At::Kind::truth:
        join_group({p.truth ? 1 : 0});
        break;
      case At::Kind::array:
        if (p.indices.dtype() == bool_) {
          add_mask(p.indices);
        } else {
          add_array(p.indices);
        }
        break;
    }
  }
  while (next() < ndim) add_whole();
}

void Place::add_position(int64_t i) {
  const int64_t n = x_shape_[next()];
  if (i < -n || i >= n) {
    out_of_range(
        "index",
        fmt::format("index {} is outside axis {} of length {}.", i, next(), n));
  }
  if (advanced_) join_group({});
  i = i < 0 ? i + n : i;
  start_.push_back(i);
  stop_.push_back(i + 1);
  step_.push_back(1);
  lengths_.push_back(1);
  use_.push_back(Use::dropped);
  indices_.emplace_back();
  whole_ = false;
}

// Bounds as Python's slice.indices gives them.
void Place::add_range(const Range& r) {
  const int64_t n = x_shape_[next()];
  if (r.step == 0) invalid("index", "a range has step 0.");
  const bool back = r.step < 0;
  const int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
  auto bound = [&](int64_t i) {
    return std::clamp(i < 0 ? i + n : i, low, high);
  };
  const int64_t from = r.start ? bound(*r.start) : back ? high : low;
  const int64_t to = r.stop ? bound(*r.stop) : back ? low : high;
  int64_t length = 0;
  if (back ? from > to : from < to) {
    // In unsigned numbers, where a step of -2^63 has a magnitude.
    const uint64_t step = back ? -uint64_t(r.step) : uint64_t(r.step);
    length = int64_t((uint64_t(back ? from - to : to - from) - 1) / step) + 1;
  }
  whole_ = whole_ && length == n && r.step == 1;
  start_.push_back(length == 0 ? 0 : from);
  // slice() reads a negative stop as counted from the end.
  stop_.push_back(length == 0 ? 0 : to < 0 ? -n - 1 : to);
  // A step beyond the axis takes one element, as n + 1 does.
  step_.push_back(std::clamp(r.step, -n - 1, n + 1));
  lengths_.push_back(length);
  tokens_.push_back({Token::Kind::axis, int(next())});
  use_.push_back(Use::kept);
  indices_.emplace_back();
}

void Place::add_array(const array& indices) {
  if (!is_integer(indices.dtype())) {
    invalid("index",
            fmt::format("an index array is {}; expected integers or bools.",
                        name_of(indices.dtype())));
  }
  join_group(indices.shape());
  if (first_ < 0) first_ = int(next());
  last_ = int(next());
  const int64_t n = x_shape_[next()];
  start_.push_back(0);
  stop_.push_back(n);
  step_.push_back(1);
  lengths_.push_back(n);
  use_.push_back(Use::gathered);
  indices_.push_back(indices);
}

void check_mask(const array& mask, size_t axis, const Shape& x) {
  for (int i = 0; i < mask.ndim(); ++i) {
    if (mask.shape(i) == x[axis + size_t(i)]) continue;
    invalid("index",
            fmt::format("a bool array of shape {} stands at axis {} of an "
                        "array of shape {}; expected equal lengths.",
                        to_string(mask.shape()),
                        axis,
                        to_string(x)));
  }
}

void Place::add_mask(const array& mask) {
  check_mask(mask, next(), x_shape_);
  join_group({1});
  mask_ = mask;
  first_ = int(next());
  last_ = first_ + mask.ndim() - 1;
  for (int i = 0; i < mask.ndim(); ++i) {
    start_.push_back(0);
    stop_.push_back(mask.shape(i));
    step_.push_back(1);
    lengths_.push_back(mask.shape(i));
    use_.push_back(Use::masked);
    indices_.emplace_back();
  }
}

void Place::join_group(const Shape& shape) {
  if (!grouped_) tokens_.push_back({Token::Kind::group});
  front_ |= closed_;
  grouped_ = true;
  group_ = broadcast_shapes("index", group_, shape);
}

Tokens Place::wanted() const {
  if (!front_) return tokens_;
  Tokens out{{Token::Kind::group}};
  for (Token t : tokens_) {
    if (t.kind != Token::Kind::group) out.push_back(t);
  }
  return out;
}

// Without new axes, the group where the first gathered axis was.
Tokens Place::gathered_order() const {
  Tokens out;
  bool done = !grouped_;
  for (size_t i = 0; i < use_.size(); ++i) {
    if (!done && int(i) == first_) {
      out.push_back({Token::Kind::group});
      done = true;
    }
    if (use_[i] == Use::kept) out.push_back({Token::Kind::axis, int(i)});
  }
  if (!done) out.push_back({Token::Kind::group});
  return out;
}

// Which axes of an array ordered as `from` stand where `to` wants them; new
// axes are in neither.
Axes Place::permutation(const Tokens& from, const Tokens& to) const {
  Axes out;
  for (Token t : to) {
    if (t.kind == Token::Kind::fresh) continue;
    int at = 0;
    for (Token f : from) {
      if (f.kind == Token::Kind::fresh) continue;
      if (f.kind == t.kind && f.axis == t.axis) break;
      at += f.kind == Token::Kind::group ? int(group_.size()) : 1;
    }
    int count = t.kind == Token::Kind::group ? int(group_.size()) : 1;
    for (int i = 0; i < count; ++i) out.push_back(at + i);
  }
  return out;
}

Shape Place::result_shape() const {
  Shape out;
  for (Token t : wanted()) {
    if (t.kind == Token::Kind::group) {
      out.append(group_.begin(), group_.end());
    } else {
      out.push_back(t.kind == Token::Kind::fresh ? 1
                                                 : lengths_[size_t(t.axis)]);
    }
  }
  return out;
}

array Place::squeezed(const array& part) const {
  Axes dropped;
  for (size_t i = 0; i < use_.size(); ++i) {
    if (use_[i] == Use::dropped) dropped.push_back(int(i));
  }
  return dropped.empty() ? part : squeeze(part, dropped);
}

int Place::squeezed_axis(int axis) const {
  return axis -
         int(std::count(use_.begin(), use_.begin() + axis, Use::dropped));
}

array Place::joined(const array& y) const {
  const int a = squeezed_axis(first_), b = squeezed_axis(last_);
  return a == b ? y : flatten(y, a, b);
}

array Place::positions(const array& y) const {
  const int a = squeezed_axis(first_), b = squeezed_axis(last_);
  if (a == b) return broadcast_to(indices_[size_t(first_)], group_);
  int64_t total = 1;
  bool wide = false;
  size_t between = 0;  // axes between arrays, which follow the group's
  for (int i = a; i <= b; ++i) total *= y.shape(i);
  for (int i = first_; i <= last_; ++i) {
    const array& at = indices_[size_t(i)];
    wide |= !at.null() && (at.itemsize() == 8 || at.dtype() == uint32);
    between += use_[size_t(i)] == Use::kept;
  }
  JoinIndices op;
  op.dtype = wide || total > INT32_MAX ? int64 : int32;
  Shape full = group_;
  for (int i = first_; i <= last_; ++i) {
    if (use_[size_t(i)] == Use::kept) full.push_back(lengths_[size_t(i)]);
  }
  Arrays parts;
  size_t middle = 0;
  for (int i = first_; i <= last_; ++i) {
    const size_t k = size_t(i);
    if (use_[k] == Use::dropped) continue;
    op.lengths.push_back(lengths_[k]);
    array at;
    if (use_[k] == Use::gathered) {
      at = reshape(indices_[k], with_ones(indices_[k].shape(), between));
    } else {
      Shape shape(between - middle++, 1);
      shape[0] = lengths_[k];
      at = reshape(arange(lengths_[k], op.dtype), shape);
    }
    parts.push_back(broadcast_to(at, full));
  }
  return record_all(make_op(std::move(op)), std::move(parts), resolve({}))[0];
}

array Place::gathered(array y) const {
  const Tokens order = wanted();
  if (grouped_ && gathers()) {
    y = take(joined(y), positions(y), squeezed_axis(first_));
  } else if (grouped_) {
    // Bools alone: an axis of length 1, or of none.
    y = expand_dims(y, y.ndim());
    if (empty()) y = split(y, Shape{0}, y.ndim() - 1)[0];
  }
  Axes axes = permutation(gathered_order(), order);
  if (!std::ranges::is_sorted(axes)) y = transpose(y, axes);
  Axes fresh;
  int at = 0;
  for (Token t : order) {
    if (t.kind == Token::Kind::fresh) fresh.push_back(at);
    at += t.kind == Token::Kind::group ? int(group_.size()) : 1;
  }
  return fresh.empty() ? y : expand_dims(y, fresh);
}

namespace {

// How many true elements stand before each one that is true; the others have
// some number that is in range.
array numbers_of(const array& mask) {
  array number = cumsum(astype(flatten(mask), int32)) - 1;
  return reshape(maximum(number, 0), mask.shape());
}

}  // namespace

array Place::arranged(array values) const {
  const Tokens order = wanted();
  const Shape full = result_shape();
  while (values.ndim() > int(full.size()) && values.shape(0) == 1) {
    values = squeeze(values, 0);
  }
  if (values.ndim() == 0 && !masks()) return values;
  Shape shape(full.size() - std::min(full.size(), values.shape().size()), 1);
  shape.append(values.shape().begin(), values.shape().end());
  // Where the group is a mask's, any number of values may stand for it.
  Shape allowed = full;
  int group_at = 0;
  for (Token t : order) {
    if (t.kind == Token::Kind::group) break;
    ++group_at;
  }
  const bool listed =
      masks() && shape.size() == full.size() && shape[size_t(group_at)] != 1;
  if (listed) allowed[size_t(group_at)] = shape[size_t(group_at)];
  if (shape.size() != full.size() ||
      broadcast_shapes("index", shape, allowed) != allowed) {
    invalid("index",
            fmt::format("values of shape {} do not fit the elements, whose "
                        "shape is {}.",
                        to_string(values.shape()),
                        to_string(full)));
  }
  values = reshape(values, shape);
  Axes fresh;
  int at = 0;
  for (Token t : order) {
    if (t.kind == Token::Kind::fresh) fresh.push_back(at);
    at += t.kind == Token::Kind::group ? int(group_.size()) : 1;
  }
  if (!fresh.empty()) values = squeeze(values, fresh);
  Axes axes = permutation(order, gathered_order());
  if (!std::ranges::is_sorted(axes)) values = transpose(values, axes);
  if (!gathers()) {
    // Of bools alone: the last axes, all of length 1.
    for (size_t i = 0; i < group_.size(); ++i) {
      values = squeeze(values, values.ndim() - 1);
    }
    return values;
  }
  if (!masks()) return values;
  const int axis = squeezed_axis(first_);
  if (listed && values.shape(axis) == 0) {
    // Fits when nothing is true: a stand-in, and true elements look beyond it.
    Shape one = values.shape();
    one[size_t(axis)] = 1;
    return take(zeros(one, values.dtype()),
                select(mask_, numbers_of(mask_) + 1, 0),
                axis);
  }
  if (listed) return take(values, numbers_of(mask_), axis);
  const Shape& given = values.shape();
  Shape wide =
      with_ones({given.begin(), given.begin() + axis}, size_t(mask_.ndim()));
  wide.append(given.begin() + axis + 1, given.end());
  return reshape(values, wide);
}

array Place::mask_for(const array& y) const {
  const int after = y.ndim() - squeezed_axis(first_) - mask_.ndim();
  return reshape(mask_, with_ones(mask_.shape(), size_t(after)));
}

array Place::put_back(const array& x, const array& y) const {
  array part = reshape(y, lengths_);
  return whole_ ? part : slice_update(x, part, start_, stop_, step_);
}

array combined(const array& x, const array& v, Update how) {
  switch (how) {
    case Update::assign:
      return v;
    case Update::add:
      return add(x, v);
    case Update::subtract:
      return subtract(x, v);
    case Update::multiply:
      return multiply(x, v);
    case Update::divide:
      return astype(divide(x, v), x.dtype());
    case Update::maximum:
      return maximum(x, v);
    case Update::minimum:
      return minimum(x, v);
  }
  return v;
}

array Place::scattered(const array& y, const array& values, Update how) const {
  const int axis = squeezed_axis(first_);
  array to = joined(y), at = positions(y);
  auto put = [&](const array& x, const array& v, ScatterMode mode) {
    return reshape(scatter(x, at, v, axis, mode), y.shape());
  };
  switch (how) {
    case Update::assign:
      return put(to, values, ScatterMode::assign);
    case Update::add:
      return put(to, values, ScatterMode::add);
    case Update::subtract:
      return put(to, negative(values), ScatterMode::add);
    case Update::multiply:
      return put(to, values, ScatterMode::multiply);
    case Update::divide:
      if (is_inexact(y.dtype())) {
        return put(to, divide(1, values), ScatterMode::multiply);
      }
      return combined(
          y, put(ones_like(to), values, ScatterMode::multiply), how);
    case Update::maximum:
      return put(to, values, ScatterMode::maximum);
    case Update::minimum:
      return put(to, values, ScatterMode::minimum);
  }
  return y;
}

// Where the masks of an index are read: x with the axes of each mask as one,
// and their places in it instead of the mask.
struct Unmasked {
  array x;
  Index index;
};

bool is_mask(const At& p) {
  return p.kind == At::Kind::array && p.indices.dtype() == bool_;
}

Unmasked unmasked(const array& x, const Index& index) {
  const size_t ndim = x.shape().size();
  const size_t used = axes_named(index, ndim);
  Unmasked out{x, {}};
  size_t axis = 0;  // of x
  for (const At& p : index) {
    if (!is_mask(p)) {
      out.index.push_back(p);
      axis += p.kind == At::Kind::ellipsis ? ndim - used : axes_named(p);
      continue;
    }
    check_mask(p.indices, axis, x.shape());
    if (p.indices.ndim() == 0) {
      out.index.emplace_back(known_count("index", p.indices) > 0);
      continue;
    }
    // The axes of masks before this one are one axis each by now.
    const int first = int(axis) - (x.ndim() - out.x.ndim());
    out.x = flatten(out.x, first, first + p.indices.ndim() - 1);
    out.index.emplace_back(flatnonzero(p.indices));
    axis += size_t(p.indices.ndim());
  }
  return out;
}

}  // namespace

array at(const array& x, const Index& index) {
  if (std::ranges::any_of(index, is_mask)) {
    const Unmasked u = unmasked(x, index);
    return at(u.x, u.index);
  }
  Place place(x, index);
  return place.gathered(place.squeezed(place.part(x)));
}

array update_at(const array& x,
                const Index& index,
                const array& values,
                Update how) {
  // One mask needs no values; several, or integers beside it, name elements.
  const auto masks = std::ranges::count_if(index, is_mask);
  const auto arrays = std::ranges::count_if(
      index, [](const At& p) { return p.kind == At::Kind::array; });
  if (masks > 0 && arrays > 1) {
    const Unmasked u = unmasked(x, index);
    return reshape(update_at(u.x, u.index, values, how), x.shape());
  }
  Place place(x, index);
  if (place.empty()) return x;
  array v = place.arranged(astype(values, x.dtype()));
  array part = place.part(x), y = place.squeezed(part);
  if (place.masks()) {
    y = select(place.mask_for(y), combined(y, v, how), y);
  } else if (place.gathers()) {
    y = place.scattered(y, v, how);
  } else {
    v = combined(y, v, how);
    y = broadcast_to(v, y.shape());
  }
  return place.put_back(x, y);
}

}  // namespace treadle
