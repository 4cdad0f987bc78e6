// Reference kernels of convolutions: plain loops, any floating dtype, any
// geometry.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_conv();
runtime::Kernel ref_conv_input_grad();
runtime::Kernel ref_conv_weight_grad();

}  // namespace treadle::backend::cpu
