#include "tools/gpu_smoke/device.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/cuda_check/nvrtc.h"

namespace treadle::gpu_smoke {

void require(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  const char* reason = "unknown error";
  cuGetErrorString(result, &reason);
  std::fprintf(stderr, "%s: %s\n", what, reason);
  std::exit(2);
}

Gpu::Gpu() {
  TREADLE_CU(cuInit(0));
  CUdevice device;
  TREADLE_CU(cuDeviceGet(&device, 0));
  CUcontext context;
  TREADLE_CU(cuDevicePrimaryCtxRetain(&context, device));
  TREADLE_CU(cuCtxSetCurrent(context));
}

std::string Gpu::describe() const {
  char name[256];
  int major = 0, minor = 0, driver = 0;
  TREADLE_CU(cuDeviceGetName(name, sizeof name, 0));
  TREADLE_CU(cuDeviceGetAttribute(
      &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  TREADLE_CU(cuDeviceGetAttribute(
      &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
  TREADLE_CU(cuDriverGetVersion(&driver));
  return std::string(name) + ", compute capability " + std::to_string(major) +
         "." + std::to_string(minor) + ", driver " + std::to_string(driver);
}

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  TREADLE_CU(cuMemAlloc(&base_, bytes + 2 * kGuard));
  TREADLE_CU(cuMemsetD8(base_, 0xa5, kGuard));
  TREADLE_CU(cuMemsetD8(base_ + kGuard + bytes, 0xa5, kGuard));
}
Buffer::~Buffer() { cuMemFree(base_); }

void Buffer::upload(const void* from, size_t bytes) {
  if (bytes > 0) TREADLE_CU(cuMemcpyHtoD(base_ + kGuard, from, bytes));
}
std::vector<char> Buffer::download() const {
  std::vector<char> host(bytes_);
  if (bytes_ > 0) TREADLE_CU(cuMemcpyDtoH(host.data(), base_ + kGuard, bytes_));
  return host;
}
void Buffer::fill(unsigned char value) {
  if (bytes_ > 0) TREADLE_CU(cuMemsetD8(base_ + kGuard, value, bytes_));
}
bool Buffer::guard_is_whole() const {
  unsigned char guard[2][kGuard];
  TREADLE_CU(cuMemcpyDtoH(guard[0], base_, kGuard));
  TREADLE_CU(cuMemcpyDtoH(guard[1], base_ + kGuard + bytes_, kGuard));
  return std::all_of(guard[0], guard[0] + 2 * kGuard, [](unsigned char c) {
    return c == 0xa5;
  });
}

CUmodule Modules::module_of(const plan::Tape& tape,
                            const backend::cuda::LayoutClass& layout) {
  for (const Entry& e : entries_) {
    if (e.layout == layout && e.tape == tape) return e.module;
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::string source = backend::cuda::tape_source(tape, layout);
  const cuda_check::Compiled compiled = cuda_check::compile(source);
  if (!compiled.ok) {
    std::fprintf(
        stderr, "NVRTC: %s\n%s\n", compiled.log.c_str(), source.c_str());
    std::exit(2);
  }
  CUmodule module;
  TREADLE_CU(cuModuleLoadData(&module, compiled.cubin.data()));
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - begin;
  compile_ms_ += took.count();
  entries_.push_back({tape, layout, module});
  return module;
}

void Modules::run(const plan::Tape& tape,
                  const backend::cuda::TapeLaunch& launch) {
  if (launch.calls.empty()) return;
  const CUmodule module = module_of(tape, launch.layout);
  for (const backend::cuda::KernelCall& call : launch.calls) {
    CUfunction function;
    TREADLE_CU(cuModuleGetFunction(
        &function, module, std::string(call.entry).c_str()));
    size_t bytes = launch.args.size() * sizeof(uint64_t);
    void* config[] = {CU_LAUNCH_PARAM_BUFFER_POINTER,
                      const_cast<uint64_t*>(launch.args.data()),
                      CU_LAUNCH_PARAM_BUFFER_SIZE,
                      &bytes,
                      CU_LAUNCH_PARAM_END};
    TREADLE_CU(cuLaunchKernel(function,
                              call.grid[0],
                              call.grid[1],
                              1,
                              call.block[0],
                              call.block[1],
                              1,
                              0,
                              nullptr,
                              nullptr,
                              config));
    ++launches_;
  }
}

Timer::Timer() {
  TREADLE_CU(cuEventCreate(&from_, CU_EVENT_DEFAULT));
  TREADLE_CU(cuEventCreate(&to_, CU_EVENT_DEFAULT));
}
void Timer::start() { TREADLE_CU(cuEventRecord(from_, nullptr)); }
float Timer::stop() {
  float ms = 0;
  TREADLE_CU(cuEventRecord(to_, nullptr));
  TREADLE_CU(cuEventSynchronize(to_));
  TREADLE_CU(cuEventElapsedTime(&ms, from_, to_));
  return ms;
}

}  // namespace treadle::gpu_smoke
