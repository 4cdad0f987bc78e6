// Moving ops that copy: other dtypes, row order, zeros around, several arrays
// as one.

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/ops/views_rules.h"

namespace treadle {

// astype, contiguous --------------------------------------------------------

Specs AsType::infer(std::span<const Spec> in) const {
  return {Spec{in[0].shape, dtype}};
}
Arrays AsType::jvp(const Arrays&,
                   const Arrays&,
                   const Arrays& t,
                   Argnums) const {
  if (!is_inexact(dtype)) return {array()};
  return linear_jvp(*this, t);
}
Arrays AsType::vjp(const Arrays& x,
                   const Arrays&,
                   const Arrays& ct,
                   Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  return {astype(ct[0], x[0].dtype())};
}
Mapped AsType::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{astype(x[0], dtype)}, {axes[0]}};
}

array astype(const array& x, Dtype dtype, StreamOrDevice s) {
  if (x.dtype() == dtype) return x;
  AsType op;
  op.dtype = dtype;
  return record(std::move(op), {x}, resolve(s));
}

Specs Contiguous::infer(std::span<const Spec> in) const { return {in[0]}; }
Arrays Contiguous::jvp(const Arrays&,
                       const Arrays&,
                       const Arrays& t,
                       Argnums) const {
  return {t[0]};
}
Arrays Contiguous::vjp(const Arrays&,
                       const Arrays&,
                       const Arrays& ct,
                       Argnums) const {
  return {ct[0]};
}
Mapped Contiguous::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{contiguous(x[0])}, {axes[0]}};
}

array contiguous(const array& x, StreamOrDevice s) {
  if (x.is_available() && x.output()->contiguous()) {
    // A small part would keep all of the memory that it is a part of.
    constexpr size_t kKept = 16 << 10;
    const Buffer* b = x.output()->buffer.get();
    const size_t bytes = size_t(x.size()) * size_of(x.dtype());
    if (!b || bytes + bytes / 4 + kKept >= b->bytes) return x;
  }
  return record(Contiguous{}, {x}, resolve(s));
}

// pad, concatenate ----------------------------------------------------------

Specs Pad::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape;
  for (size_t i = 0; i < out.size(); ++i) out[i] += low[i] + high[i];
  return {Spec{out, in[0].dtype}};
}
Arrays Pad::jvp(const Arrays&, const Arrays&, const Arrays& t, Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Pad::vjp(const Arrays& x,
                const Arrays&,
                const Arrays& ct,
                Argnums) const {
  if (ct[0].null()) return {array()};
  Shape stop = low;
  for (size_t i = 0; i < stop.size(); ++i) stop[i] += x[0].shape()[i];
  return {slice(ct[0], low, stop)};
}
Mapped Pad::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{pad(mapped_first(x[0], axes[0]), prepend(0, low), prepend(0, high))},
          {0}};
}

array pad(const array& x,
          const Shape& low,
          const Shape& high,
          StreamOrDevice s) {
  bool none = true;
  if (low.size() != x.shape().size() || high.size() != x.shape().size()) {
    invalid("pad",
            fmt::format("widths for {} and {} axes; x has {}.",
                        low.size(),
                        high.size(),
                        x.ndim()));
  }
  for (size_t i = 0; i < low.size(); ++i) {
    none = none && low[i] == 0 && high[i] == 0;
    if (low[i] < 0 || high[i] < 0) {
      invalid("pad",
              fmt::format(
                  "negative width on axis {}: ({}, {}).", i, low[i], high[i]));
    }
  }
  if (none) return x;
  Pad op;
  op.low = low;
  op.high = high;
  return record(std::move(op), {x}, resolve(s));
}

Specs Concatenate::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape;
  for (const Spec& s : in.subspan(1)) {
    bool fits = s.shape.size() == out.size();
    for (size_t i = 0; fits && i < out.size(); ++i) {
      fits = int(i) == axis || s.shape[i] == out[i];
    }
    if (!fits) {
      invalid(op_name,
              fmt::format("shapes {} and {} differ beyond axis {}.",
                          treadle::to_string(in[0].shape),
                          treadle::to_string(s.shape),
                          axis));
    }
    out[size_t(axis)] += s.shape[size_t(axis)];
  }
  return {Spec{out, in[0].dtype}};
}
Arrays Concatenate::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  Arrays parts;
  for (const array& a : x) parts.push_back(zeros_like(a));
  for (size_t i = 0; i < args.size(); ++i) {
    if (!t[i].null()) parts[size_t(args[i])] = t[i];
  }
  return {concatenate(parts, axis)};
}
Arrays Concatenate::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  int64_t at = 0;
  size_t want = 0;
  for (size_t i = 0; i < x.size() && want < args.size(); ++i) {
    int64_t end = at + x[i].shape()[size_t(axis)];
    if (args[want] == int(i)) {
      Shape start(x[i].shape().size(), 0), stop = ct[0].shape();
      start[size_t(axis)] = at;
      stop[size_t(axis)] = end;
      out[want++] = slice(ct[0], start, stop);
    }
    at = end;
  }
  return out;
}
Mapped Concatenate::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch = x[i].shape(axes[i]);
  }
  Arrays parts;
  for (size_t i = 0; i < x.size(); ++i) {
    parts.push_back(axes[i] != kNotMapped
                        ? mapped_first(x[i], axes[i])
                        : broadcast_to(x[i], prepend(batch, x[i].shape())));
  }
  return {{concatenate(parts, axis + 1)}, {0}};
}

array concatenate(const Arrays& x, int axis, StreamOrDevice s) {
  if (x.empty()) invalid("concatenate", "no arrays were given.");
  Concatenate op;
  op.axis = normalize_axis("concatenate", axis, x[0].shape().size());
  Dtype dtype = x[0].dtype();
  for (const array& a : x) dtype = promote_types(dtype, a.dtype());
  if (x.size() == 1) return x[0];
  Arrays in;
  for (const array& a : x) in.push_back(astype(a, dtype, s));
  return record_all(make_op(op), std::move(in), resolve(s))[0];
}

array stack(const Arrays& x, int axis, StreamOrDevice s) {
  if (x.empty()) invalid("stack", "no arrays were given.");
  Arrays in;
  for (const array& a : x) {
    if (a.shape() != x[0].shape()) {
      invalid("stack",
              fmt::format("shapes {} and {} differ.",
                          to_string(x[0].shape()),
                          to_string(a.shape())));
    }
    in.push_back(expand_dims(a, axis, s));
  }
  return concatenate(in, axis < 0 ? axis + in[0].ndim() : axis, s);
}

}  // namespace treadle
