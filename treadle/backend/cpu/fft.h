// Fourier transforms by ducc0.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ducc_fft();

}  // namespace treadle::backend::cpu
