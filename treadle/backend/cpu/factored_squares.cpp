// A few rows at a time are read twice: for the sums of their squares, and, from
// the first cache, for the sums over rows of the squares divided by what became
// of the former. A task is a block of rows of one matrix; the blocks of a
// matrix are put together in order. Where blocks lie follows from the lengths
// alone, so results do not depend on the number of threads.
//
// Up to eight squares are added as floats, their sums as doubles.
#include "treadle/backend/cpu/factored_squares.h"

#include <algorithm>
#include <vector>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/ops/factored_squares.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/factored_squares.cpp"
#include "hwy/foreach_target.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/rows-inl.h"
#include "treadle/backend/cpu/sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kVectors = 4;  // of a row, between two additions of doubles

// v to the doubles at p.
HWY_INLINE void add_wide(Raw<float> v, double* p) {
  const Tag<double> d;
  const hn::Rebind<float, Tag<double>> dh;
  const size_t half = hn::Lanes(d);
  const auto low = hn::PromoteTo(d, hn::LowerHalf(dh, v));
  const auto high = hn::PromoteTo(d, hn::UpperHalf(dh, v));
  hn::StoreU(hn::Add(hn::LoadU(d, p), low), d, p);
  hn::StoreU(hn::Add(hn::LoadU(d, p + half), high), d, p + half);
}
HWY_INLINE void add_some(Raw<float> v, double* p, size_t n) {
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, Tag<float>(), lanes);
  for (size_t i = 0; i < n; ++i) p[i] += static_cast<double>(lanes[i]);
}

// Rows first ... first + kRows - 1.
template <size_t kRows>
HWY_INLINE void add_rows(const FactoredRows& m, int64_t first) {
  const Tag<float> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(m.columns);
  const size_t whole = n - n % lanes, rest = n - whole;
  const float* g = m.g + first * m.columns;

  FloatSum sum[kRows];
  size_t c = 0;
  for (; c + kVectors * lanes <= n; c += kVectors * lanes) {
    Raw<float> down[kVectors];
    for (size_t r = 0; r < kRows; ++r) {
      Raw<float> across = hn::Zero(d);
      for (size_t k = 0; k < kVectors; ++k) {
        const auto v = hn::LoadU(d, g + r * n + c + k * lanes);
        across = k == 0 ? hn::Mul(v, v) : hn::MulAdd(v, v, across);
        down[k] = r == 0 ? hn::Mul(v, v) : hn::MulAdd(v, v, down[k]);
      }
      sum[r].take_one(across);
    }
    for (size_t k = 0; k < kVectors; ++k) {
      add_wide(down[k], m.column + c + k * lanes);
    }
  }
  for (; c < n; c += lanes) {
    Raw<float> down = hn::Zero(d);
    for (size_t r = 0; r < kRows; ++r) {
      const float* p = g + r * n + c;
      const auto v = c < whole ? hn::LoadU(d, p) : load_some(d, p, rest);
      sum[r].take_one(hn::Mul(v, v));
      down = hn::MulAdd(v, v, down);
    }
    c < whole ? add_wide(down, m.column + c)
              : add_some(down, m.column + c, rest);
  }

  Raw<float> inverse[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    const auto mean = static_cast<float>(sum[r].total() / double(n));
    const int64_t at = first + static_cast<int64_t>(r);
    const float row = m.kept * m.old_row[at] + (1 - m.kept) * (mean + m.eps);
    if (m.row) m.row[at] = row;
    inverse[r] = hn::Set(d, 1 / row);
  }

  // The memory would rest meanwhile: the next rows.
  const bool ahead = first + 2 * static_cast<int64_t>(kRows) <= m.rows;
  for (c = 0; c < whole; c += lanes) {
    Raw<float> down = hn::Zero(d);
    for (size_t r = 0; r < kRows; ++r) {
      const float* p = g + r * n + c;
      if (ahead) hwy::Prefetch(p + kRows * n);
      const auto v = hn::LoadU(d, p);
      down = hn::MulAdd(hn::Mul(v, v), inverse[r], down);
    }
    add_wide(down, m.shares + c);
  }
  if (rest > 0) {
    Raw<float> down = hn::Zero(d);
    for (size_t r = 0; r < kRows; ++r) {
      const auto v = load_some(d, g + r * n + c, rest);
      down = hn::MulAdd(hn::Mul(v, v), inverse[r], down);
    }
    add_some(down, m.shares + c, rest);
  }
}

