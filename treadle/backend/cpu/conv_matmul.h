// Convolutions as matrix products: the input around each position is laid out
// as a row (im2col). For float64, for builds without oneDNN, for what oneDNN
// does not take, and where results must not depend on the number of threads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel matmul_conv();
runtime::Kernel matmul_conv_input_grad();
runtime::Kernel matmul_conv_weight_grad();

}  // namespace treadle::backend::cpu
