// Elementwise work on a product, done while its rows are still in the cache.
#pragma once

#include "treadle/plan/plan.h"
#include "treadle/plan/program.h"

namespace treadle::plan {

// Puts tapes without reductions that read the result of a matrix product or
// convolution just after it, and marks them (PlanStep::follows): bias,
// activation, residual, cast, the update of a parameter. Whether a kernel takes
// the tape's work over is decided with the lengths (runtime/instance.cpp).
void absorb(const Program& program, Plan& plan);

}  // namespace treadle::plan
