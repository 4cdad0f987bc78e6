#include "treadle/backend/cpu/lapack.h"

#ifdef TREADLE_HAS_OPENBLAS

#include <algorithm>
#include <complex>

#define lapack_complex_float std::complex<float>
#define lapack_complex_double std::complex<double>
#include <cblas.h>
#include <lapacke.h>

#include "treadle/backend/cpu/openblas.h"

namespace treadle::backend::cpu::lapack {

static_assert(std::is_same_v<complex64_t, std::complex<float>>);

namespace {

// sgetrf and dgetrf as one overloaded function, and so on.
#define TREADLE_REAL(name)                                 \
  TREADLE_IMPORT_OPENBLAS(LAPACKE_s##name##_work)          \
  TREADLE_IMPORT_OPENBLAS(LAPACKE_d##name##_work)          \
  template <class... A>                                    \
  int call_##name(float, A... a) {                         \
    return LAPACKE_s##name##_work(LAPACK_COL_MAJOR, a...); \
  }                                                        \
  template <class... A>                                    \
  int call_##name(double, A... a) {                        \
    return LAPACKE_d##name##_work(LAPACK_COL_MAJOR, a...); \
  }
#define TREADLE_COMPLEX(name, routine)                        \
  TREADLE_IMPORT_OPENBLAS(LAPACKE_c##routine##_work)          \
  template <class... A>                                       \
  int call_##name(complex64_t, A... a) {                      \
    return LAPACKE_c##routine##_work(LAPACK_COL_MAJOR, a...); \
  }

TREADLE_REAL(potrf)
TREADLE_REAL(getrf)
TREADLE_REAL(getri)
TREADLE_REAL(trtri)
TREADLE_REAL(geqrf)
TREADLE_REAL(orgqr)
TREADLE_REAL(gesdd)
TREADLE_REAL(syevd)
TREADLE_REAL(geev)
TREADLE_COMPLEX(gesdd, gesdd)
TREADLE_COMPLEX(syevd, heevd)
TREADLE_COMPLEX(geev, geev)
#undef TREADLE_REAL
#undef TREADLE_COMPLEX
TREADLE_IMPORT_OPENBLAS(cblas_strsm)
TREADLE_IMPORT_OPENBLAS(cblas_dtrsm)

// A leading dimension is at least 1, also of an empty matrix.
int lead(int rows) { return std::max(rows, 1); }

// What a workspace query answered. Answers are rounded to T: a little more.
template <class T>
int64_t answered(T size) {
  return int64_t(double(std::real(size)) * 1.000001) + 1;
}

}  // namespace

template <class T>
int potrf(char uplo, int n, T* a) {
  return call_potrf(T(), uplo, n, a, lead(n));
}

template <class T>
int getrf(int m, int n, T* a, int* pivots) {
  return call_getrf(T(), m, n, a, lead(m), pivots);
}

template <class T>
int getri(int n, T* a, const int* pivots, T* work, int64_t size) {
  return call_getri(T(), n, a, lead(n), pivots, work, int(size));
}

template <class T>
int64_t lu_inverse_work(int n) {
  T size = 0;
  call_getri(
      T(), n, &size, lead(n), static_cast<const int*>(nullptr), &size, -1);
  return std::max<int64_t>(answered(size), n);
}

template <class T>
int trtri(char uplo, int n, T* a) {
  return call_trtri(T(), uplo, 'N', n, a, lead(n));
}

template <class T>
int geqrf(int m, int n, T* a, T* tau, T* work, int64_t size) {
  return call_geqrf(T(), m, n, a, lead(m), tau, work, int(size));
}

template <class T>
int orgqr(int m, int k, T* a, T* tau, T* work, int64_t size) {
  return call_orgqr(T(), m, k, k, a, lead(m), tau, work, int(size));
}

template <class T>
int64_t qr_work(int m, int n) {
  T first = 0, second = 0, none = 0;
  const int k = std::min(m, n);
  call_geqrf(T(), m, n, &none, lead(m), &none, &first, -1);
  call_orgqr(T(), m, k, k, &none, lead(m), &none, &second, -1);
  return std::max({answered(first), answered(second), int64_t(n)});
}

template <class T>
int gesdd(char job,
          int m,
          int n,
          T* a,
          Real<T>* s,
          T* u,
          T* vt,
          T* work,
          int64_t size,
          Real<T>* reals,
          int* ints) {
  const int vt_rows = job == 'A' ? n : std::min(m, n);
  if constexpr (std::is_same_v<T, complex64_t>) {
    return call_gesdd(T(),
                      job,
                      m,
                      n,
                      a,
                      lead(m),
                      s,
                      u,
                      lead(m),
                      vt,
                      lead(vt_rows),
                      work,
                      int(size),
                      reals,
                      ints);
  } else {
    (void)reals;
    return call_gesdd(T(),
                      job,
                      m,
                      n,
                      a,
                      lead(m),
                      s,
                      u,
                      lead(m),
                      vt,
                      lead(vt_rows),
                      work,
                      int(size),
                      ints);
  }
}

template <class T>
int64_t svd_work(char job, int m, int n) {
  T size = 0, none = 0;
  Real<T> real = 0;
  int ints = 0;
  gesdd<T>(job, m, n, &none, &real, &none, &none, &size, -1, &real, &ints);
  return answered(size);
}

// The bounds of LAPACK's documentation.
int64_t svd_reals(char job, int m, int n) {
  const int64_t small = std::min(m, n), large = std::max(m, n);
  if (job == 'N') return std::max<int64_t>(1, 7 * small);
  return std::max<int64_t>(
      1, small * std::max(5 * small + 7, 2 * large + 2 * small + 1));
}

int64_t eigh_reals(char job, int n) {
  const int64_t k = n;
  if (k <= 1) return 1;
  return job == 'N' ? k : 1 + 5 * k + 2 * k * k;
}
int64_t eigh_ints(char job, int n) {
  return n <= 1 || job == 'N' ? 1 : 3 + 5 * int64_t(n);
}

template <class T>
int eigh(char job,
         int n,
         T* a,
         Real<T>* w,
         T* work,
         int64_t size,
         Real<T>* reals,
         int64_t reals_size,
         int* ints,
         int64_t ints_size) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return call_syevd(T(),
                      job,
                      'L',
                      n,
                      a,
                      lead(n),
                      w,
                      work,
                      int(size),
                      reals,
                      int(reals_size),
                      ints,
                      int(ints_size));
  } else {
    (void)reals;
    (void)reals_size;
    return call_syevd(
        T(), job, 'L', n, a, lead(n), w, work, int(size), ints, int(ints_size));
  }
}

