// Reference kernel of Fourier transforms.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_fft();

}  // namespace treadle::backend::cpu
