// x is (batches, rows, columns). A task adds up two sums for each of a strip of
// columns over a block of rows, in double; then the blocks of a batch are put
// together in order. Where blocks lie follows from the lengths alone, so
// results do not depend on the number of threads.
//
// The square of a float is exact in double, and so are sums of squares to 29
// more digits than the result has: their difference from the square of the mean
// is as good as a second pass.
#include "treadle/backend/cpu/moments.h"

#include <algorithm>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/ops/moments.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/moments.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<double>;
using H = hn::Rebind<float, D>;
using Vd = hn::Vec<D>;
using Vh = hn::Vec<H>;

struct Squares {
  static HWY_INLINE void take(Vh x, Vh, Vh, Vd* a, Vd* b) {
    const Vd v = hn::PromoteTo(D(), x);
    *a = hn::Add(*a, v);
    *b = hn::MulAdd(v, v, *b);
  }
  static constexpr bool kTwo = false;
};

struct Products {
  static HWY_INLINE void take(Vh x, Vh y, Vh mean, Vd* a, Vd* b) {
    const Vd v = hn::PromoteTo(D(), x);
    *a = hn::MulAdd(v, hn::PromoteTo(D(), hn::Sub(y, mean)), *a);
    *b = hn::Add(*b, v);
  }
  static constexpr bool kTwo = true;
};

template <class F>
HWY_INLINE void add(const MomentRows& m) {
  const D d;
  const H h;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t c = 0;
  for (; c + 2 * lanes <= m.columns; c += 2 * lanes) {
    Vd a0 = hn::LoadU(d, m.a + c), a1 = hn::LoadU(d, m.a + c + lanes);
    Vd b0 = hn::LoadU(d, m.b + c), b1 = hn::LoadU(d, m.b + c + lanes);
    Vh y0 = hn::Zero(h), y1 = y0, mean0 = y0, mean1 = y0;
    if constexpr (F::kTwo) {
      mean0 = hn::LoadU(h, m.mean + c);
      mean1 = hn::LoadU(h, m.mean + c + lanes);
    }
    for (int64_t r = 0; r < m.rows; ++r) {
      const float* x = m.x + r * m.x_step + c;
      if constexpr (F::kTwo) {
        const float* y = m.y + r * m.y_step + c;
        y0 = hn::LoadU(h, y);
        y1 = hn::LoadU(h, y + lanes);
      }
      F::take(hn::LoadU(h, x), y0, mean0, &a0, &b0);
      F::take(hn::LoadU(h, x + lanes), y1, mean1, &a1, &b1);
    }
    hn::StoreU(a0, d, m.a + c);
    hn::StoreU(a1, d, m.a + c + lanes);
    hn::StoreU(b0, d, m.b + c);
    hn::StoreU(b1, d, m.b + c + lanes);
  }
  for (; c < m.columns; ++c) {
    for (int64_t r = 0; r < m.rows; ++r) {
      const float x = m.x[r * m.x_step + c];
      const double v = double(x);
      if constexpr (F::kTwo) {
        const float y = m.y[r * m.y_step + c] - m.mean[c];
        m.a[c] += v * double(y);
        m.b[c] += v;
      } else {
        m.a[c] += v;
        m.b[c] += v * v;
      }
    }
  }
}

void squares(const MomentRows& m) { add<Squares>(m); }
void products(const MomentRows& m) { add<Products>(m); }

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(squares);
HWY_EXPORT(products);

namespace {

using runtime::Operand;
using runtime::Task;

// Elements of a task, and the rows that its sums are worth at least.
constexpr int64_t kTaskElements = 16384, kTaskRows = 128;

int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

struct Cut {
  int64_t batches = 1, rows = 1, columns = 1;
  int64_t block, blocks, strips;

  Cut(const Shape& shape, const Axes& axes) {
    for (int i = 0; i < int(shape.size()); ++i) {
      int64_t& n = i < axes.front()  ? batches
                   : i > axes.back() ? columns
                                     : rows;
      n *= shape[size_t(i)];
    }
    strips = blocks_of(columns, kMomentColumns);
    block = std::max(
        kTaskRows,
        kTaskElements / std::clamp<int64_t>(columns, 1, kMomentColumns));
    blocks = std::max<int64_t>(1, blocks_of(rows, block));
  }
  // Of a pair of sums for each column.
  size_t workspace() const {
    return size_t(batches * blocks * columns) * 2 * sizeof(double);
  }
};

// Rows of an operand as floats.
class AsFloats {
 public:
  explicit AsFloats(const Operand& o)
      : data_(static_cast<const char*>(o.data)),
        size_(int64_t(size_of(o.dtype))),
        load_(is_half(o.dtype) ? lane_table().load[int(o.dtype)] : nullptr) {}

  // n elements of each of `rows` rows, `step` apart, from element `at` on;
  // converted into `memory`. How far apart they are then: in *step.
  const float* rows(
      int64_t at, int64_t n, int64_t rows, int64_t* step, float* memory) const {
    const char* from = data_ + at * size_;
    if (!load_) return reinterpret_cast<const float*>(from);
    for (int64_t r = 0; r < rows; ++r) {
      load_(size_t(n), memory + r * kMomentColumns, from + r * *step * size_);
    }
    *step = kMomentColumns;
    return memory;
  }

