// The affine layer: its formula, and the values it starts from.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/tree.h"

namespace treadle::nn {

// x w^T + bias. A null bias stands for none.
// x (..., I), w (O, I), bias (O,) -> (..., O)
array linear(const array& x, const array& w, const array& bias = {});

// {"weight": (out, in), "bias": (out,)}, both uniform in +-1/sqrt(in), as MLX
// draws them. Without `bias` the tree has no such entry.
Tree linear_init(int in, int out, bool bias = true, Dtype dtype = float32);

// x1^T W_o x2 + b_o for each output o. x1 (..., I), x2 (..., J), w (O, J, I),
// bias (O,) or null -> (..., O).
array bilinear(const array& x1,
               const array& x2,
               const array& w,
               const array& bias = {});

// {"weight": (out, in2, in1), "bias": (out,)}, both uniform in +-1/sqrt(in1).
Tree bilinear_init(
    int in1, int in2, int out, bool bias = true, Dtype dtype = float32);

}  // namespace treadle::nn
