// From the operands of one call to the layout class, the kernels to launch and
// their arguments. Arithmetic on shapes only: needs no CUDA.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "treadle/backend/cuda/tape_source.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cuda {

struct KernelCall {
  std::string_view entry;
  uint32_t grid[2] = {1, 1};
  uint32_t block[2] = {1, 1};
};

struct TapeLaunch {
  LayoutClass layout;  // with the tape, the key of the compiled source
  std::vector<KernelCall> calls;
  size_t workspace = 0;  // bytes, 8-byte aligned

  // The bytes of `Args` as the source declares it, the only parameter of every
  // entry point.
  std::vector<uint64_t> args;
  void set_workspace(void* p);
};

// As Task: every operand has the shape of the space, outputs are
// row-contiguous. Throws std::runtime_error when more than kMaxRank axes remain
// once merged.
TapeLaunch launch_of(const plan::Tape& tape,
                     const Shape& space,
                     std::span<const runtime::Operand> in,
                     std::span<const runtime::Operand> out);

}  // namespace treadle::backend::cuda