 private:
  const char* data_;
  int64_t size_;
  MoveFn load_;
};

using Finish = void (*)(double a, double b, double n, float* y0, float* y1);

template <class Rows>
void run_sums(
    const Task& task, const Axes& axes, int which, Rows add, Finish finish) {
  const Cut cut(task.in[size_t(which)].shape, axes);
  const int64_t pairs = cut.batches * cut.blocks * cut.columns;
  double* a = static_cast<double*>(task.workspace);
  double* b = a + pairs;
  const AsFloats x(task.in[0]), y(task.in[size_t(which)]);
  const float* mean =
      which > 0 ? static_cast<const float*>(task.in[2].data) : nullptr;
  const int threads = threads_for(
      task.threads,
      cut.batches * cut.rows * cut.columns * int64_t(sizeof(float)));
  parallel_tasks(
      threads, cut.batches * cut.blocks * cut.strips, [&](int64_t i) {
        alignas(64) float xs[kMomentRows * kMomentColumns],
            ys[kMomentRows * kMomentColumns];
        const int64_t col = i % cut.strips * kMomentColumns;
        const int64_t at = i / cut.strips;  // batch and block
        const int64_t batch = at / cut.blocks;
        const int64_t begin = at % cut.blocks * cut.block;
        const int64_t end = std::min(begin + cut.block, cut.rows);
        const int64_t n = std::min(kMomentColumns, cut.columns - col);
        MomentRows m{};
        m.columns = n;
        m.a = a + at * cut.columns + col;
        m.b = b + at * cut.columns + col;
        std::fill_n(m.a, n, 0.0);
        std::fill_n(m.b, n, 0.0);
        if (mean) m.mean = mean + batch * cut.columns + col;
        for (int64_t r = begin; r < end; r += kMomentRows) {
          m.rows = std::min(kMomentRows, end - r);
          m.x_step = m.y_step = cut.columns;
          const int64_t first = (batch * cut.rows + r) * cut.columns + col;
          m.x = x.rows(first, n, m.rows, &m.x_step, xs);
          if (which > 0) m.y = y.rows(first, n, m.rows, &m.y_step, ys);
          add(m);
        }
      });
  float* out[2] = {static_cast<float*>(task.out[0].data),
                   static_cast<float*>(task.out[1].data)};
  for (int64_t batch = 0; batch < cut.batches; ++batch) {
    double* a0 = a + batch * cut.blocks * cut.columns;
    double* b0 = b + batch * cut.blocks * cut.columns;
    for (int64_t k = 1; k < cut.blocks; ++k) {
      for (int64_t c = 0; c < cut.columns; ++c) {
        a0[c] += a0[k * cut.columns + c];
        b0[c] += b0[k * cut.columns + c];
      }
    }
    for (int64_t c = 0; c < cut.columns; ++c) {
      float first, second;
      finish(a0[c], b0[c], double(cut.rows), &first, &second);
      if (out[0]) out[0][batch * cut.columns + c] = first;
      if (out[1]) out[1][batch * cut.columns + c] = second;
    }
  }
}

void add_squares(const MomentRows& m) { HWY_DYNAMIC_DISPATCH(squares)(m); }
void add_products(const MomentRows& m) { HWY_DYNAMIC_DISPATCH(products)(m); }

void run_moments(const Task& task) {
  run_sums(task,
           static_cast<const Moments&>(task.op).axes,
           0,
           add_squares,
           [](double a, double b, double n, float* mean, float* var) {
             const double v = (b - a * a / n) / n;
             *mean = static_cast<float>(a / n);
             *var = static_cast<float>(v < 0 ? 0 : v);
           });
}

void run_products(const Task& task) {
  run_sums(task,
           static_cast<const CentredSums&>(task.op).axes,
           1,
           add_products,
           [](double a, double b, double, float* y0, float* y1) {
             *y0 = static_cast<float>(a);
             *y1 = static_cast<float>(b);
           });
}

bool takes(Dtype t) { return t == float32 || is_half(t); }

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  for (const Spec& s : in) {
    if (!takes(s.dtype)) return "not float32, float16 or bfloat16";
  }
  return "";
}

size_t moments_workspace(const Task& task) {
  const auto& op = static_cast<const Moments&>(task.op);
  return Cut(task.in[0].shape, op.axes).workspace();
}
size_t products_workspace(const Task& task) {
  const auto& op = static_cast<const CentredSums&>(task.op);
  return Cut(task.in[1].shape, op.axes).workspace();
}

runtime::Kernel kernel(std::string_view name,
                       void (*run)(const Task&),
                       size_t (*workspace)(const Task&)) {
  runtime::Kernel k;
  k.name = name;
  k.why_not = why_not;
  k.run = run;
  k.workspace = workspace;
  return k;
}

}  // namespace

runtime::Kernel moments() {
  return kernel("cpu::moments", run_moments, moments_workspace);
}
runtime::Kernel centred_sums() {
  return kernel("cpu::centred_sums", run_products, products_workspace);
}

}  // namespace treadle::backend::cpu
#endif
