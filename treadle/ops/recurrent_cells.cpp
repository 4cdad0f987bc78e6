#include "treadle/ops/recurrent_cells.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Spec widened(const Spec& s, int64_t times) {
  Spec out = s;
  out.shape.back() *= times;
  return out;
}

array or_zeros(const array& ct, const array& like) {
  return ct.null() ? zeros_like(like) : ct;
}

// Derivatives by what goes in, of results y.
array sigmoid_slope(const array& y) { return y * (1 - y); }
array tanh_slope(const array& y) { return 1 - square(y); }

array side_by_side(const Arrays& parts) { return concatenate(parts, -1); }

// Adds up; null stands for zero.
array plus(const array& a, const array& b) {
  return a.null() ? b : b.null() ? a : a + b;
}

// The shape rules take the dtype of one input for that of all.
void check_dtypes(std::string_view op, std::span<const Spec> in) {
  for (const Spec& s : in) {
    if (is_inexact(s.dtype) && s.dtype == in[0].dtype) continue;
    invalid(op,
            fmt::format("got {} and {}; expected one floating dtype.",
                        to_string(in[0]),
                        to_string(s)));
  }
}

bool any_given(const Arrays& ct, size_t first) {
  for (size_t i = first; i < ct.size(); ++i) {
    if (!ct[i].null()) return true;
  }
  return false;
}

Arrays chosen(const Arrays& all, Argnums args) {
  Arrays out;
  for (int a : args) out.push_back(all[size_t(a)]);
  return out;
}

}  // namespace

// LSTM ------------------------------------------------------------------------

Specs LstmCell::infer(std::span<const Spec> in) const {
  check_dtypes(op_name, in);
  return Specs(6, in[2]);
}

Arrays LstmCell::expand(const Arrays& in) const {
  const Arrays x = split(in[0], 4, -1), p = split(in[1], 4, -1);
  const array i = sigmoid(x[0] + p[0]), f = sigmoid(x[1] + p[1]),
              g = tanh(x[2] + p[2]), o = sigmoid(x[3] + p[3]);
  const array c = f * in[2] + i * g;
  return {o * tanh(c), c, i, f, g, o};
}

Arrays LstmCell::vjp(const Arrays& x,
                     const Arrays& y,
                     const Arrays& ct,
                     Argnums args) const {
  if (!any_given(ct, 0)) return Arrays(args.size());
  array gates, c;
  if (!ct[0].null() || !ct[1].null()) {
    const Arrays g = record_all(make_op(LstmCellGrad()),
                                {x[2],
                                 y[1],
                                 y[2],
                                 y[3],
                                 y[4],
                                 y[5],
                                 or_zeros(ct[0], y[0]),
                                 or_zeros(ct[1], y[1])},
                                resolve({}));
    gates = g[0];
    c = g[1];
  }
  // Only derivatives of derivatives ask for these.
  if (any_given(ct, 2)) {
    Arrays parts;
    for (size_t k = 2; k < 6; ++k) {
      const array slope = k == 4 ? tanh_slope(y[k]) : sigmoid_slope(y[k]);
      parts.push_back(or_zeros(ct[k], y[k]) * slope);
    }
    gates = plus(gates, side_by_side(parts));
  }
  return chosen({gates, gates, c}, args);
}

Specs LstmCellGrad::infer(std::span<const Spec> in) const {
  check_dtypes(op_name, in);
  return {widened(in[0], 4), in[0]};
}

Arrays LstmCellGrad::expand(const Arrays& in) const {
  const array &i = in[2], &f = in[3], &g = in[4], &o = in[5];
  const array t = tanh(in[1]);
  const array c = in[7] + in[6] * o * tanh_slope(t);
  return {side_by_side({c * g * sigmoid_slope(i),
                        c * in[0] * sigmoid_slope(f),
                        c * i * tanh_slope(g),
                        in[6] * t * sigmoid_slope(o)}),
          c * f};
}

std::pair<array, array> lstm_cell(const array& x,
                                  const array& p,
                                  const array& c) {
  const Arrays y = record_all(make_op(LstmCell()), {x, p, c}, resolve({}));
  return {y[0], y[1]};
}

// GRU -------------------------------------------------------------------------

Specs GruCell::infer(std::span<const Spec> in) const {
  check_dtypes(op_name, in);
  return Specs(4, in[2]);
}

Arrays GruCell::expand(const Arrays& in) const {
  const Arrays x = split(in[0], 3, -1), p = split(in[1], 3, -1);
  const array r = sigmoid(x[0] + p[0]), z = sigmoid(x[1] + p[1]);
  const array n = tanh(x[2] + r * p[2]);
  return {(1 - z) * n + z * in[2], r, z, n};
}

// dn = ct (1 - z) (1 - n^2), dz = ct (h - n) z (1 - z), dr = dn p_n r (1 - r).
Arrays GruCell::vjp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums args) const {
  if (!any_given(ct, 0)) return Arrays(args.size());
  const array &h = x[2], &r = y[1], &z = y[2], &n = y[3];
  const array p_n = split(x[1], 3, -1)[2];
  const array& to_r = ct[1];
  array to_z = ct[2], to_n = ct[3], to_h;
  if (!ct[0].null()) {
    to_n = plus(to_n, ct[0] * (1 - z));
    to_z = plus(to_z, ct[0] * (h - n));
    to_h = ct[0] * z;
  }
  const array n_in = or_zeros(to_n, n) * tanh_slope(n);
  const array r_in = plus(to_r, n_in * p_n) * sigmoid_slope(r);
  const array z_in = or_zeros(to_z, z) * sigmoid_slope(z);
  return chosen({side_by_side({r_in, z_in, n_in}),
                 side_by_side({r_in, z_in, n_in * r}),
                 to_h},
                args);
}

array gru_cell(const array& x, const array& p, const array& h) {
  return record_all(make_op(GruCell()), {x, p, h}, resolve({}))[0];
}

}  // namespace treadle
