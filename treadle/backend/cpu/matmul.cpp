#include "treadle/backend/cpu/matmul.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "treadle/backend/cpu/follow_bias.h"
#include "treadle/backend/cpu/matmul_blas.h"
#include "treadle/backend/cpu/matmul_problem.h"
#include "treadle/backend/cpu/matmul_small.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/runtime/deterministic.h"
#ifdef TREADLE_HAS_ONEDNN
#include "treadle/backend/cpu/onednn/engine.h"
#include "treadle/backend/cpu/onednn/matmul.h"
#endif

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;
using Order = Factor::Order;

enum class Library { onednn, openblas, own };

enum class Road {
  nothing,  // no element, or sums of nothing
  row,      // one row or one column: row_product
  small,    // small_matmul
  library,
};

// How a product is computed, and where its workspace goes.
struct Steps {
  Product p;
  Road road = Road::nothing;
  Dtype compute = float32;  // what the factors and the result are converted to
  bool copy_a = false, copy_b = false, copy_c = false;
  const Operand* bias = nullptr;  // what follows: the library adds it
  size_t a_bytes = 0, b_bytes = 0, c_bytes = 0, bias_bytes = 0;
  // Rows that one thread computes at once, with b packed. All of them: by all
  // threads; 0: b is not packed.
  int64_t block = 0;
  size_t copies() const { return a_bytes + b_bytes + c_bytes + bias_bytes; }
};

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Where the own kernel beats the library: measured limits on multiplications. b
// has to stay in the first cache. A batch spreads the cost of one library call.
bool is_small(const Product& p, Library library) {
  if (library == Library::own) return true;
  const int64_t work = p.m * p.n * p.k;
  if (is_half(p.dtype)) return work <= 8 * 8 * 8;
  const int64_t limit = p.batch_size() < 8 ? 64 : 32;
  return work <= limit * limit * limit && p.n * p.k <= 2 * 64 * 64;
}

Dtype library_dtype(Library library, Dtype dtype) {
  if (!is_half(dtype)) return dtype;
#ifdef TREADLE_HAS_ONEDNN
  if (library == Library::onednn && onednn::is_native(dtype)) return dtype;
#endif
  (void)library;
  return float32;
}

bool must_copy(Library library, const Factor& f, const Shape& batch) {
  return library == Library::onednn ? !is_nested(f, batch)
                                    : f.order == Order::scattered;
}

// A product with one column is the transposed one with one row.
void one_row(Product* p) {
  if (p->m == 1) return;
  std::swap(p->m, p->n);
  std::swap(p->a, p->b);
  for (Factor* f : {&p->a, &p->b}) {
    std::swap(f->rows, f->columns);
    std::swap(f->row_step, f->column_step);
    if (f->order != Order::scattered) {
      f->order = f->order == Order::rows ? Order::columns : Order::rows;
    }
  }
}

#ifdef TREADLE_HAS_ONEDNN
// Reading b in rows of a power of two bytes misses the caches; in float16 and
// bfloat16 its rows have to be interleaved besides. Packing it once costs less
// from these lengths on (measured with and without AMX). What follows on a
// block saves a write and a read of it.
int64_t packed_block(
    const Product& p, Dtype dtype, int threads, bool turned, bool followed) {
  if (!p.batch.empty() || p.m < 512 || p.n * p.k < (1 << 17)) return 0;
  const bool rows = p.b.order == Order::rows;
  const bool turns =
      p.m >= 1024 && p.n * p.k >= (is_half(dtype) ? 1 << 21 : 1 << 20);
  const bool saves = followed && p.m >= (is_half(dtype) ? p.k : p.k / 2);
  if (!rows && !turns && !saves) return 0;
  // Packing what does not fit the caches takes twice as long.
  if (p.m < 1024 && p.n * p.k >= 1 << 22) return 0;
  // Rows of a transposed left factor lie side by side: blocks of them are slow.
  if (!(turned || p.a.order == Order::rows)) return rows ? p.m : 0;
  // About 256 rows, and the same work for each thread; results must not depend
  // on that if asked so.
  const int64_t equal = deterministic() ? 4 : threads;
  const int64_t wanted = std::max<int64_t>(4, p.m / 256);
  const int64_t count = (wanted + equal - 1) / equal * equal;
  const int64_t block = ((p.m + count - 1) / count + 15) / 16 * 16;
  return block < 48 && !deterministic() ? 0 : block;
}

