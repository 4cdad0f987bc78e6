// Smoke run of the CUDA tape printer on a GPU: each tape is printed, compiled
// by NVRTC and run; results are compared with a plain C++ reference, on two
// runs, in poisoned and guarded memory. Then the time of large calls is set
// against that of a device-to-device copy of the same bytes.
//
//   gpu_smoke [--checks-only | --times-only] [--only TEXT]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tests/cuda_check/tapes.h"
#include "tools/gpu_smoke/checks.h"

namespace treadle::gpu_smoke {
namespace {

using runtime::Operand;

int check_all(Modules& modules, const char* only) {
  int failed = 0, count = 0;
  for (const Check& check : all_checks()) {
    if (only && check.name.find(only) == std::string::npos) continue;
    const Outcome o = run_check(check, modules);
    ++count;
    failed += !o.passed;
    std::printf("%-4s %-46s %4.0f %% of the limit%s",
                o.passed ? "ok" : "FAIL",
                check.name.c_str(),
                100 * o.worst,
                o.passed ? o.report.c_str() + 3 : ("\n" + o.report).c_str());
  }
  std::printf(
      "%d checks, %d failed; %d sources compiled in %.1f s for %d launches\n",
      count,
      failed,
      modules.compiled(),
      modules.compile_ms() / 1e3,
      modules.launches());
  return failed;
}

struct Timed {
  const char* name;
  plan::Tape tape;
  Shape space;
  std::vector<View> views;
};

std::vector<Timed> timed_calls() {
  using namespace cuda_check;
  const View full = View::full, inner = View::inner, scalar = View::scalar,
             outer = View::outer;
  const int64_t k = 1024;
  return {
      {"relu(x w + b) f32, scalars",
       scale_shift_relu(float32),
       {256 * k * k},
       {full, scalar, scalar}},
      {"relu(x w + b) f32, per column",
       scale_shift_relu(float32),
       {64 * k, 4 * k},
       {full, inner, inner}},
      {"relu(x w + b) f32, per row",
       scale_shift_relu(float32),
       {64 * k, 4 * k},
       {full, outer, outer}},
      {"relu(x w + b) f32, transposed",
       scale_shift_relu(float32),
       {16 * k, 16 * k},
       {View::transposed, scalar, scalar}},
      {"relu(x w + b) f16, scalars",
       scale_shift_relu(float16),
       {512 * k * k},
       {full, scalar, scalar}},
      {"chain of 12 f32", chain(float32), {256 * k * k}, {full}},
      {"chain of 12 bf16", chain(bfloat16), {512 * k * k}, {full}},
      {"adamw f32",
       adamw(),
       {64 * k * k},
       {full, full, full, full, scalar, scalar, scalar, scalar, scalar}},
      {"softmax f32", softmax(float32), {4 * k * k, 64}, {full}},
      {"softmax f32", softmax(float32), {1 * k * k, 256}, {full}},
      {"softmax f32", softmax(float32), {256 * k, 1 * k}, {full}},
      {"softmax f32", softmax(float32), {64 * k, 4 * k}, {full}},
      {"softmax f32", softmax(float32), {64 * k, 4 * k - 1}, {full}},
      {"softmax f32", softmax(float32), {16 * k, 16 * k}, {full}},
      {"softmax f32", softmax(float32), {4 * k, 64 * k}, {full}},
      {"softmax bf16", softmax(bfloat16), {128 * k, 4 * k}, {full}},
      {"layer_norm f32",
       layer_norm(float32),
       {64 * k, 4 * k},
       {full, inner, inner, scalar, scalar}},
      {"layer_norm bf16",
       layer_norm(bfloat16),
       {512 * k, 1 * k},
       {full, inner, inner, scalar, scalar}},
      {"layer_norm_backward f32",
       layer_norm_backward(),
       {64 * k, 4 * k},
       {full, full, inner, outer, outer, scalar}},
      {"column sum f32", column_sum(float32), {64 * k, 4 * k}, {full}},
      {"column sum f32", column_sum(float32), {4 * k * k, 64}, {full}},
  };
}

// Random bytes would be NaN and infinity too: a block of random numbers, again
// and again.
void fill_random(Buffer& buffer, Dtype t) {
  std::vector<char> block(std::min<size_t>(buffer.bytes(), size_t(16) << 20));
  uint32_t state = 12345;
  for (size_t i = 0; i * size_of(t) < block.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    const float v = float(int32_t(state)) * 0x1p-30f + 0.01f;
    if (t == float32) std::memcpy(&block[4 * i], &v, 4);
    if (t == float16)
      std::memcpy(&block[2 * i], std::make_unique<float16_t>(v).get(), 2);
    if (t == bfloat16)
      std::memcpy(&block[2 * i], std::make_unique<bfloat16_t>(v).get(), 2);
  }
  const auto to = CUdeviceptr(buffer.data());
  buffer.upload(block.data(), block.size());
  for (size_t at = block.size(); at < buffer.bytes(); at += block.size()) {
    TREADLE_CU(
        cuMemcpyDtoD(to + at, to, std::min(block.size(), buffer.bytes() - at)));
  }
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

void time_all(Modules& modules, const char* only) {
  std::printf("%-32s %-18s %-17s %9s %9s %9s %7s\n",
              "call",
              "space",
              "layout",
              "ms",
              "GB/s",
              "copy GB/s",
              "ratio");
  for (const Timed& call : timed_calls()) {
    if (only && std::string(call.name).find(only) == std::string::npos)
      continue;
    const int rank = int(call.space.size()), cut = rank - call.tape.inner_axes;
    std::vector<std::unique_ptr<Buffer>> memory;
    std::vector<Operand> in, out;
    double bytes = 0;
    for (size_t i = 0; i < call.tape.operands.size(); ++i) {
      Operand x;
      x.dtype = call.tape.operands[i];
      x.shape = call.space;
      x.strides = strides_of(call.views[i], call.space, call.tape.inner_axes);
      memory.push_back(std::make_unique<Buffer>(
          size_t(elements_of(call.space, x.strides)) * size_of(x.dtype)));
      fill_random(*memory.back(), x.dtype);
      bytes += double(memory.back()->bytes());
      x.data = memory.back()->data();
      in.push_back(x);
    }
    for (const plan::TapeOutput& o : call.tape.outputs) {
      Operand y;
      y.dtype = o.dtype;
      y.shape = call.space;
      if (o.form == plan::OutputForm::row) {
        y.shape = Shape(call.space.begin(), call.space.begin() + cut);
      } else if (o.form == plan::OutputForm::column) {
        y.shape = Shape(call.space.begin() + cut, call.space.end());
      }
      memory.push_back(std::make_unique<Buffer>(size_t(size_of(y.shape)) *
                                                size_of(y.dtype)));
      bytes += double(memory.back()->bytes());
      y.data = memory.back()->data();
      out.push_back(y);
    }
    backend::cuda::TapeLaunch launch =
        backend::cuda::launch_of(call.tape, call.space, in, out);
    Buffer workspace(launch.workspace);
    launch.set_workspace(workspace.data());
    // A copy that moves as many bytes: half of them read, half written.
    const size_t half = size_t(bytes / 2);
    Buffer from(half), to(half);
    fill_random(from, float32);

    Timer timer;
    std::vector<double> ours, copies;
    for (int i = 0; i < 23; ++i) {
      timer.start();
      modules.run(call.tape, launch);
      const double ms = timer.stop();
      timer.start();
      TREADLE_CU(cuMemcpyDtoDAsync(
          CUdeviceptr(to.data()), CUdeviceptr(from.data()), half, nullptr));
      const double copy_ms = timer.stop();
      if (i < 3) continue;
      ours.push_back(ms);
      copies.push_back(copy_ms);
    }
    const double rate = bytes / median(ours) / 1e6,
                 copy = bytes / median(copies) / 1e6;
    std::printf("%-32s %-18s %-17s %9.3f %9.0f %9.0f %7.2f  %s\n",
                call.name,
                to_string(call.space).c_str(),
                std::string(launch.layout.name()).c_str(),
                median(ours),
                rate,
                copy,
                rate / copy,
                std::string(launch.calls[0].entry).c_str());
  }
}

int main(int argc, char** argv) {
  bool checks = true, times = true;
  const char* only = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--checks-only")) {
      times = false;
    } else if (!std::strcmp(argv[i], "--times-only")) {
      checks = false;
    } else if (!std::strcmp(argv[i], "--only") && i + 1 < argc) {
      only = argv[++i];
    } else {
      std::fprintf(
          stderr,
          "usage: gpu_smoke [--checks-only | --times-only] [--only TEXT]\n");
      return 2;
    }
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const Gpu gpu;
  std::printf("%s\n", gpu.describe().c_str());
  Modules modules;
  const int failed = checks ? check_all(modules, only) : 0;
  if (times) time_all(modules, only);
  return failed > 0;
}

}  // namespace
}  // namespace treadle::gpu_smoke

int main(int argc, char** argv) { return treadle::gpu_smoke::main(argc, argv); }
