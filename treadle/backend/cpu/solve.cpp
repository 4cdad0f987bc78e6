// Systems of equations and inverses by LAPACK and the triangular solves of
// BLAS, row by row.
#include "treadle/backend/cpu/linalg.h"

#ifdef TREADLE_HAS_OPENBLAS

#include "treadle/backend/cpu/lapack.h"
#include "treadle/backend/cpu/matrix_jobs.h"
#include "treadle/ops/solve.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Task;

[[noreturn]] void singular(std::string_view op, int64_t batch, int64_t matrix) {
  unsupported(op,
              fmt::format("the matrix{} is singular.", which(batch, matrix)));
}

// Square matrices as trsm takes them: where they lie, or copied.
template <class T>
class Factor {
 public:
  Factor(const runtime::Operand& o, std::string_view op)
      : a_(o),
        op_(op),
        n_(a_.rows),
        rows_(a_.column_step == 1 && a_.row_step >= n_),
        columns_(a_.row_step == 1 && a_.column_step >= n_) {}

  int64_t batch() const { return a_.count(); }
  int64_t size() const { return n_; }
  void take(Scratch& s) { copy_ = s.take<T>(rows_ || columns_ ? 0 : n_ * n_); }
  void load(int64_t matrix) {
    matrix_ = matrix;
    at_ = a_.at(matrix);
    if (rows_ || columns_) return;
    gather_rows(a_, matrix, copy_);
    at_ = copy_;
  }
  // b (n, k) becomes the solution. A 0 on the diagonal has none.
  void solve(bool upper, bool transposed, bool unit, int64_t k, T* b) const {
    const bool turned = columns_ && !rows_;
    const int64_t lead = rows_ ? a_.row_step : (turned ? a_.column_step : n_);
    if (!unit) {
      for (int64_t i = 0; i < n_; ++i) {
        if (at_[i * (lead + 1)] == 0) singular(op_, batch(), matrix_);
      }
    }
    lapack::trsm(upper != turned,
                 transposed != turned,
                 unit,
                 int(n_),
                 int(k),
                 at_,
                 lead,
                 b);
  }

 private:
  MatricesOf<const T> a_;
  std::string_view op_;
  int64_t n_;
  bool rows_, columns_;
  T* copy_ = nullptr;
  const T* at_ = nullptr;
  int64_t matrix_ = 0;
};

template <class T>
struct TriangularSolveJob {
  const linalg::TriangularSolve& op;
  Factor<T> a;
  MatricesOf<const T> b;
  MatricesOf<T> x;
  int64_t batch;
  double work;

  explicit TriangularSolveJob(const Task& task)
      : op(static_cast<const linalg::TriangularSolve&>(task.op)),
        a(task.in[0], op.name()),
        b(task.in[1]),
        x(task.out[0]),
        batch(size_of(task.out[0].shape) == 0 ? 0 : b.count()),
        work(double(b.rows * b.rows * b.columns) / 2) {}
  void take(Scratch& s) { a.take(s); }
  void run(int64_t i) {
    gather_rows(b, i, x.at(i));
    a.load(i);
    a.solve(op.upper, false, op.unit, b.columns, x.at(i));
  }
};

template <class T>
struct LuSolveJob {
  bool transposed;
  Factor<T> factors;
  MatricesOf<const uint32_t, 1> order;
  MatricesOf<const T> b;
  MatricesOf<T> x;
  int64_t batch, n, k;
  double work;
  T* copy = nullptr;

  explicit LuSolveJob(const Task& task)
      : transposed(static_cast<const linalg::LuSolve&>(task.op).transposed),
        factors(task.in[1], task.op.name()),
        order(task.in[2]),
        b(task.in[3]),
        x(task.out[0]),
        batch(size_of(task.out[0].shape) == 0 ? 0 : b.count()),
        n(b.rows),
        k(b.columns),
        work(double(n * n * k)) {}
  void take(Scratch& s) {
    factors.take(s);
    copy = s.take<T>(transposed ? n * k : 0);
  }
  // With P the order of the rows: a = P^T L U.
  void run(int64_t i) {
    factors.load(i);
    const uint32_t* row = order.at(i);
    auto row_at = [&](int64_t r) {
      return int64_t(row[r * order.column_step]);
    };
    T* y = x.at(i);
    if (!transposed) {
      const T* from = b.at(i);
      for (int64_t r = 0; r < n; ++r) {
        gather(
            from + row_at(r) * b.row_step, 0, b.column_step, 1, k, y + r * k);
      }
      factors.solve(false, false, true, k, y);
      factors.solve(true, false, false, k, y);
      return;
    }
    gather_rows(b, i, copy);
    factors.solve(true, true, false, k, copy);
    factors.solve(false, true, true, k, copy);
    for (int64_t r = 0; r < n; ++r)
      std::copy_n(copy + r * k, k, y + row_at(r) * k);
  }
};

// The inverse of the transpose is the transpose of the inverse: in place.
template <class T>
struct InverseJob {
  linalg::Inverse::Kind kind;
  MatricesOf<const T> a;
  MatricesOf<T> y;
  int64_t batch, n, work_size = 0;
  double work;
  int* pivots = nullptr;
  T* space = nullptr;