// A transposed left factor in two-byte elements is read at a third of the
// speed. The library's sums over one depend on the number of threads.
bool must_turn(const Product& p, Dtype dtype) {
  if (p.a.order != Order::columns) return false;
  return deterministic() ||
         (is_half(dtype) && p.batch.empty() && p.n >= 512 && p.m >= 64);
}

// A result with memory of its own has other readers, without the bias. In a
// loop a small product gains more from a factor that stays packed. In float16
// oneDNN has no fast kernel with a bias.
const Operand* bias_of(const Task& task, const Product& p) {
  const bool worth =
      task.follow && !task.out[0].data && p.m >= 512 && p.dtype != float16;
  return worth ? followed_by_bias(*task.follow) : nullptr;
}
#endif

Steps steps_of(const Task& task, Library library) {
  Steps s;
  s.p = product_of(task);
  Product& p = s.p;
  if (p.has_no_sum()) return s;
  if ((p.m == 1 || p.n == 1) && !is_complex(p.dtype)) {
    s.road = Road::row;
    s.compute = p.dtype;
    one_row(&p);
    s.copy_b = p.b.order == Order::scattered;
  } else if (!is_complex(p.dtype) && is_small(p, library)) {
    s.road = Road::small;
    s.compute = p.dtype == float64 ? float64 : float32;
    s.copy_a = s.copy_b = s.copy_c = p.dtype != s.compute;
  } else {
    s.road = Road::library;
    s.compute = library_dtype(library, p.dtype);
    s.copy_a = p.dtype != s.compute || must_copy(library, p.a, p.batch);
    s.copy_b = p.dtype != s.compute || must_copy(library, p.b, p.batch);
    s.copy_c = p.dtype != s.compute;
#ifdef TREADLE_HAS_ONEDNN
    if (library == Library::onednn) {
      if (!s.copy_c) s.bias = bias_of(task, p);
      if (s.bias) {
        p.biased = true;
        p.c = task.follow->out[0].data;
        s.bias_bytes = aligned(dense_bias_bytes(*s.bias));
      }
      s.copy_a = s.copy_a || must_turn(p, s.compute);
      s.block = packed_block(
          p, s.compute, task.threads, s.copy_a, task.follow && !s.bias);
    }
#endif
  }
  const size_t size = size_of(s.compute);
  if (s.copy_a) s.a_bytes = aligned(size_t(p.a.copy_size(p.batch)) * size);
  if (s.copy_b) s.b_bytes = aligned(size_t(p.b.copy_size(p.batch)) * size);
  if (s.copy_c) {
    s.c_bytes = aligned(size_t(p.batch_size() * p.m * p.n) * size);
  }
  return s;
}

// The product as the library sees it. `workspace` may be null while the size of
// the workspace is still being asked.
Product prepared(const Steps& s, char* workspace, bool copy, int threads) {
  Product p = s.p;
  auto place = [&](Factor* f, char* at) {
    if (copy) {
      *f = copied(*f, p.batch, s.compute, at, threads);
    } else {
      *f = copied_layout(*f, p.batch, s.compute);
    }
  };
  if (s.copy_a) place(&p.a, workspace);
  if (s.copy_b) place(&p.b, workspace + s.a_bytes);
  if (s.copy_c) p.c = workspace + s.a_bytes + s.b_bytes;
  if (s.bias && copy) {
    p.bias = dense_bias(*s.bias, workspace + s.a_bytes + s.b_bytes + s.c_bytes);
  }
  p.dtype = s.compute;
  return p;
}