void factored_rows(const FactoredRows& m) {
  int64_t r = 0;
  for (; r + 8 <= m.rows; r += 8) add_rows<8>(m, r);
  for (; r + 4 <= m.rows; r += 4) add_rows<4>(m, r);
  for (; r < m.rows; ++r) add_rows<1>(m, r);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(factored_rows);

namespace {

using runtime::Task;

// Rows of a block at least, and blocks of a matrix at most.
constexpr int64_t kLeastRows = 128, kMostBlocks = 16;

struct Cut {
  int64_t matrices = 1, rows, columns, block, blocks;

  explicit Cut(const Shape& g) {
    const size_t axes = g.size();
    for (size_t i = 0; i + 2 < axes; ++i) matrices *= g[i];
    rows = g[axes - 2];
    columns = g[axes - 1];
    block = std::max(kLeastRows, (rows + kMostBlocks - 1) / kMostBlocks);
    blocks = std::max<int64_t>(1, (rows + block - 1) / block);
  }
  // Of two sums for each column.
  int64_t block_sums() const { return 2 * columns; }
};

size_t workspace(const Task& task) {
  const Cut cut(task.in[0].shape);
  return static_cast<size_t>(cut.matrices * cut.blocks * cut.block_sums()) *
         sizeof(double);
}

void add_block(const Task& task, const Cut& cut, int64_t i) {
  const int64_t matrix = i / cut.blocks;
  const int64_t begin = i % cut.blocks * cut.block;
  double* sums = static_cast<double*>(task.workspace) + i * cut.block_sums();
  std::fill_n(sums, cut.block_sums(), 0.0);
  const int64_t at = matrix * cut.rows + begin;
  FactoredRows m;
  m.g = static_cast<const float*>(task.in[0].data) + at * cut.columns;
  m.old_row = static_cast<const float*>(task.in[1].data) + at;
  auto* row = static_cast<float*>(task.out[0].data);
  m.row = row ? row + at : nullptr;
  m.column = sums;
  m.shares = sums + cut.columns;
  m.rows = std::min(cut.block, cut.rows - begin);
  m.columns = cut.columns;
  m.kept = *static_cast<const float*>(task.in[2].data);
  m.eps = static_cast<float>(static_cast<const FactoredSquares&>(task.op).eps);
  HWY_DYNAMIC_DISPATCH(factored_rows)(m);
}

// The means over rows of a matrix, from the sums of its blocks.
void finish(const Task& task, const Cut& cut, int64_t matrix) {
  double* sums = static_cast<double*>(task.workspace) +
                 matrix * cut.blocks * cut.block_sums();
  for (int64_t k = 1; k < cut.blocks; ++k) {
    const double* more = sums + k * cut.block_sums();
    for (int64_t c = 0; c < cut.block_sums(); ++c) sums[c] += more[c];
  }
  for (int half = 0; half < 2; ++half) {
    auto* out = static_cast<float*>(task.out[size_t(half) + 1].data);
    if (!out) continue;
    const double* from = sums + half * cut.columns;
    for (int64_t c = 0; c < cut.columns; ++c) {
      out[matrix * cut.columns + c] =
          static_cast<float>(from[c] / static_cast<double>(cut.rows));
    }
  }
}

void run_many(std::span<const Task> tasks) {
  struct Part {
    const Task* task;
    const Cut* cut;
    int64_t index;
  };
  std::vector<Cut> cuts;
  cuts.reserve(tasks.size());
  std::vector<Part> blocks, matrices;
  int64_t bytes = 0;
  for (const Task& task : tasks) {
    const Cut& cut = cuts.emplace_back(task.in[0].shape);
    for (int64_t i = 0; i < cut.matrices; ++i)
      matrices.push_back({&task, &cut, i});
    for (int64_t i = 0; i < cut.matrices * cut.blocks; ++i) {
      blocks.push_back({&task, &cut, i});
    }
    bytes += cut.matrices * cut.rows * cut.columns * int64_t(sizeof(float));
  }
  const int threads = threads_for(tasks[0].threads, bytes);
  const auto each = [threads](const std::vector<Part>& parts, auto f) {
    parallel_tasks(threads, static_cast<int64_t>(parts.size()), [&](int64_t i) {
      const Part& p = parts[static_cast<size_t>(i)];
      f(*p.task, *p.cut, p.index);
    });
  };
  each(blocks, add_block);
  each(matrices, finish);
}

void run(const Task& task) { run_many({&task, 1}); }

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  for (const Spec& s : in) {
    if (s.dtype != float32) return "not float32";
  }
  return "";
}

}  // namespace

runtime::Kernel factored_squares() {
  runtime::Kernel k;
  k.name = "cpu::factored_squares";
  k.why_not = why_not;
  k.run = run;
  k.run_many = run_many;
  k.workspace = workspace;
  return k;
}

}  // namespace treadle::backend::cpu
#endif