template <class T>
int64_t eigh_work(char job, int n) {
  T size = 0, none = 0;
  Real<T> real = 0;
  int ints = 0;
  eigh<T>(job, n, &none, &real, &size, -1, &real, -1, &ints, -1);
  return answered(size);
}

template <class T>
int geev(
    char job, int n, T* a, T* w, T* v, T* work, int64_t size, float* reals) {
  T* none = nullptr;
  if constexpr (std::is_same_v<T, complex64_t>) {
    return call_geev(T(),
                     'N',
                     job,
                     n,
                     a,
                     lead(n),
                     w,
                     none,
                     1,
                     v,
                     lead(n),
                     work,
                     int(size),
                     reals);
  } else {
    (void)reals;
    return call_geev(T(),
                     'N',
                     job,
                     n,
                     a,
                     lead(n),
                     w,
                     w + n,
                     none,
                     1,
                     v,
                     lead(n),
                     work,
                     int(size));
  }
}

template <class T>
int64_t eig_work(char job, int n) {
  T size = 0, none[2] = {};
  float real = 0;
  geev<T>(job, n, none, none, none, &size, -1, &real);
  return answered(size);
}

template <class T>
void trsm(bool upper,
          bool transposed,
          bool unit,
          int n,
          int k,
          const T* a,
          int64_t a_lead,
          T* b) {
  const auto triangle = upper ? CblasUpper : CblasLower;
  const auto order = transposed ? CblasTrans : CblasNoTrans;
  const auto diagonal = unit ? CblasUnit : CblasNonUnit;
  if constexpr (std::is_same_v<T, float>) {
    cblas_strsm(CblasRowMajor,
                CblasLeft,
                triangle,
                order,
                diagonal,
                n,
                k,
                1,
                a,
                blasint(a_lead),
                b,
                lead(k));
  } else {
    cblas_dtrsm(CblasRowMajor,
                CblasLeft,
                triangle,
                order,
                diagonal,
                n,
                k,
                1,
                a,
                blasint(a_lead),
                b,
                lead(k));
  }
}

#define TREADLE_FOR_REAL(T)                                \
  template int64_t lu_inverse_work<T>(int);                \
  template int64_t qr_work<T>(int, int);                   \
  template int potrf<T>(char, int, T*);                    \
  template int getrf<T>(int, int, T*, int*);               \
  template int getri<T>(int, T*, const int*, T*, int64_t); \
  template int trtri<T>(char, int, T*);                    \
  template int geqrf<T>(int, int, T*, T*, T*, int64_t);    \
  template int orgqr<T>(int, int, T*, T*, T*, int64_t);    \
  template void trsm<T>(bool, bool, bool, int, int, const T*, int64_t, T*);
#define TREADLE_FOR_ALL(T)                                                     \
  template int64_t svd_work<T>(char, int, int);                                \
  template int64_t eigh_work<T>(char, int);                                    \
  template int64_t eig_work<T>(char, int);                                     \
  template int gesdd<T>(                                                       \
      char, int, int, T*, Real<T>*, T*, T*, T*, int64_t, Real<T>*, int*);      \
  template int eigh<T>(                                                        \
      char, int, T*, Real<T>*, T*, int64_t, Real<T>*, int64_t, int*, int64_t); \
  template int geev<T>(char, int, T*, T*, T*, T*, int64_t, float*);
TREADLE_FOR_REAL(float)
TREADLE_FOR_REAL(double)
TREADLE_FOR_ALL(float)
TREADLE_FOR_ALL(double)
TREADLE_FOR_ALL(complex64_t)

}  // namespace treadle::backend::cpu::lapack

#endif