// The work is cut into (matrix, stretch of columns), numbered in that order.
void run_rows(const Product& p, int threads) {
  const int64_t size = int64_t(size_of(p.dtype));
  const int64_t cuts = (p.n + kRowProductCut - 1) / kRowProductCut;
  auto run = [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t matrix = begin / cuts, first = begin % cuts;
      const int64_t last = std::min(cuts, first + end - begin);
      RowProduct r;
      r.dtype = p.dtype;
      r.n = p.n;
      r.k = p.k;
      r.x = static_cast<const char*>(p.a.data) +
            batch_offset(p.a, p.batch, matrix) * size;
      r.x_step = p.a.column_step;
      r.b = static_cast<const char*>(p.b.data) +
            batch_offset(p.b, p.batch, matrix) * size;
      r.b_columns = p.b.order == Order::columns;
      r.b_lead = p.b.lead();
      r.y = static_cast<char*>(p.c) + matrix * p.n * size;
      row_product(
          r, first * kRowProductCut, std::min(p.n, last * kRowProductCut));
      begin += last - first;
    }
  };
  const int64_t bytes = p.batch_size() * p.k * p.n * size;
  parallel_for(threads_for(threads, bytes), p.batch_size() * cuts, run);
}

// As many threads as are worth waking for this many multiplications.
int threads_for_product(int threads, int64_t multiplications) {
  return threads_for(threads, multiplications / 4);
}

template <class T>
void run_small(const Product& p, int threads) {
  auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      SmallProduct<T> s;
      s.m = p.m;
      s.n = p.n;
      s.k = p.k;
      s.a = static_cast<const T*>(p.a.data) + batch_offset(p.a, p.batch, i);
      s.a_row = p.a.row_step;
      s.a_column = p.a.column_step;
      s.b = static_cast<const T*>(p.b.data) + batch_offset(p.b, p.batch, i);
      s.b_row = p.b.row_step;
      s.b_column = p.b.column_step;
      s.c = static_cast<T*>(p.c) + i * p.m * p.n;
      s.c_row = p.n;
      small_matmul(s);
    }
  };
  const int64_t work = p.batch_size() * p.m * p.n * p.k;
  parallel_for(threads_for_product(threads, work), p.batch_size(), run);
}

#ifdef TREADLE_HAS_ONEDNN
// Blocks of rows with b packed, and where that lies in the workspace.
struct Blocks {
  Product first;
  int64_t count;
  int inside;  // threads of a block
  size_t packed_bytes, pad_bytes;
  size_t scratch_bytes, result_bytes;  // of each thread

  // `kept`: the result has memory of its own.
  Blocks(const Product& p, int64_t rows, int threads, bool kept)
      : first(rows_of(p, 0, rows)),
        count((p.m + rows - 1) / rows),
        inside(rows == p.m ? threads : 1) {
    packed_bytes = aligned(onednn::packed_bytes(first, inside));
    if (packed_bytes == 0) return;
    pad_bytes = aligned(onednn::pack_scratch_bytes(first, inside, threads));
    scratch_bytes = onednn::block_scratch_bytes(first, first, inside);
    if (p.m % rows != 0) {
      const Product last = rows_of(p, 0, p.m % rows);
      scratch_bytes = std::max(
          scratch_bytes, onednn::block_scratch_bytes(last, first, inside));
    }
    scratch_bytes = aligned(scratch_bytes);
    result_bytes =
        kept ? 0 : aligned(size_t(rows * p.n) * treadle::size_of(p.dtype));
  }
  size_t bytes(int threads) const {
    return packed_bytes + pad_bytes +
           (scratch_bytes + result_bytes) * size_t(workers(threads));
  }
  int workers(int threads) const {
    return int(std::min<int64_t>(threads, count));
  }
};

void run_blocks(const Product& p,
                const Blocks& b,
                const runtime::Follow* follow,
                char* space,
                int threads) {
  char* const pad = space + b.packed_bytes;
  onednn::pack(b.first, b.inside, space, pad, threads);
  char* const rest = pad + b.pad_bytes;
  const int workers = b.workers(threads);
  Tasks tasks(b.count, workers);
  parallel_workers(workers, [&](int worker) {
    char* const result =
        rest + size_t(worker) * (b.scratch_bytes + b.result_bytes);
    for (int64_t i = 0; tasks.take(worker, &i);) {
      const int64_t row = i * b.first.m;
      Product part = rows_of(p, row, std::min(b.first.m, p.m - row));
      if (!p.c) part.c = result;
      onednn::matmul_block(
          part, b.first, b.inside, space, result + b.result_bytes);
      if (follow) runtime::run_follow(*follow, row, part.m, part.c);
    }
  });
}

