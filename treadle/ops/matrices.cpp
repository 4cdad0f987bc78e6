#include "treadle/ops/matrices.h"

#include <utility>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/matrix_op.h"

namespace treadle::linalg {

void check_matrices(std::string_view op,
                    const Spec& in,
                    bool square,
                    bool complex) {
  const Shape& s = in.shape;
  const bool dtype = in.dtype == float32 || in.dtype == float64 ||
                     (complex && in.dtype == complex64);
  if (dtype && s.size() >= 2 && (!square || s.back() == s[s.size() - 2]))
    return;
  invalid(op,
          fmt::format(
              "got {}; expected {} of float32{}float64{}.",
              to_string(in),
              square ? "square matrices (..., N, N)" : "matrices (..., M, N)",
              complex ? ", " : " or ",
              complex ? " or complex64" : ""));
}

Mapped map_matrices(OpPtr op, const Arrays& x, std::span<const int> axes) {
  int64_t batch = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch = x[i].shape(axes[i]);
  }
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) {
      in.push_back(moveaxis(x[i], axes[i], 0));
      continue;
    }
    Shape shape{batch};
    shape.append(x[i].shape().begin(), x[i].shape().end());
    in.push_back(broadcast_to(x[i], shape));
  }
  Mapped m;
  m.outputs = record_all(std::move(op), in, resolve({}));
  m.axes.assign(m.outputs.size(), 0);
  return m;
}

}  // namespace treadle::linalg
