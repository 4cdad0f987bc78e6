#include "treadle/backend/cpu/conv_matmul.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "treadle/backend/cpu/conv_problem.h"
#include "treadle/backend/cpu/matmul_blas.h"
#include "treadle/backend/cpu/matmul_problem.h"
#include "treadle/backend/cpu/matmul_small.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/space.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Kernel;
using runtime::Operand;
using runtime::Task;

// Rows of positions that are laid out at once; they should stay in the second
// cache.
constexpr int64_t kColumnBytes = 256 << 10;
// A sum over positions is kept in this many parts, whatever the number of
// threads, as far as they fit.
constexpr int64_t kParts = 8;
constexpr int64_t kPartBytes = int64_t{64} << 20;

int64_t volume(const Lengths& v) { return v[0] * v[1] * v[2]; }

Factor matrix(const void* data,
              Dtype dtype,
              int64_t rows,
              int64_t columns,
              int64_t lead) {
  Factor f;
  f.data = data;
  f.dtype = dtype;
  f.rows = rows;
  f.columns = columns;
  f.row_step = lead;
  f.column_step = 1;
  f.order = Factor::Order::rows;
  return f;
}

Factor turned(Factor f) {
  std::swap(f.rows, f.columns);
  std::swap(f.row_step, f.column_step);
  f.order = Factor::Order::columns;
  return f;
}

// c = a @ b on this thread.
void multiply(const Factor& a, const Factor& b, void* c) {
  Product p;
  p.m = a.rows;
  p.k = a.columns;
  p.n = b.columns;
  p.a = a;
  p.b = b;
  p.c = c;
  p.dtype = a.dtype;
#ifdef TREADLE_HAS_OPENBLAS
  if (p.m * p.n * p.k > 32 * 32 * 32) return blas_matmul(p, 1);
#endif
  small_matmul(p);
}

// The work of a call is cut into blocks of positions of the result, of one
// image each.
struct Cut {
  int64_t row;        // elements that one position and group meet
  int64_t positions;  // of an image
  int64_t block;      // positions of a block
  int64_t blocks;     // of an image

  explicit Cut(const ConvProblem& p)
      : row(volume(p.kernel) * p.in_channels), positions(volume(p.out)) {
    const int64_t bytes = row * int64_t(size_of(p.dtype));
    block = std::clamp<int64_t>(
        kColumnBytes / bytes, 16, std::max<int64_t>(positions, 16));
    blocks = (positions + block - 1) / block;
  }
};

// Lays out what positions [first, first + count) of image n meet in group g.
template <class T>
void lay_out(const ConvProblem& p,
             const T* x,
             int64_t n,
             int64_t g,
             int64_t first,
             int64_t count,
             T* to) {
  const int64_t channels = p.groups * p.in_channels;
  const int64_t run = p.in_channels;
  x += n * volume(p.in) * channels + g * run;
  for (int64_t i = first; i < first + count; ++i) {
    const Lengths o = {
        i / (p.out[1] * p.out[2]), i / p.out[2] % p.out[1], i % p.out[2]};
    Lengths k;
    for (k[0] = 0; k[0] < p.kernel[0]; ++k[0]) {
      for (k[1] = 0; k[1] < p.kernel[1]; ++k[1]) {
        for (k[2] = 0; k[2] < p.kernel[2]; ++k[2], to += run) {
          int64_t at = 0;
          bool inside = true;
          for (size_t d = 0; d < 3; ++d) {
            const int64_t tap = p.flip ? p.kernel[d] - 1 - k[d] : k[d];
            const int64_t wide =
                o[d] * p.stride[d] - p.low[d] + tap * p.kernel_dilation[d];
            const int64_t gap = p.input_dilation[d];
            inside = inside && wide >= 0 && (gap == 1 || wide % gap == 0) &&
                     wide / gap < p.in[d];
            at = at * p.in[d] + (inside ? wide / gap : 0);
          }
          if (!inside) {
            std::fill_n(to, run, T(0));
          } else if (run < 16) {
            const T* from = x + at * channels;
            for (int64_t c = 0; c < run; ++c) to[c] = from[c];
          } else {
            std::memcpy(to, x + at * channels, size_t(run) * sizeof(T));
          }
        }
      }
    }
  }
}