size_t onednn_bytes(const Steps& s, const Task& task) {
  const Product p = prepared(s, nullptr, false, 1);
  if (s.block) {
    const Blocks blocks(
        p, s.block, task.threads, s.bias || task.out[0].data != nullptr);
    if (blocks.packed_bytes) return blocks.bytes(task.threads);
  }
  return onednn::matmul_scratch_bytes(p, task.threads);
}

void run_onednn(const Steps& s,
                const Product& p,
                const Task& task,
                char* space) {
  const runtime::Follow* const follow = s.bias ? nullptr : task.follow;
  if (s.block) {
    const Blocks blocks(p, s.block, task.threads, p.c != nullptr);
    const bool pieces = blocks.count > 1;
    if (blocks.packed_bytes) {
      run_blocks(p, blocks, pieces ? follow : nullptr, space, task.threads);
      if (follow && !pieces) follow_everywhere(*follow, p.c, task.threads);
      return;
    }
  }
  onednn::matmul(p, space, task.threads);
  if (follow) follow_everywhere(*follow, p.c, task.threads);
}

// The library adds a bias; all else is done on blocks of rows.
bool onednn_follows(const Task& task) {
  const Steps s = steps_of(task, Library::onednn);
  if (s.bias) return true;
  return s.road == Road::library && s.block != 0 && s.block < s.p.m &&
         !s.copy_c &&
         onednn::packed_bytes(
             rows_of(prepared(s, nullptr, false, 1), 0, s.block), 1) != 0;
}
#endif

#ifdef TREADLE_HAS_ONEDNN
// The right factor of a loop's products, packed for all rows at once, and
// behind it what packing and a product need besides.
struct Kept {
  Product p;
  size_t packed = 0, scratch = 0;

  Kept(const Steps& s, int threads) {
    if (s.road != Road::library || !s.p.batch.empty() || s.copies() != 0 ||
        s.copy_c) {
      return;
    }
    p = prepared(s, nullptr, false, 1);
    packed = aligned(onednn::packed_bytes(p, threads));
    if (packed == 0) return;
    scratch = std::max(onednn::pack_scratch_bytes(p, threads, threads),
                       onednn::block_scratch_bytes(p, p, threads));
  }
};

size_t onednn_keeps(const Task& task) {
  if (!(task.constant & 2)) return 0;
  size_t bytes = 0;
  for (int threads : {1, task.threads}) {
    const Kept k(steps_of(task, Library::onednn), threads);
    if (k.packed == 0) return 0;
    bytes = std::max(bytes, k.packed + k.scratch);
  }
  return bytes;
}

void onednn_keep(const Task& task) {
  const Kept k(steps_of(task, Library::onednn), task.threads);
  char* const packed = static_cast<char*>(task.kept);
  onednn::pack(k.p, task.threads, packed, packed + k.packed, task.threads);
}

void run_kept(const Steps& s, const Task& task) {
  const Kept k(s, task.threads);
  char* const packed = static_cast<char*>(task.kept);
  onednn::matmul_block(k.p, k.p, task.threads, packed, packed + k.packed);
}
#endif

#ifdef TREADLE_HAS_OPENBLAS
// Below, a write and a read of the result do not count.
bool openblas_follows(const Task& task) {
  const Steps s = steps_of(task, Library::openblas);
  return s.road == Road::library && !s.copy_c &&
         s.p.m * s.p.n * s.p.k >= 64 * 64 * 64;
}
#endif

