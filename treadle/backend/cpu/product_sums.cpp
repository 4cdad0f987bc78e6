// Each result is cut into parts of rows, which threads take; sums over products
// run in the order in which they were added, whatever the threads.
#include "treadle/backend/cpu/product_sums.h"

#include <algorithm>
#include <cstring>

#include "treadle/backend/cpu/matmul_blas.h"
#include "treadle/backend/cpu/matmul_small.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/openblas.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;

constexpr int64_t kRows = 256;                    // of a part
constexpr int64_t kDepth = 512, kColumns = 1024;  // of a copied block

void multiply_row(const Product& p) {
  RowProduct r;
  r.dtype = p.dtype;
  r.n = p.n;
  r.k = p.k;
  r.x = p.a.data;
  r.x_step = p.a.column_step;
  r.b = p.b.data;
  r.b_columns = p.b.order == Factor::Order::columns;
  r.b_lead = p.b.lead();
  r.y = p.c;
  row_product(r, 0, p.n);
}

// Factors in an order, of float32 or float64 as the result.
void multiply(const Product& p, bool add) {
#ifdef TREADLE_HAS_OPENBLAS
  const bool small = p.m * p.n * p.k <= 32 * 32 * 32;
#else
  const bool small = true;
#endif
  if (p.m == 1 && !add) return multiply_row(p);
  if (small) return small_matmul(p, add);
#ifdef TREADLE_HAS_OPENBLAS
  blas_gemm(p, add);
#endif
}

Factor block_of(const Factor& f,
                int64_t row,
                int64_t rows,
                int64_t column,
                int64_t columns) {
  Factor g = f;
  g.data =
      static_cast<const char*>(f.data) +
      (row * f.row_step + column * f.column_step) * int64_t(size_of(f.dtype));
  g.rows = rows;
  g.columns = columns;
  g.batch.clear();
  return g;
}

Operand rows_at(void* data, Dtype dtype, int64_t m, int64_t n, int64_t lead) {
  Operand x;
  x.data = data;
  x.dtype = dtype;
  x.shape = {m, n};
  x.strides = {lead, 1};
  x.contiguous = lead == n;
  return x;
}

Dtype computed(Dtype dtype) { return is_half(dtype) ? float32 : dtype; }

size_t scratch_bytes(Dtype dtype, int64_t columns) {
  return size_t(kRows * kDepth + (kDepth + kRows) * columns) *
         size_of(computed(dtype));
}

}  // namespace

// Rows [row, row + m) of a result.
struct ProductSums::Part {
  const Result* of;
  int64_t row, m;
};

ProductSums::ProductSums(const Operand& a, const Operand& b, const Operand& c)
    : a_(factor_of(a)),
      b_(factor_of(b)),
      c_(static_cast<char*>(c.data)),
      dtype_(c.dtype),
      n_(c.shape.back()),
      columns_(std::min(n_, kColumns)),
      copies_(is_half(dtype_) || a_.order == Factor::Order::scattered ||
              b_.order == Factor::Order::scattered) {}

// The last two results become one when they are rows of one product.
void ProductSums::join_last() {
  if (results_.size() < 2 || a_.order != Factor::Order::rows) return;
  Result& x = results_[results_.size() - 2];
  const Result& y = results_.back();
  if (x.last - x.first != 1 || y.last - y.first != 1) return;
  const Piece &p = pieces_[x.first], &q = pieces_[y.first];
  if (y.c == x.c + x.m * n_ && p.b == q.b && p.k == q.k &&
      q.a == p.a + x.m * a_.row_step) {
    x.m += y.m;
    results_.pop_back();
    pieces_.pop_back();
  }
}

void ProductSums::start(int64_t at, int64_t m) {
  join_last();
  results_.push_back({at, m, pieces_.size(), pieces_.size()});
}

void ProductSums::add(int64_t a, int64_t b, int64_t k) {
  if (k <= 0) return;
  Result& r = results_.back();
  if (r.last > r.first && a_.order == Factor::Order::columns &&
      b_.order == Factor::Order::rows) {
    Piece& p = pieces_.back();
    if (a == p.a + p.k * a_.column_step && b == p.b + p.k * b_.row_step) {
      p.k += k;
      return;
    }
  }
  pieces_.push_back({a, b, k});
  r.last = pieces_.size();
}

