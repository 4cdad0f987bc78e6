#include "treadle/ops/matrices.h"

#include <fmt/format.h>

#include "treadle/base/error.h"

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

}  // namespace treadle::linalg