  explicit InverseJob(const Task& task)
      : kind(static_cast<const linalg::Inverse&>(task.op).kind),
        a(task.in[0]),
        y(task.out[0]),
        batch(a.count()),
        n(a.rows),
        work(2.0 * double(n * n * n)) {
    if (n == 0) {
      batch = 0;
    } else if (kind == linalg::Inverse::Kind::general) {
      work_size = lapack::lu_inverse_work<T>(int(n));
    }
  }
  void take(Scratch& s) {
    pivots = s.take<int>(n);
    space = s.take<T>(work_size);
  }
  void run(int64_t i) {
    T* to = y.at(i);
    gather_rows(a, i, to);
    if (kind == linalg::Inverse::Kind::general) {
      if (lapack::getrf(int(n), int(n), to, pivots) != 0 ||
          lapack::getri(int(n), to, pivots, space, work_size) != 0) {
        singular(linalg::Inverse::op_name, batch, i);
      }
      return;
    }
    const bool upper = kind == linalg::Inverse::Kind::upper;
    for (int64_t r = 0; r < n; ++r) {
      T* row = to + r * n;
      upper ? std::fill(row, row + r, T(0))
            : std::fill(row + r + 1, row + n, T(0));
    }
    if (lapack::trtri(upper ? 'L' : 'U', int(n), to) != 0) {
      singular("linalg.tri_inv", batch, i);
    }
  }
};

// det(a) / a where that is accurate; else, with a = U S V^T, what remains
// defined: adj(a) = det(U) det(V) V adj(S) U^T.
template <class T>
struct AdjugateJob {
  MatricesOf<const T> a;
  MatricesOf<T> y;
  int64_t batch, n, inverse_size = 0, svd_size = 0;
  double work;
  int *pivots = nullptr, *ints = nullptr;
  T *space = nullptr, *copy = nullptr, *s = nullptr, *u = nullptr,
    *vt = nullptr;

  explicit AdjugateJob(const Task& task)
      : a(task.in[0]),
        y(task.out[0]),
        batch(a.count()),
        n(a.rows),
        work(3.0 * double(n * n * n)) {
    if (n == 0) {
      batch = 0;
      return;
    }
    inverse_size = lapack::lu_inverse_work<T>(int(n));
    svd_size = lapack::svd_work<T>('A', int(n), int(n));
  }
  void take(Scratch& scratch) {
    pivots = scratch.take<int>(n);
    ints = scratch.take<int>(8 * n);
    space = scratch.take<T>(std::max(inverse_size, svd_size));
    copy = scratch.take<T>(n * n);
    s = scratch.take<T>(n);
    u = scratch.take<T>(n * n);
    vt = scratch.take<T>(n * n);
  }
  void run(int64_t i) {
    T* to = y.at(i);
    gather_rows(a, i, to);
    lapack::getrf(int(n), int(n), to, pivots);
    T det = 1, smallest = std::abs(to[0]), largest = smallest;
    for (int64_t r = 0; r < n; ++r) {
      const T pivot = to[r * (n + 1)];
      det *= pivots[r] == r + 1 ? pivot : -pivot;
      smallest = std::min(smallest, std::abs(pivot));
      largest = std::max(largest, std::abs(pivot));
    }
    const T enough = std::sqrt(std::numeric_limits<T>::epsilon());
    // Also when NaN, which goes through both roads unchanged, takes the first.
    if (!(smallest <= enough * largest)) {
      lapack::getri(int(n), to, pivots, space, inverse_size);
      for (int64_t k = 0; k < n * n; ++k) to[k] *= det;
      return;
    }
    by_values(i, to);
  }
  void by_values(int64_t i, T* to) {
    gather_rows(a, i, copy);
    check_finite(linalg::Adjugate::op_name, copy, n * n, batch, i);
    // Of a^T, column by column: a^T = u s vt, so adj(a)^T = +-vt^T c u^T there,
    // which row by row is +-u c vt.
    if (lapack::gesdd<T>(
            'A', int(n), int(n), copy, s, u, vt, space, svd_size, s, ints) !=
        0) {
      unsupported(linalg::Adjugate::op_name,
                  "the singular values did not converge.");
    }
    const T turn = sign_of(u) * sign_of(vt);
    T* scale = copy;
    for (int64_t k = 0; k < n; ++k) scale[k] = turn * others(k);
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        T sum = 0;
        for (int64_t k = 0; k < n; ++k) {
          sum += u[k * n + r] * scale[k] * vt[c * n + k];
        }
        to[r * n + c] = sum;
      }
    }
  }
  // The product of all singular values but one.
  T others(int64_t k) const {
    T product = 1;
    for (int64_t j = 0; j < n; ++j) product *= j == k ? T(1) : s[j];
    return product;
  }
  // The determinant, 1 or -1, of an orthogonal matrix.
  T sign_of(const T* q) {
    std::copy_n(q, n * n, copy);
    lapack::getrf(int(n), int(n), copy, pivots);
    T sign = 1;
    for (int64_t r = 0; r < n; ++r) {
      if ((copy[r * (n + 1)] < 0) != (pivots[r] != r + 1)) sign = -sign;
    }
    return sign;
  }
};

}  // namespace

runtime::Kernel lapack_triangular_solve() {
  return kernel_of_job<TriangularSolveJob>("openblas::trsm");
}
runtime::Kernel lapack_lu_solve() {
  return kernel_of_job<LuSolveJob>("openblas::trsm");
}
runtime::Kernel lapack_inverse() {
  return kernel_of_job<InverseJob>("lapack::getri");
}
runtime::Kernel lapack_adjugate() {
  return kernel_of_job<AdjugateJob>("lapack::adjugate");
}

}  // namespace treadle::backend::cpu

#endif
