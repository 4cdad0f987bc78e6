#include "treadle/ops/symmetric_root.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/linalg.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/matrices.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

array logical_and_of(const array& i, const array& j) {
  return logical_and(i, j);
}
array sum_of(const array& i, const array& j) { return i + j; }
array difference_of(const array& i, const array& j) { return i - j; }

}  // namespace

Specs SymmetricRoot::infer(std::span<const Spec> in) const {
  const Shape& s = in[0].shape;
  if (s.size() < 2 || s.back() != s[s.size() - 2] ||
      (in[0].dtype != float32 && in[0].dtype != float64)) {
    invalid(op_name,
            fmt::format("got {}; expected square matrices of float32 or "
                        "float64.",
                        treadle::to_string(in[0])));
  }
  return {in[0]};
}

// With x = V diag(w) V^T, s = sqrt |w| and P = V^T dx V:
// dy = V (F P) V^T, F_ij = (s_i - s_j) / (w_i - w_j), which is 1 / (s_i + s_j)
// up to the sign where w_i and w_j have one sign.
Arrays SymmetricRoot::jvp(const Arrays& x,
                          const Arrays&,
                          const Arrays& t,
                          Argnums) const {
  if (t[0].null()) return {array()};
  const auto [w, v] = linalg::eigh(x[0]);
  const array vt = linalg::turned(v);
  // What an eigenvalue of 0 comes out as.
  const array none =
      double(w.shape(-1)) *
      array(Scalar(w.dtype() == float32 ? 0x1p-23 : 0x1p-52), w.dtype()) *
      max(abs(w), -1, true);
  const array s = sqrt(abs(w));
  auto pairs = [&](const array& of, auto f) {
    return f(expand_dims(of, -1), expand_dims(of, -2));
  };
  const array sign = select(less(w, 0), array(Scalar(-1.0), w.dtype()), 1);
  const array one_sign =
      pairs(sign, [](const array& i, const array& j) { return equal(i, j); });
  const array zero = pairs(less_equal(abs(w), none), logical_and_of);
  const array total = pairs(s, sum_of);
  const array apart = pairs(s, difference_of);
  const array squares = pairs(square(s), sum_of);
  const array f =
      expand_dims(sign, -1) * select(zero,
                                     0,
                                     select(one_sign,
                                            1 / select(zero, 1, total),
                                            apart / select(zero, 1, squares)));
  const array& dx = t[0];
  const array p = matmul(vt, matmul(0.5 * (dx + linalg::turned(dx)), v));
  return {matmul(v, matmul(f * p, vt))};
}

array symmetric_root(const array& x, StreamOrDevice s) {
  return record(SymmetricRoot(), {x}, resolve(s));
}

}  // namespace treadle
