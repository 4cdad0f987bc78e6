// Compiles CUDA source for the H200's architecture, without a GPU.
#pragma once

#include <string>

namespace treadle::cuda_check {

struct Compiled {
  bool ok = false;
  std::string log;
  std::string cubin;  // machine code
  std::string ptx;
};

Compiled compile(const std::string& source, const std::string& arch = "sm_90");

}  // namespace treadle::cuda_check