size_t ProductSums::workspace(int threads) const {
  return copies_ ? scratch_bytes(dtype_, columns_) * size_t(threads) : 0;
}

Product ProductSums::product(const Part& part, const Piece& piece) const {
  const int64_t size = int64_t(size_of(dtype_));
  Product p;
  p.m = part.m;
  p.n = n_;
  p.k = piece.k;
  p.dtype = dtype_;
  p.a = block_of(a_, part.row, part.m, 0, piece.k);
  p.a.data = static_cast<const char*>(p.a.data) + piece.a * size;
  p.b = block_of(b_, 0, piece.k, 0, n_);
  p.b.data = static_cast<const char*>(p.b.data) + piece.b * size;
  p.c = c_ + (part.of->c + part.row * n_) * size;
  return p;
}

void ProductSums::run_part(const Part& part) const {
  for (size_t i = part.of->first; i < part.of->last; ++i) {
    multiply(product(part, pieces_[i]), i > part.of->first);
  }
}

// Blocks of the factors are copied in row order, half types as float32.
void ProductSums::run_part_by_copies(const Part& part, char* scratch) const {
  const Dtype dtype = computed(dtype_);
  const size_t size = size_of(dtype);
  char* const b_copy = scratch + kRows * kDepth * int64_t(size);
  char* const c = b_copy + kDepth * columns_ * int64_t(size);
  for (int64_t j = 0; j < n_; j += columns_) {
    const int64_t columns = std::min(columns_, n_ - j);
    bool add = false;
    char* to = nullptr;
    for (size_t i = part.of->first; i < part.of->last; ++i) {
      const Product whole = product(part, pieces_[i]);
      to = static_cast<char*>(whole.c) + j * int64_t(size_of(dtype_));
      for (int64_t k = 0; k < whole.k; k += kDepth) {
        const int64_t depth = std::min(kDepth, whole.k - k);
        Product p = whole;
        p.n = columns;
        p.k = depth;
        p.dtype = dtype;
        p.a = copied(
            block_of(whole.a, 0, part.m, k, depth), {}, dtype, scratch, 1);
        p.b = copied(
            block_of(whole.b, k, depth, j, columns), {}, dtype, b_copy, 1);
        p.c = c;
        multiply(p, add);
        add = true;
      }
    }
    copy(rows_at(c, dtype, part.m, columns, columns),
         rows_at(to, dtype_, part.m, columns, n_),
         1);
  }
}

void ProductSums::run(void* workspace, int threads) {
  join_last();
#ifdef TREADLE_HAS_OPENBLAS
  prepare_openblas();
#endif
  std::vector<Part> parts;
  int64_t work = 0;
  for (const Result& r : results_) {
    if (r.first == r.last) {
      std::memset(c_ + r.c * int64_t(size_of(dtype_)),
                  0,
                  size_t(r.m * n_) * size_of(dtype_));
      continue;
    }
    for (size_t i = r.first; i < r.last; ++i) work += r.m * n_ * pieces_[i].k;
    for (int64_t row = 0; row < r.m; row += kRows) {
      parts.push_back({&r, row, std::min(kRows, r.m - row)});
    }
  }
  if (n_ == 0 || parts.empty()) return;
  threads = threads_for(threads, work / 4);
  threads = int(std::min<int64_t>(threads, int64_t(parts.size())));
  Tasks tasks(int64_t(parts.size()), threads);
  parallel_workers(threads, [&](int worker) {
    char* const scratch = static_cast<char*>(workspace) +
                          size_t(worker) * scratch_bytes(dtype_, columns_);
    for (int64_t i = 0; tasks.take(worker, &i);) {
      const Part& part = parts[size_t(i)];
      if (is_half(dtype_) && part.m == 1 &&
          part.of->last - part.of->first == 1 &&
          b_.order != Factor::Order::scattered) {
        multiply_row(product(part, pieces_[part.of->first]));
      } else if (copies_) {
        run_part_by_copies(part, scratch);
      } else {
        run_part(part);
      }
    }
  });
}

}  // namespace treadle::backend::cpu
