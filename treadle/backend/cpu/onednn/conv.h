// Convolutions by oneDNN, in float32 and bfloat16; float16 (and bfloat16 where
// the CPU has no instructions for it) is converted to float32.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel onednn_conv();
runtime::Kernel onednn_conv_input_grad();
runtime::Kernel onednn_conv_weight_grad();

}  // namespace treadle::backend::cpu
