// Kernels of matrix products. Each one looks at lengths and strides when it is
// called: small products and single rows go to the own kernels of
// matmul_small.h, the others to the library that gives the kernel its name.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// float32, and bfloat16 and float16 where the CPU has instructions for them;
// elsewhere those are converted.
runtime::Kernel onednn_matmul();
// float64, complex64, float32; float16 and bfloat16 by conversion.
runtime::Kernel openblas_matmul();
// float32 and float64; float16 and bfloat16 by conversion. For builds without
// libraries.
runtime::Kernel own_matmul();

}  // namespace treadle::backend::cpu