template <Library library>
size_t workspace(const Task& task) {
  Steps s = steps_of(task, library);
  size_t bytes = s.copies();
#ifdef TREADLE_HAS_OPENBLAS
  if (library == Library::openblas && task.follow && !task.out[0].data) {
    bytes += blas_bytes(s.p, task.threads);
  }
#endif
#ifdef TREADLE_HAS_ONEDNN
  if (library == Library::onednn && s.road == Road::library) {
    bytes += onednn_bytes(s, task);
    // A small plan runs on one thread, whatever was planned.
    if (task.threads > 1 && s.p.m * s.p.n * s.p.k < (1 << 24)) {
      Task alone = task;
      alone.threads = 1;
      s = steps_of(alone, library);
      bytes = std::max(bytes, s.copies() + onednn_bytes(s, alone));
    }
  }
#endif
  return bytes;
}

template <Library library>
void run(const Task& task) {
  const Steps s = steps_of(task, library);
  const Operand& out = task.out[0];
#ifdef TREADLE_HAS_ONEDNN
  if (library == Library::onednn && task.kept) return run_kept(s, task);
#endif
  if (s.road == Road::nothing) {
    std::memset(
        out.data,
        0,
        size_t(treadle::size_of(out.shape)) * treadle::size_of(out.dtype));
    return;
  }
  char* const space = static_cast<char*>(task.workspace);
  const Product p = prepared(s, space, true, task.threads);
  if (s.road == Road::row) {
    run_rows(p, task.threads);
  } else if (s.road == Road::small) {
    p.dtype == float64 ? run_small<double>(p, task.threads)
                       : run_small<float>(p, task.threads);
  } else if constexpr (library == Library::onednn) {
#ifdef TREADLE_HAS_ONEDNN
    run_onednn(s, p, task, space + s.copies());
#endif
  } else if constexpr (library == Library::openblas) {
#ifdef TREADLE_HAS_OPENBLAS
    blas_matmul(p, task.threads, task.follow, space + s.copies());
#endif
  }
  if (s.copy_c) {
    Operand from = out;
    from.data = p.c;
    from.dtype = s.compute;
    copy(from, out, task.threads);
  }
}

std::string takes(std::span<const Spec> in, bool taken, const char* which) {
  if (taken) return "";
  return fmt::format("takes {}, not {}", which, name_of(in[0].dtype));
}

std::string onednn_why_not(const Op&,
                           std::span<const Spec> in,
                           std::span<const Spec>) {
#ifdef TREADLE_HAS_ONEDNN
  return takes(in,
               in[0].dtype == float32 || is_half(in[0].dtype),
               "float32, bfloat16 and float16");
#else
  (void)in;
  return "this build has no oneDNN";
#endif
}

std::string openblas_why_not(const Op&,
                             std::span<const Spec> in,
                             std::span<const Spec>) {
#ifdef TREADLE_HAS_OPENBLAS
  return takes(in, is_inexact(in[0].dtype), "floating and complex dtypes");
#else
  (void)in;
  return "this build has no OpenBLAS";
#endif
}

std::string own_why_not(const Op&,
                        std::span<const Spec> in,
                        std::span<const Spec>) {
  return takes(in, is_floating(in[0].dtype), "floating dtypes");
}

template <Library library>
runtime::Kernel kernel(std::string_view name,
                       decltype(onednn_why_not) why_not) {
  return {.name = name,
          .why_not = why_not,
          .run = run<library>,
          .workspace = workspace<library>,
          .strided = true};
}

}  // namespace

runtime::Kernel onednn_matmul() {
  runtime::Kernel k = kernel<Library::onednn>("onednn::matmul", onednn_why_not);
#ifdef TREADLE_HAS_ONEDNN
  k.follows = onednn_follows;
  k.keeps = onednn_keeps;
  k.keep = onednn_keep;
#endif
  return k;
}
runtime::Kernel openblas_matmul() {
  runtime::Kernel k =
      kernel<Library::openblas>("openblas::matmul", openblas_why_not);
#ifdef TREADLE_HAS_OPENBLAS
  k.follows = openblas_follows;
#endif
  return k;
}
runtime::Kernel own_matmul() {
  return kernel<Library::own>("own::matmul", own_why_not);
}

}  // namespace treadle::backend::cpu
