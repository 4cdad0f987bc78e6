#include "treadle/backend/cpu/matmul_blas.h"

#ifdef TREADLE_HAS_OPENBLAS

#include <algorithm>

#include <cblas.h>

#include "treadle/backend/cpu/openblas.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

namespace {

TREADLE_IMPORT_OPENBLAS(cblas_sgemm)
TREADLE_IMPORT_OPENBLAS(cblas_dgemm)
TREADLE_IMPORT_OPENBLAS(cblas_cgemm)

CBLAS_TRANSPOSE order_of(const Factor& f) {
  return f.order == Factor::Order::columns ? CblasTrans : CblasNoTrans;
}

// One matrix of the batch, `m` rows from a on.
void gemm(const Product& p,
          const char* a,
          const char* b,
          char* c,
          int64_t m,
          bool add = false) {
  const float beta = add ? 1 : 0;
  const auto ta = order_of(p.a), tb = order_of(p.b);
  const blasint rows = blasint(m), n = blasint(p.n), k = blasint(p.k);
  const blasint lda = blasint(p.a.lead()), ldb = blasint(p.b.lead());
  switch (p.dtype) {
    case Dtype::float32:
      return cblas_sgemm(CblasRowMajor,
                         ta,
                         tb,
                         rows,
                         n,
                         k,
                         1,
                         reinterpret_cast<const float*>(a),
                         lda,
                         reinterpret_cast<const float*>(b),
                         ldb,
                         beta,
                         reinterpret_cast<float*>(c),
                         n);
    case Dtype::float64:
      return cblas_dgemm(CblasRowMajor,
                         ta,
                         tb,
                         rows,
                         n,
                         k,
                         1,
                         reinterpret_cast<const double*>(a),
                         lda,
                         reinterpret_cast<const double*>(b),
                         ldb,
                         beta,
                         reinterpret_cast<double*>(c),
                         n);
    default: {
      const complex64_t one(1), by(beta);
      return cblas_cgemm(
          CblasRowMajor, ta, tb, rows, n, k, &one, a, lda, b, ldb, &by, c, n);
    }
  }
}

}  // namespace

void blas_gemm(const Product& p, bool add) {
  gemm(p,
       static_cast<const char*>(p.a.data),
       static_cast<const char*>(p.b.data),
       static_cast<char*>(p.c),
       p.m,
       add);
}

namespace {

// Rows of a block: not as the number of threads has it, and so no bit is.
int64_t block_rows(const Product& p) {
  return std::max<int64_t>(64,
                           std::min<int64_t>(512, (p.m / 8 + 63) / 64 * 64));
}

size_t block_bytes(const Product& p) {
  const size_t bytes = size_t(block_rows(p) * p.n) * size_of(p.dtype);
  return (bytes + 63) / 64 * 64;
}

}  // namespace

size_t blas_bytes(const Product& p, int threads) {
  return block_bytes(p) * size_t(threads);
}

void blas_matmul(const Product& p,
                 int threads,
                 const runtime::Follow* follow,
                 char* space) {
  prepare_openblas();
  const int64_t size = int64_t(size_of(p.dtype));
  const int64_t rows = block_rows(p);
  const int64_t blocks = (p.m + rows - 1) / rows;
  if (p.m * p.n * p.k < 64 * 64 * 64) threads = 1;
  Tasks tasks(p.batch_size() * blocks, threads);
  parallel_workers(threads, [&](int worker) {
    for (int64_t i = 0; tasks.take(worker, &i);) {
      const int64_t matrix = i / blocks, first = i % blocks * rows;
      const int64_t a =
          batch_offset(p.a, p.batch, matrix) + first * p.a.row_step;
      const int64_t b = batch_offset(p.b, p.batch, matrix);
      const int64_t row = matrix * p.m + first;
      const int64_t count = std::min(rows, p.m - first);
      char* const c = p.c ? static_cast<char*>(p.c) + row * p.n * size
                          : space + size_t(worker) * block_bytes(p);
      gemm(p,
           static_cast<const char*>(p.a.data) + a * size,
           static_cast<const char*>(p.b.data) + b * size,
           c,
           count);
      if (follow) runtime::run_follow(*follow, row, count, c);
    }
  });
}

}  // namespace treadle::backend::cpu

#endif
