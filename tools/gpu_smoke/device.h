// The CUDA driver, as far as the smoke run needs it. A call that fails ends the
// program with its name and reason.
#pragma once

#include <string>
#include <vector>

#include <cuda.h>

#include "treadle/backend/cuda/tape_launch.h"

namespace treadle::gpu_smoke {

void require(CUresult result, const char* what);
#define TREADLE_CU(call) ::treadle::gpu_smoke::require(call, #call)

// Device 0 and its context, current for the life of the program.
class Gpu {
 public:
  Gpu();
  std::string describe() const;
};

// Device memory. The bytes before and after those handed out are a guard.
class Buffer {
 public:
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* data() const { return reinterpret_cast<char*>(base_ + kGuard); }
  size_t bytes() const { return bytes_; }
  void upload(const void* from, size_t bytes);
  std::vector<char> download() const;
  void fill(unsigned char value);
  bool guard_is_whole() const;

 private:
  static constexpr size_t kGuard = 256;
  CUdeviceptr base_ = 0;
  size_t bytes_;
};

// Sources compiled so far, by tape and layout class.
class Modules {
 public:
  // Launches all kernels of the call, compiling their source the first time.
  void run(const plan::Tape& tape, const backend::cuda::TapeLaunch& launch);
  int compiled() const { return int(entries_.size()); }
  int launches() const { return launches_; }
  double compile_ms() const { return compile_ms_; }

 private:
  struct Entry {
    plan::Tape tape;
    backend::cuda::LayoutClass layout;
    CUmodule module;
  };
  CUmodule module_of(const plan::Tape& tape,
                     const backend::cuda::LayoutClass& layout);

  std::vector<Entry> entries_;
  int launches_ = 0;
  double compile_ms_ = 0;
};

// Milliseconds of GPU time.
class Timer {
 public:
  Timer();
  void start();
  float stop();

 private:
  CUevent from_, to_;
};

}  // namespace treadle::gpu_smoke