// y from x and w (O, taps, C / groups).
template <class T>
size_t forward(const ConvProblem& p,
               const T* x,
               const T* w,
               T* y,
               void* workspace,
               int threads) {
  const Cut cut(p);
  const int64_t out = p.out_channels, all_out = p.groups * out;
  Space space(workspace);
  char* const scratch = space.take(0);
  Space own(nullptr);
  own.take(size_t(cut.block * cut.row) * sizeof(T));
  own.take(p.groups > 1 ? size_t(cut.block * out) * sizeof(T) : 0);
  space.take(own.used() * size_t(threads));
  if (!workspace) return space.used();

  Tasks tasks(p.n * cut.blocks, threads);
  parallel_workers(threads, [&](int worker) {
    Space mine(scratch + own.used() * size_t(worker));
    T* const columns = reinterpret_cast<T*>(
        mine.take(size_t(cut.block * cut.row) * sizeof(T)));
    T* const part = reinterpret_cast<T*>(mine.take(0));
    for (int64_t i = 0; tasks.take(worker, &i);) {
      const int64_t n = i / cut.blocks, first = i % cut.blocks * cut.block;
      const int64_t count = std::min(cut.block, cut.positions - first);
      T* const to = y + (n * cut.positions + first) * all_out;
      for (int64_t g = 0; g < p.groups; ++g) {
        lay_out(p, x, n, g, first, count, columns);
        multiply(matrix(columns, p.dtype, count, cut.row, cut.row),
                 turned(matrix(
                     w + g * out * cut.row, p.dtype, out, cut.row, cut.row)),
                 p.groups > 1 ? part : to);
        if (p.groups == 1) continue;
        for (int64_t j = 0; j < count; ++j) {
          std::copy_n(part + j * out, out, to + j * all_out + g * out);
        }
      }
    }
  });
  return space.used();
}

// The cotangent of x is a convolution of that of y: stride and gaps between the
// input's elements change places, the kernel is read the other way round.
ConvProblem transposed(const ConvProblem& p) {
  ConvProblem q = p;
  std::swap(q.in, q.out);
  std::swap(q.in_channels, q.out_channels);
  std::swap(q.stride, q.input_dilation);
  q.flip = !p.flip;
  for (size_t d = 0; d < 3; ++d) {
    q.low[d] = (p.kernel[d] - 1) * p.kernel_dilation[d] - p.low[d];
  }
  return q;
}

// w (groups, O, taps, C) as (groups, C, taps, O).
template <class T>
void swap_channels(const ConvProblem& p, const T* w, T* to) {
  const int64_t taps = volume(p.kernel);
  for (int64_t g = 0; g < p.groups; ++g) {
    for (int64_t c = 0; c < p.in_channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t o = 0; o < p.out_channels; ++o) {
          *to++ = w[((g * p.out_channels + o) * taps + t) * p.in_channels + c];
        }
      }
    }
  }
}

template <class T>
size_t input_grad(const ConvProblem& p,
                  const T* w,
                  const T* y,
                  T* x,
                  void* workspace,
                  int threads) {
  const ConvProblem q = transposed(p);
  Space space(workspace);
  T* const swapped = reinterpret_cast<T*>(space.take(
      size_t(p.groups * p.out_channels * p.in_channels * volume(p.kernel)) *
      sizeof(T)));
  char* const rest = space.take(0);
  if (workspace) swap_channels(p, w, swapped);
  return space.used() + forward(q, y, swapped, x, rest, threads);
}

