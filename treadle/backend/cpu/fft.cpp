// ducc0 transforms strided arrays over several axes, several rows at a time in
// vectors, and keeps its tables. This is the one source that includes it. Its
// loops run on our threads: it asks for a fixed number of pieces, which they
// take, so that results do not depend on the number of threads.
#include "treadle/backend/cpu/fft.h"

#include "treadle/ops/fft.h"

#ifdef TREADLE_HAS_DUCC0

#include <algorithm>
#include <complex>
#include <vector>

// Never meets another ducc0 of the process.
#define DUCC0_NAMESPACE treadle_ducc0
#include "treadle/backend/cpu/parallel.h"

#include "ducc0/fft/fft.h"
#include "ducc0/fft/fftnd_impl.h"

namespace {
// Of the transform that this thread runs.
thread_local int threads_here = 1;
}  // namespace

// What ducc0 asks of its own thread pool, which is left out.
namespace treadle_ducc0::detail_threading {

namespace {

class Piece : public Scheduler {
 public:
  Piece(size_t count, size_t number, Range work)
      : count_(count), number_(number), work_(work) {}
  size_t num_threads() const override { return count_; }
  size_t thread_num() const override { return number_; }
  Range getNext() override { return std::exchange(work_, Range()); }

 private:
  size_t count_, number_;
  Range work_;
};

}  // namespace

size_t adjust_nthreads(size_t pieces) { return pieces; }

void execParallel(size_t pieces, std::function<void(Scheduler&)> body) {
  treadle::backend::cpu::parallel_tasks(
      threads_here, int64_t(pieces), [&](int64_t i) {
        Piece piece(pieces, size_t(i), Range());
        body(piece);
      });
}

void execStatic(size_t work,
                size_t pieces,
                size_t,
                std::function<void(Scheduler&)> body) {
  treadle::backend::cpu::parallel_tasks(
      threads_here, int64_t(pieces), [&](int64_t i) {
        const size_t k = size_t(i);
        Piece piece(
            pieces, k, Range(work * k / pieces, work * (k + 1) / pieces));
        body(piece);
      });
}

}  // namespace treadle_ducc0::detail_threading

namespace treadle::backend::cpu {

namespace {

namespace ducc = treadle_ducc0;
using fft::Fft;
using runtime::Operand;
using runtime::Task;
using Lengths = std::vector<size_t>;
using Steps = std::vector<ptrdiff_t>;

// Pieces into which the rows of one axis are cut, by lengths alone: each has
// work that is worth another thread, and rows for several vectors, which ducc0
// transforms side by side. One long row is cut too.
size_t pieces_of(const Shape& shape, const Lengths& axes) {
  constexpr int64_t kMost = 16, kElements = 8192, kRows = 32;
  constexpr int64_t kLongRow = int64_t(1) << 17;
  const int64_t size = size_of(shape);
  int64_t longest = 1;
  for (size_t axis : axes) longest = std::max(longest, shape[axis]);
  const int64_t rows = size / std::max<int64_t>(longest, 1);
  if (rows == 1) return longest >= kLongRow ? kMost : 1;
  return size_t(
      std::clamp(std::min(size / kElements, rows / kRows), int64_t(1), kMost));
}

Lengths lengths_of(const Shape& s) { return {s.begin(), s.end()}; }

template <class T>
ducc::cfmav<T> input(const Operand& o) {
  return {static_cast<const T*>(o.data),
          lengths_of(o.shape),
          Steps(o.strides.begin(), o.strides.end())};
}
template <class T>
ducc::vfmav<T> output(void* data, const Shape& shape) {
  const Strides steps = row_major_strides(shape);
  return {static_cast<T*>(data),
          lengths_of(shape),
          Steps(steps.begin(), steps.end())};
}

void run(const Task& task) {
  const Fft& op = static_cast<const Fft&>(task.op);
  const Operand &in = task.in[0], &out = task.out[0];
  if (size_of(out.shape) == 0) return;
  threads_here = task.threads;
  const Lengths axes(op.axes.begin(), op.axes.end());
  const Lengths others(axes.begin(), axes.end() - 1);
  const float scale = float(op.scale);
  const bool from_half = op.kind == Fft::Kind::to_real;
  const size_t pieces = pieces_of(from_half ? out.shape : in.shape, axes);
  switch (op.kind) {
    case Fft::Kind::complex:
      return ducc::c2c(input<complex64_t>(in),
                       output<complex64_t>(out.data, out.shape),
                       axes,
                       !op.inverse,
                       scale,
                       pieces);
    case Fft::Kind::from_real:
      return ducc::r2c(input<float>(in),
                       output<complex64_t>(out.data, out.shape),
                       axes,
                       true,
                       scale,
                       pieces);
    default: {
      const auto to = output<float>(out.data, out.shape);
      if (others.empty()) {
        return ducc::c2r(
            input<complex64_t>(in), to, axes[0], false, scale, pieces);
      }
      auto half = output<complex64_t>(task.workspace, in.shape);
      ducc::c2c(input<complex64_t>(in), half, others, false, 1.0f, pieces);
      ducc::c2r(half, to, axes.back(), false, scale, pieces);
    }
  }
}

size_t workspace(const Task& task) {
  const Fft& op = static_cast<const Fft&>(task.op);
  if (op.kind != Fft::Kind::to_real || op.axes.size() == 1) return 0;
  return size_t(size_of(task.in[0].shape)) * sizeof(complex64_t);
}

}  // namespace

runtime::Kernel ducc_fft() {
  return {.name = "ducc0::fft",
          .run = run,
          .workspace = workspace,
          .strided = true};
}

}  // namespace treadle::backend::cpu

#else

namespace treadle::backend::cpu {

runtime::Kernel ducc_fft() {
  return {.name = "ducc0::fft",
          .why_not = [](const Op&, std::span<const Spec>, std::span<const Spec>)
              -> std::string { return "this build has no ducc0"; }};
}

}  // namespace treadle::backend::cpu

#endif
