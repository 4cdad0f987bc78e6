// Factorisations by LAPACK. A matrix that lies row by row is, column by column,
// its transpose: where the transpose's factors give those asked for (cholesky,
// svd) nothing is turned.
#include "treadle/backend/cpu/linalg.h"

#ifdef TREADLE_HAS_OPENBLAS

#include <numeric>
#include <vector>

#include "treadle/backend/cpu/lapack.h"
#include "treadle/backend/cpu/matrix_jobs.h"
#include "treadle/ops/factorize.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Task;

// a LAPACK iteration that did not end.
[[noreturn]] void no_convergence(std::string_view op,
                                 int64_t batch,
                                 int64_t matrix) {
  unsupported(op,
              fmt::format("the iteration did not converge for the matrix{}.",
                          which(batch, matrix)));
}

template <class T>
struct CholeskyJob {
  MatricesOf<const T> a;
  MatricesOf<T> l;
  int64_t batch, n;
  double work;

  explicit CholeskyJob(const Task& task)
      : a(task.in[0]), l(task.out[0]), batch(a.count()), n(a.rows) {
    work = double(n * n * n) / 3 + double(n * n);
    if (n == 0) batch = 0;
  }
  void take(Scratch&) {}
  void run(int64_t i) {
    T* y = l.at(i);
    gather_rows(a, i, y);
    // The transposed lower triangle is an upper one.
    if (lapack::potrf('U', int(n), y) != 0) {
      unsupported(linalg::Cholesky::op_name,
                  fmt::format("the matrix{} is not positive definite.",
                              which(batch, i)));
    }
    for (int64_t r = 0; r < n; ++r)
      std::fill(y + r * n + r + 1, y + r * n + n, T(0));
  }
};

template <class T>
struct LuJob {
  MatricesOf<const T> a;
  MatricesOf<T> packed;
  MatricesOf<uint32_t, 1> pivots, order;
  int64_t batch, m, n, k;
  double work;
  T* factors = nullptr;
  int* exchanged = nullptr;

  explicit LuJob(const Task& task)
      : a(task.in[0]),
        packed(task.out[0]),
        pivots(task.out[1]),
        order(task.out[2]),
        batch(a.count()),
        m(a.rows),
        n(a.columns),
        k(std::min(m, n)),
        work(double(m * n * k) + double(m * n)) {}
  void take(Scratch& s) {
    factors = s.take<T>(m * n);
    exchanged = s.take<int>(k);
  }
  void run(int64_t i) {
    gather_columns(a, i, factors);
    // A pivot of 0 is no failure: a = P L U holds all the same.
    if (k > 0) lapack::getrf(int(m), int(n), factors, exchanged);
    if (packed.wanted()) gather(factors, 1, m, m, n, packed.at(i));
    if (pivots.wanted()) {
      for (int64_t r = 0; r < k; ++r)
        pivots.at(i)[r] = uint32_t(exchanged[r] - 1);
    }
    if (order.wanted()) {
      uint32_t* rows = order.at(i);
      std::iota(rows, rows + m, 0u);
      for (int64_t r = 0; r < k; ++r)
        std::swap(rows[r], rows[exchanged[r] - 1]);
    }
  }
};

template <class T>
struct QrJob {
  MatricesOf<const T> a;
  MatricesOf<T> q, r;
  int64_t batch, m, n, k, work_size = 0;
  double work;
  T *factors = nullptr, *tau = nullptr, *space = nullptr;

  explicit QrJob(const Task& task)
      : a(task.in[0]),
        q(task.out[0]),
        r(task.out[1]),
        batch(a.count()),
        m(a.rows),
        n(a.columns),
        k(std::min(m, n)),
        work(4.0 * double(m * n * k) + double(m * n)) {
    if (k == 0) {
      batch = 0;  // both factors are empty
      return;
    }
    work_size = lapack::qr_work<T>(int(m), int(n));
  }
  void take(Scratch& s) {
    factors = s.take<T>(m * n);
    tau = s.take<T>(k);
    space = s.take<T>(work_size);
  }
  void run(int64_t i) {
    gather_columns(a, i, factors);
    lapack::geqrf(int(m), int(n), factors, tau, space, work_size);
    if (r.wanted()) {
      T* to = r.at(i);
      gather(factors, 1, m, k, n, to);
      for (int64_t row = 1; row < k; ++row)
        std::fill(to + row * n, to + row * n + row, T(0));
    }
    if (q.wanted()) {
      lapack::orgqr(int(m), int(k), factors, tau, space, work_size);
      gather(factors, 1, m, m, k, q.at(i));
    }
  }
};

