#include "treadle/ops/moments.h"

#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Dtype statistic(Dtype t) { return is_half(t) ? float32 : t; }

Spec statistics_of(const Spec& x, const Axes& axes) {
  Spec s{x.shape, statistic(x.dtype)};
  for (int a : axes) s.shape[size_t(a)] = 1;
  return s;
}

array wide(const array& x) { return astype(x, statistic(x.dtype())); }

// The op with the mapped axis in front of everything.
template <class Op>
Mapped in_front(const Op& op, const Arrays& x, std::span<const int> mapped) {
  int64_t n = 1;
  for (size_t i = 0; i < x.size(); ++i) {
    if (mapped[i] != kNotMapped) n = x[i].shape(mapped[i]);
  }
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    if (mapped[i] != kNotMapped) {
      in.push_back(moveaxis(x[i], mapped[i], 0));
      continue;
    }
    Shape shape = x[i].shape();
    shape.insert(shape.begin(), n);
    in.push_back(broadcast_to(x[i], shape));
  }
  Op over;
  for (int a : op.axes) over.axes.push_back(a + 1);
  return {record_all(make_op(std::move(over)), in, resolve({})), {0, 0}};
}

}  // namespace

Specs Moments::infer(std::span<const Spec> in) const {
  const Spec s = statistics_of(in[0], axes);
  return {s, s};
}

Arrays Moments::expand(const Arrays& x) const {
  const array v = wide(x[0]), m = mean(v, axes, true);
  return {m, mean(square(v - m), axes, true)};
}

Arrays Moments::vjp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums) const {
  double n = 1;
  for (int a : axes) n *= double(x[0].shape(a));
  array g;
  if (!ct[0].null()) g = broadcast_to(ct[0] * (1 / n), x[0].shape());
  // The variance does not change with the mean.
  if (!ct[1].null()) {
    const array by = (wide(x[0]) - y[0]) * (ct[1] * (2 / n));
    g = g.null() ? by : g + by;
  }
  return {g.null() ? g : astype(g, x[0].dtype())};
}

Mapped Moments::vmap(const Arrays& x, std::span<const int> mapped) const {
  return in_front(*this, x, mapped);
}

Specs Normalized::infer(std::span<const Spec> in) const {
  return {Spec{in[0].shape, dtype}};
}

Arrays Normalized::expand(const Arrays& x) const {
  return {astype((wide(x[0]) - x[1]) * x[2] + x[3], dtype)};
}

Arrays Normalized::vjp(const Arrays& x,
                       const Arrays&,
                       const Arrays& ct,
                       Argnums args) const {
  if (ct[0].null()) return Arrays(args.size());
  Arrays sums;
  if (args.back() > 0) {
    CentredSums op;
    op.axes = axes;
    const Arrays in{ct[0], x[0], x[1]};
    // Sums over all that comes before the channels go with what makes ct.
    sums = axes.front() == 0
               ? op.expand(in)
               : record_all(make_op(std::move(op)), in, resolve({}));
  }
  Arrays out;
  for (int a : args) {
    switch (a) {
      case 0:
        out.push_back(astype(wide(ct[0]) * x[2], x[0].dtype()));
        break;
      case 1:
        out.push_back(-(sums[1] * x[2]));
        break;
      default:
        out.push_back(sums[size_t(a) - 2]);
    }
  }
  return out;
}

Specs CentredSums::infer(std::span<const Spec> in) const {
  const Spec s = statistics_of(in[1], axes);
  return {s, s};
}

Arrays CentredSums::expand(const Arrays& x) const {
  const array ct = astype(x[0], statistic(x[1].dtype()));
  return {sum(ct * (wide(x[1]) - x[2]), axes, true), sum(ct, axes, true)};
}

Mapped CentredSums::vmap(const Arrays& x, std::span<const int> mapped) const {
  return in_front(*this, x, mapped);
}

Arrays moments(const array& x, const Axes& axes) {
  Moments op;
  op.axes = axes;
  return record_all(make_op(std::move(op)), {x}, resolve({}));
}

array normalized(const array& x,
                 const array& mean,
                 const array& scale,
                 const array& shift,
                 const Axes& axes,
                 Dtype dtype) {
  Normalized op;
  op.axes = axes;
  op.dtype = dtype;
  const Shape& shape = mean.shape();
  auto like = [&](const array& a) {
    return broadcast_to(astype(a, mean.dtype()), shape);
  };
  return record(std::move(op),
                {x,
                 mean,
                 like(scale),
                 like(shift.null() ? array(0, mean.dtype()) : shift)},
                resolve({}));
}

}  // namespace treadle
