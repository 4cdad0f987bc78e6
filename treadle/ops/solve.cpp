#include "treadle/ops/solve.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/matrices.h"

namespace treadle::linalg {

namespace {

void check_system(std::string_view op, const Spec& a, const Spec& b) {
  check_matrices(op, a, true);
  check_matrices(op, b, false);
  bool fits = a.dtype == b.dtype && a.shape.size() == b.shape.size() &&
              a.shape.back() == b.shape[b.shape.size() - 2];
  for (size_t i = 0; fits && i + 2 < a.shape.size(); ++i)
    fits = a.shape[i] == b.shape[i];
  if (!fits) {
    invalid(op,
            fmt::format("got {} and {}; expected (..., N, N) and (..., N, K).",
                        to_string(a),
                        to_string(b)));
  }
}

// The triangle that counts, without its diagonal if that counts as ones.
array triangle(const array& x, bool upper, bool unit = false) {
  return upper ? triu(x, unit ? 1 : 0) : tril(x, unit ? -1 : 0);
}

// Adds up tangents of which some are zero.
void add_to(array* sum, const array& part) {
  *sum = sum->null() ? part : *sum + part;
}

}  // namespace

// a x = b, a triangular: da x + a dx = db.

Specs TriangularSolve::infer(std::span<const Spec> in) const {
  check_system(op_name, in[0], in[1]);
  return {in[1]};
}

Arrays TriangularSolve::jvp(const Arrays& x,
                            const Arrays& y,
                            const Arrays& t,
                            Argnums args) const {
  array right;
  for (size_t i = 0; i < args.size(); ++i) {
    if (t[i].null()) continue;
    add_to(&right,
           args[i] == 0 ? -matmul(triangle(t[i], upper, unit), y[0]) : t[i]);
  }
  if (right.null()) return {array()};
  return {record(*this, {x[0], right}, resolve({}))};
}

Arrays TriangularSolve::vjp(const Arrays& x,
                            const Arrays& y,
                            const Arrays& ct,
                            Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  TriangularSolve back{*this};
  back.upper = !upper;
  array g = record(back, {turned(x[0]), ct[0]}, resolve({}));
  for (size_t i = 0; i < args.size(); ++i) {
    out[i] = args[i] == 1 ? g : triangle(-matmul(g, turned(y[0])), upper, unit);
  }
  return out;
}

// a x = b by factors.

Specs LuSolve::infer(std::span<const Spec> in) const {
  check_system(op_name, in[0], in[3]);
  return {in[3]};
}

Arrays LuSolve::jvp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& t,
                    Argnums args) const {
  array right;
  for (size_t i = 0; i < args.size(); ++i) {
    if (t[i].null()) continue;
    if (args[i] == 0) {
      add_to(&right, -matmul(transposed ? turned(t[i]) : t[i], y[0]));
    } else if (args[i] == 3) {
      add_to(&right, t[i]);
    }
  }
  if (right.null()) return {array()};
  return {record(*this, {x[0], x[1], x[2], right}, resolve({}))};
}

Arrays LuSolve::vjp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  LuSolve back;
  back.transposed = !transposed;
  array g = record(back, {x[0], x[1], x[2], ct[0]}, resolve({}));
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 3) out[i] = g;
    if (args[i] == 0) {
      out[i] = transposed ? -matmul(y[0], turned(g)) : -matmul(g, turned(y[0]));
    }
  }
  return out;
}

// y = 1 / a: dy = -y da y.

Specs Inverse::infer(std::span<const Spec> in) const {
  check_matrices(
      kind == Kind::general ? op_name : "linalg.tri_inv", in[0], true);
  return {in[0]};
}

Arrays Inverse::jvp(const Arrays&,
                    const Arrays& y,
                    const Arrays& t,
                    Argnums) const {
  if (t[0].null()) return {array()};
  array da = kind == Kind::general ? t[0] : triangle(t[0], kind == Kind::upper);
  return {-matmul(matmul(y[0], da), y[0])};
}

Arrays Inverse::vjp(const Arrays&,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums) const {
  if (ct[0].null()) return {array()};
  const array back = turned(y[0]);
  array g = -matmul(matmul(back, ct[0]), back);
  return {kind == Kind::general ? g : triangle(g, kind == Kind::upper)};
}

// y = det(a) / a, so dy = tr(y da) / a - y da / a.

Specs Adjugate::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true);
  return {in[0]};
}

Arrays Adjugate::jvp(const Arrays& x,
                     const Arrays& y,
                     const Arrays& t,
                     Argnums) const {
  if (t[0].null()) return {array()};
  const array inverse = record(Inverse{}, {x[0]}, resolve({}));
  const array change = matmul(y[0], t[0]);
  const array scale = expand_dims(trace(change, 0, -2, -1), Axes{-2, -1});
  return {scale * inverse - matmul(change, inverse)};
}

Arrays Adjugate::vjp(const Arrays& x,
                     const Arrays& y,
                     const Arrays& ct,
                     Argnums) const {
  if (ct[0].null()) return {array()};
  const array inverse = record(Inverse{}, {x[0]}, resolve({}));
  const array scale = sum(ct[0] * inverse, Axes{-2, -1}, true);
  const array back = turned(y[0]);
  return {scale * back - matmul(back, matmul(ct[0], turned(inverse)))};
}

}  // namespace treadle::linalg
