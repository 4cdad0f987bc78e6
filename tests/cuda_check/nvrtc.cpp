#include "tests/cuda_check/nvrtc.h"

#include <nvrtc.h>

namespace treadle::cuda_check {

Compiled compile(const std::string& source, const std::string& arch) {
  Compiled result;
  nvrtcProgram program;
  if (nvrtcCreateProgram(
          &program, source.c_str(), "tape.cu", 0, nullptr, nullptr) !=
      NVRTC_SUCCESS) {
    result.log = "nvrtcCreateProgram failed";
    return result;
  }
  const std::string target = "--gpu-architecture=" + arch;
  // A product and a sum are rounded separately, as on the CPU.
  const char* options[] = {target.c_str(), "--std=c++17", "--fmad=false"};
  result.ok = nvrtcCompileProgram(program, 3, options) == NVRTC_SUCCESS;

  size_t size = 0;
  nvrtcGetProgramLogSize(program, &size);
  result.log.resize(size);
  nvrtcGetProgramLog(program, result.log.data());
  result.log.resize(size > 0 ? size - 1 : 0);
  if (result.ok) {
    nvrtcGetCUBINSize(program, &size);
    result.cubin.resize(size);
    nvrtcGetCUBIN(program, result.cubin.data());
    nvrtcGetPTXSize(program, &size);
    result.ptx.resize(size);
    nvrtcGetPTX(program, result.ptx.data());
    result.ptx.resize(size > 0 ? size - 1 : 0);
  }
  nvrtcDestroyProgram(&program);
  return result;
}

}  // namespace treadle::cuda_check
