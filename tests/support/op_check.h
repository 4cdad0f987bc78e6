// One row of a case table gives all checks of an op: planned against reference
// kernels, shapes, gradient against finite differences, jvp against vjp, vmap
// against a loop, compiled against not, strided, scalar and empty inputs.
#pragma once

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "treadle/treadle.h"

namespace treadle::testing {

struct Input {
  Shape shape;
  double low = -2, high = 2;  // values are drawn from here
  Dtype dtype = float32;
  bool differentiable = true;
};

struct OpCase {
  std::string name;
  std::function<array(const Arrays&)> f;
  std::vector<Input> inputs;
  double ulps = 4;           // planned against reference
  bool gradient = true;      // else the op has none, or it is zero
  bool mapped = true;        // has a vmap rule
  bool second_order = true;  // gradient of gradient is checked too
  // Elements are judged as if they were at least this part of the largest: 1
  // for sums of products, whose elements cancel.
  double cancels = 1e-3;

  friend void PrintTo(const OpCase& c, std::ostream* os) { *os << c.name; }
};

// Deterministic values of the inputs of a case, in another dtype if given.
Arrays draw(const OpCase& c, std::optional<Dtype> dtype = {}, int seed = 0);

void check_strided_inputs(const OpCase& c);
// Planned against reference for every dtype that the op takes.
void check_every_dtype(const OpCase& c);
// Over a batch of none: the shapes of the result, and no element.
void check_empty(const OpCase& c);
void check_gradient(const OpCase& c);
void check_jvp_against_vjp(const OpCase& c);
void check_vmap_against_loop(const OpCase& c);
void check_compiled(const OpCase& c);

// All of the above.
void check_all(const OpCase& c);

// EXPECTs that two arrays have equal shapes and dtypes and values within
// `ulps` of the element, or of `cancels` times the largest one.
void expect_close(const array& got,
                  const array& want,
                  double ulps,
                  const std::string& what,
                  double cancels = 1e-3);

}  // namespace treadle::testing
