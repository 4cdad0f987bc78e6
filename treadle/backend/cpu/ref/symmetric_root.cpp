// Jacobi's iteration: rotations, each of which makes one element beside the
// diagonal 0, until all are small; the rotations together are the eigenvectors
// (Golub and Van Loan, Matrix Computations, section 8.5).
#include "treadle/backend/cpu/ref/symmetric_root.h"

#include <cmath>
#include <limits>
#include <vector>

namespace treadle::backend::cpu {

namespace {

class Jacobi {
 public:
  explicit Jacobi(int64_t n) : n_(n), a_(size_t(n * n)), v_(size_t(n * n)) {}

  double& a(int64_t i, int64_t j) { return a_[size_t(i * n_ + j)]; }
  double& v(int64_t i, int64_t j) { return v_[size_t(i * n_ + j)]; }

  // a = v diag v^T, with the eigenvalues left on a's diagonal.
  void solve() {
    for (int64_t i = 0; i < n_; ++i)
      for (int64_t j = 0; j < n_; ++j) v(i, j) = i == j;
    // It converges quadratically; 10 sweeps are usual.
    for (int sweep = 0; sweep < 60 && beside() > 0; ++sweep) {
      for (int64_t p = 0; p < n_; ++p)
        for (int64_t q = p + 1; q < n_; ++q) rotate(p, q);
    }
  }

 private:
  // The sum of squares beside the diagonal; 0 when it no longer counts.
  double beside() {
    double off = 0, on = 0;
    for (int64_t i = 0; i < n_; ++i)
      for (int64_t j = 0; j < n_; ++j) (i == j ? on : off) += a(i, j) * a(i, j);
    constexpr double eps = std::numeric_limits<double>::epsilon();
    return off > eps * eps * (on + off) ? off : 0;
  }

  void rotate(int64_t p, int64_t q) {
    if (a(p, q) == 0) return;
    const double tau = (a(q, q) - a(p, p)) / (2 * a(p, q));
    const double t =
        (tau < 0 ? -1 : 1) / (std::abs(tau) + std::sqrt(1 + tau * tau));
    const double c = 1 / std::sqrt(1 + t * t), s = t * c;
    for (int64_t k = 0; k < n_; ++k) turn(a(k, p), a(k, q), c, s);
    for (int64_t k = 0; k < n_; ++k) turn(a(p, k), a(q, k), c, s);
    for (int64_t k = 0; k < n_; ++k) turn(v(k, p), v(k, q), c, s);
    a(p, q) = a(q, p) = 0;
  }
  static void turn(double& x, double& y, double c, double s) {
    const double old = x;
    x = c * old - s * y;
    y = s * old + c * y;
  }

  int64_t n_;
  std::vector<double> a_, v_;
};

void run(const runtime::Task& task) {
  const runtime::Operand &in = task.in[0], &out = task.out[0];
  const int64_t n = in.shape.back();
  if (size_of(in.shape) == 0) return;
  Jacobi m(n);
  auto each = [&]<class T>(const T* x, T* y) {
    for (int64_t at = 0; at < size_of(in.shape); at += n * n) {
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          m.a(i, j) = x[at + std::max(i, j) * n + std::min(i, j)];
      m.solve();
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < n; ++k)
            sum += m.v(i, k) * std::sqrt(std::abs(m.a(k, k))) * m.v(j, k);
          y[at + i * n + j] = T(sum);
        }
      }
    }
  };
  if (in.dtype == float32) {
    each(static_cast<const float*>(in.data), static_cast<float*>(out.data));
  } else {
    each(static_cast<const double*>(in.data), static_cast<double*>(out.data));
  }
}

}  // namespace

runtime::Kernel ref_symmetric_root() {
  return {.name = "ref::symmetric_root", .run = run};
}

}  // namespace treadle::backend::cpu
