// The routines of LAPACK that the kernels of ops/factorize.h and ops/solve.h
// call, for float, double and (where declared) complex64_t. Matrices are column
// by column, one after another (leading dimension: the number of rows). Each
// returns LAPACK's info: 0, or which column or pivot failed. With a null `work`
// nothing is computed: work_size() of the same arguments is what it needs.
#pragma once

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu::lapack {

// The real type of T's singular values.
template <class T>
struct RealOf {
  using type = T;
};
template <>
struct RealOf<complex64_t> {
  using type = float;
};
template <class T>
using Real = typename RealOf<T>::type;

// In work elements of T, for the largest routine of an op.
template <class T>
int64_t lu_inverse_work(int n);
template <class T>
int64_t qr_work(int m, int n);
template <class T>
int64_t svd_work(char job, int m, int n);
template <class T>
int64_t eigh_work(char job, int n);
template <class T>
int64_t eig_work(char job, int n);

template <class T>
int potrf(char uplo, int n, T* a);
template <class T>
int getrf(int m, int n, T* a, int* pivots);
template <class T>
int getri(int n, T* a, const int* pivots, T* work, int64_t size);
template <class T>
int trtri(char uplo, int n, T* a);
template <class T>
int geqrf(int m, int n, T* a, T* tau, T* work, int64_t size);
// The first k columns of Q from what geqrf left in a (m, k).
template <class T>
int orgqr(int m, int k, T* a, T* tau, T* work, int64_t size);
// job 'A': u (m, m), vt (n, n); 'S': u (m, k), vt (k, n); 'N': neither. a is
// destroyed. ints: 8 min(m, n).
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
          int* ints);
// Elements of reals for complex T.
int64_t svd_reals(char job, int m, int n);
// a's lower triangle -> eigenvectors in a when job is 'V'.
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
         int64_t ints_size);
int64_t eigh_reals(char job, int n);
int64_t eigh_ints(char job, int n);
// Right eigenvectors in v when job is 'V'. For real T w holds the N real parts,
// then the N imaginary ones, and complex vectors are pairs of columns, as in
// LAPACK. reals: 2 n, for complex T.
template <class T>
int geev(
    char job, int n, T* a, T* w, T* v, T* work, int64_t size, float* reals);

// Row by row: b (n, k) becomes the solution of a x = b, or of a^T x = b.
template <class T>
void trsm(bool upper,
          bool transposed,
          bool unit,
          int n,
          int k,
          const T* a,
          int64_t lead,
          T* b);

}  // namespace treadle::backend::cpu::lapack