template <class T>
size_t weight_grad(const ConvProblem& p,
                   const T* x,
                   const T* y,
                   T* w,
                   void* workspace,
                   int threads) {
  const Cut cut(p);
  const int64_t out = p.out_channels, all_out = p.groups * out;
  const int64_t size = all_out * cut.row, items = p.n * cut.blocks;
  const int64_t parts = std::clamp<int64_t>(
      kPartBytes / (size * int64_t(sizeof(T))), 1, std::min(kParts, items));
  Space space(workspace);
  T* const sums =
      reinterpret_cast<T*>(space.take(size_t(parts * size) * sizeof(T)));
  char* const scratch = space.take(0);
  Space own(nullptr);
  own.take(size_t(cut.block * cut.row) * sizeof(T));
  own.take(size_t(out * cut.row) * sizeof(T));
  space.take(own.used() * size_t(threads));
  if (!workspace) return space.used();

  Tasks tasks(parts, threads);
  parallel_workers(threads, [&](int worker) {
    Space mine(scratch + own.used() * size_t(worker));
    T* const columns = reinterpret_cast<T*>(
        mine.take(size_t(cut.block * cut.row) * sizeof(T)));
    T* const more = reinterpret_cast<T*>(mine.take(0));
    for (int64_t part = 0; tasks.take(worker, &part);) {
      T* const sum = sums + part * size;
      const int64_t begin = items * part / parts;
      const int64_t end = items * (part + 1) / parts;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / cut.blocks, first = i % cut.blocks * cut.block;
        const int64_t count = std::min(cut.block, cut.positions - first);
        const T* const ct = y + (n * cut.positions + first) * all_out;
        for (int64_t g = 0; g < p.groups; ++g) {
          lay_out(p, x, n, g, first, count, columns);
          T* const to = sum + g * out * cut.row;
          multiply(turned(matrix(ct + g * out, p.dtype, count, out, all_out)),
                   matrix(columns, p.dtype, count, cut.row, cut.row),
                   i == begin ? to : more);
          if (i == begin) continue;
          for (int64_t j = 0; j < out * cut.row; ++j) to[j] += more[j];
        }
      }
    }
  });
  parallel_for(threads_for(threads, parts * size * int64_t(sizeof(T))),
               size,
               [&](int64_t begin, int64_t end) {
                 for (int64_t j = begin; j < end; ++j) {
                   T total = sums[j];
                   for (int64_t part = 1; part < parts; ++part) {
                     total += sums[part * size + j];
                   }
                   w[j] = total;
                 }
               });
  return space.used();
}

template <class O, class T>
size_t compute(const ConvProblem& p,
               const void* a,
               const void* b,
               void* out,
               void* workspace,
               int threads) {
  const T* const x = static_cast<const T*>(a);
  const T* const y = static_cast<const T*>(b);
  T* const z = static_cast<T*>(out);
  if constexpr (std::is_same_v<O, Conv>) {
    return forward(p, x, y, z, workspace, threads);
  } else if constexpr (std::is_same_v<O, ConvInputGrad>) {
    return input_grad(p, x, y, z, workspace, threads);
  } else {
    return weight_grad(p, x, y, z, workspace, threads);
  }
}

// As many threads as are worth waking.
int threads_of(const ConvProblem& p, int threads) {
  return threads_for(threads,
                     p.n * volume(p.out) * volume(p.kernel) * p.in_channels *
                         p.out_channels * p.groups / 4);
}

// Computes, or with `run` false only counts the bytes of workspace.
template <class O>
size_t perform(const Task& task, bool run) {
  const Operand &a = task.in[0], &b = task.in[1], &out = task.out[0];
  const Dtype dtype = out.dtype == float64 ? float64 : float32;
  const ConvProblem p = conv_problem(
      static_cast<const O&>(task.op), a.shape, b.shape, out.shape, dtype);
  if (p.has_no_sum()) {
    if (run) zero(out, task.threads);
    return 0;
  }
  Space space(run ? task.workspace : nullptr);
  auto place = [&](const Operand& o) {
    Operand wide = o;
    if (o.dtype == dtype) return wide;
    wide.dtype = dtype;
    wide.data = space.take(size_t(treadle::size_of(o.shape)) * size_of(dtype));
    return wide;
  };
  const Operand wa = place(a), wb = place(b), wide = place(out);
  if (run && wa.data != a.data) copy(a, wa, task.threads);
  if (run && wb.data != b.data) copy(b, wb, task.threads);
  char* const rest = space.take(0);
  const int threads = run ? threads_of(p, task.threads) : task.threads;
  const size_t more =
      dtype == float64
          ? compute<O, double>(p, wa.data, wb.data, wide.data, rest, threads)
          : compute<O, float>(p, wa.data, wb.data, wide.data, rest, threads);
  if (run && wide.data != out.data) copy(wide, out, task.threads);
  return space.used() + more;
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  if (is_floating(in[0].dtype)) return "";
  return fmt::format("takes floating dtypes, not {}", name_of(in[0].dtype));
}

template <class O>
Kernel kernel(std::string_view name) {
  return {
      .name = name,
      .why_not = why_not,
      .run = [](const Task& task) { perform<O>(task, true); },
      .workspace = [](const Task& task) { return perform<O>(task, false); }};
}

}  // namespace

Kernel matmul_conv() { return kernel<Conv>("matmul::conv"); }
Kernel matmul_conv_input_grad() {
  return kernel<ConvInputGrad>("matmul::conv_input_grad");
}
Kernel matmul_conv_weight_grad() {
  return kernel<ConvWeightGrad>("matmul::conv_weight_grad");
}

}  // namespace treadle::backend::cpu