// a^T = V S U^T column by column: its left factor lies as V^H row by row, its
// right one as U.
template <class T>
struct SvdJob {
  using R = lapack::Real<T>;
  char job;
  MatricesOf<const T> a;
  MatricesOf<R, 1> s;
  const runtime::Operand *u = nullptr, *vt = nullptr;
  int64_t batch, m, n, k, work_size = 0;
  double work;
  T *copy = nullptr, *space = nullptr;
  R *values = nullptr, *reals = nullptr;
  int* ints = nullptr;
  std::vector<T> unread_u, unread_vt;

  explicit SvdJob(const Task& task)
      : job(job_of(task.op)),
        a(task.in[0]),
        s(task.out[job == 'N' ? 0 : 1]),
        batch(a.count()),
        m(a.rows),
        n(a.columns),
        k(std::min(m, n)),
        work(10.0 * double(m * n) * double(k + 1)) {
    if (job != 'N') {
      u = &task.out[0];
      vt = &task.out[2];
    }
    if (k > 0) work_size = lapack::svd_work<T>(job, int(n), int(m));
  }
  static char job_of(const Op& op) {
    switch (static_cast<const linalg::Svd&>(op).parts) {
      case linalg::Svd::Parts::whole:
        return 'A';
      case linalg::Svd::Parts::thin:
        return 'S';
      default:
        return 'N';
    }
  }
  void take(Scratch& scratch) {
    copy = scratch.take<T>(m * n);
    values = scratch.take<R>(k);
    space = scratch.take<T>(work_size);
    reals = scratch.take<R>(
        std::is_same_v<T, R> ? 0 : lapack::svd_reals(job, int(n), int(m)));
    ints = scratch.take<int>(8 * k);
  }
  // Memory for a factor, also for one that nobody reads.
  T* factor(const runtime::Operand* o, int64_t i, std::vector<T>* unread) {
    if (!o) return nullptr;
    const MatricesOf<T> all(*o);
    if (all.wanted()) return all.at(i);
    unread->resize(size_t(all.rows * all.columns));
    return unread->data();
  }
  void run(int64_t i) {
    T* left = factor(u, i, &unread_u);
    T* right = factor(vt, i, &unread_vt);
    if (k == 0) {
      if (job == 'A') {
        identity(m, left);
        identity(n, right);
      }
      return;
    }
    gather_rows(a, i, copy);
    check_finite(linalg::Svd::op_name, copy, m * n, batch, i);
    if (lapack::gesdd<T>(job,
                         int(n),
                         int(m),
                         copy,
                         values,
                         right,
                         left,
                         space,
                         work_size,
                         reals,
                         ints) != 0) {
      no_convergence(linalg::Svd::op_name, batch, i);
    }
    if (s.wanted()) std::copy(values, values + k, s.at(i));
  }
  static void identity(int64_t size, T* to) {
    std::fill(to, to + size * size, T(0));
    for (int64_t r = 0; r < size; ++r) to[r * size + r] = T(1);
  }
};

template <class T>
struct EighJob {
  using R = lapack::Real<T>;
  char job;
  MatricesOf<const T> a;
  MatricesOf<R, 1> w;
  const runtime::Operand* v = nullptr;
  int64_t batch, n, work_size = 0, reals_size = 0, ints_size = 0;
  double work;
  T *copy = nullptr, *space = nullptr;
  R *values = nullptr, *reals = nullptr;
  int* ints = nullptr;

  explicit EighJob(const Task& task)
      : job(static_cast<const linalg::Eigh&>(task.op).vectors ? 'V' : 'N'),
        a(task.in[0]),
        w(task.out[0]),
        batch(a.count()),
        n(a.rows),
        work(9.0 * double(n * n * n)) {
    if (job == 'V') v = &task.out[1];
    if (n == 0) {
      batch = 0;
      return;
    }
    work_size = lapack::eigh_work<T>(job, int(n));
    reals_size = std::is_same_v<T, R> ? 0 : lapack::eigh_reals(job, int(n));
    ints_size = lapack::eigh_ints(job, int(n));
  }
  void take(Scratch& s) {
    copy = s.take<T>(n * n);
    values = s.take<R>(n);
    space = s.take<T>(work_size);
    reals = s.take<R>(reals_size);
    ints = s.take<int>(ints_size);
  }
  void run(int64_t i) {
    gather_columns(a, i, copy);
    for (int64_t c = 0; c < n; ++c)
      check_finite(linalg::Eigh::op_name, copy + c * n + c, n - c, batch, i);
    if (lapack::eigh<T>(job,
                        int(n),
                        copy,
                        values,
                        space,
                        work_size,
                        reals,
                        reals_size,
                        ints,
                        ints_size) != 0) {
      no_convergence(linalg::Eigh::op_name, batch, i);
    }
    if (w.wanted()) std::copy(values, values + n, w.at(i));
    if (v && v->data) gather(copy, 1, n, n, n, MatricesOf<T>(*v).at(i));
  }
};

template <class T>
struct EigJob {
  static constexpr bool complex = std::is_same_v<T, complex64_t>;
  char job;
  MatricesOf<const T> a;
  MatricesOf<complex64_t, 1> w;
  const runtime::Operand* v = nullptr;
  int64_t batch, n, work_size = 0;
  double work;
  T *copy = nullptr, *values = nullptr, *vectors = nullptr, *space = nullptr;
  float* reals = nullptr;

  explicit EigJob(const Task& task)
      : job(static_cast<const linalg::Eig&>(task.op).vectors ? 'V' : 'N'),
        a(task.in[0]),
        w(task.out[0]),
        batch(a.count()),
        n(a.rows),
        work(25.0 * double(n * n * n)) {
    if (job == 'V') v = &task.out[1];
    if (n == 0) {
      batch = 0;
      return;
    }
    work_size = lapack::eig_work<T>(job, int(n));
  }
  void take(Scratch& s) {
    copy = s.take<T>(n * n);
    values = s.take<T>(2 * n);
    vectors = s.take<T>(job == 'V' ? n * n : 1);
    space = s.take<T>(work_size);
    reals = s.take<float>(complex ? 2 * n : 0);
  }
  void run(int64_t i) {
    gather_columns(a, i, copy);
    check_finite(linalg::Eig::op_name, copy, n * n, batch, i);
    if (lapack::geev<T>(
            job, int(n), copy, values, vectors, space, work_size, reals) != 0) {
      no_convergence(linalg::Eig::op_name, batch, i);
    }
    if (w.wanted()) {
      for (int64_t c = 0; c < n; ++c) w.at(i)[c] = value(c);
    }
    if (!v || !v->data) return;
    complex64_t* to = MatricesOf<complex64_t>(*v).at(i);
    for (int64_t c = 0; c < n; ++c)
      for (int64_t r = 0; r < n; ++r) to[r * n + c] = vector(r, c);
  }
  complex64_t value(int64_t c) const {
    if constexpr (complex) {
      return values[c];
    } else {
      return {float(values[c]), float(values[n + c])};
    }
  }
  // Real matrices have conjugate pairs of complex vectors: columns c and c + 1
  // are the real and the imaginary part of the first.
  complex64_t vector(int64_t r, int64_t c) const {
    if constexpr (complex) {
      return vectors[c * n + r];
    } else {
      const T turn = values[n + c];
      if (turn == 0) return {float(vectors[c * n + r]), 0};
      const int64_t first = turn > 0 ? c : c - 1;
      const float imaginary = float(vectors[(first + 1) * n + r]);
      return {float(vectors[first * n + r]), turn > 0 ? imaginary : -imaginary};
    }
  }
};

}  // namespace

runtime::Kernel lapack_cholesky() {
  return kernel_of_job<CholeskyJob>("lapack::potrf");
}
runtime::Kernel lapack_lu() { return kernel_of_job<LuJob>("lapack::getrf"); }
runtime::Kernel lapack_qr() { return kernel_of_job<QrJob>("lapack::geqrf"); }
runtime::Kernel lapack_svd() {
  return kernel_of_job<SvdJob, true>("lapack::gesdd");
}
runtime::Kernel lapack_eigh() {
  return kernel_of_job<EighJob, true>("lapack::syevd");
}
runtime::Kernel lapack_eig() {
  return kernel_of_job<EigJob, true>("lapack::geev");
}

}  // namespace treadle::backend::cpu

#endif
