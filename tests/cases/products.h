// Case rows of sums of products and of Fourier transforms.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> einsum_cases() {
  std::vector<OpCase> cases;
  auto add =
      [&](const char* name, const char* subscripts, std::vector<Input> inputs) {
        // Sums of products may cancel.
        cases.push_back(
            {std::string("einsum_") + name,
             [subscripts](const Arrays& x) { return einsum(subscripts, x); },
             std::move(inputs),
             32,
             true,
             true,
             true,
             1});
      };
  add("matmul", "ij,jk->ik", {{{2, 3}}, {{3, 4}}});
  add("turned", "ij,kj->ki", {{{2, 3}}, {{4, 3}}});
  add("batched", "bij,bjk->bik", {{{2, 3, 2}}, {{2, 2, 4}}});
  add("batch_behind", "ijb,jkb->bik", {{{3, 2, 2}}, {{2, 4, 2}}});
  add("groups", "aibj,jcbd->iacd", {{{2, 3, 2, 2}}, {{2, 2, 2, 3}}});
  add("inner_twice", "ij,ji->", {{{2, 3}}, {{3, 2}}});
  add("outer", "i,j->ji", {{{2}}, {{3}}});
  add("elementwise", "ij,ji->ij", {{{2, 3}}, {{3, 2}}});
  add("trace", "ii", {{{3, 3}}});
  add("diagonal", "iji->ji", {{{3, 2, 3}}});
  add("diagonal_product", "ii,ij->j", {{{3, 3}}, {{3, 2}}});
  add("sum_of_one", "ij,kl->ik", {{{2, 3}}, {{2, 2}}});
  add("ellipsis", "...ij,...jk->...ik", {{{2, 1, 2, 3}}, {{2, 3, 2}}});
  add("ellipsis_summed", "i...,...->i", {{{3, 2}}, {{2}}});
  add("ones", "ij,jk->ik", {{{2, 1}}, {{3, 4}}});
  add("ones_kept", "ij,ij->ji", {{{2, 1}}, {{1, 1}}});
  add("chain", "ij,jk,kl,l->i", {{{2, 3}}, {{3, 2}}, {{2, 4}}, {{4}}});
  add("triple", "bi,bij,bj->b", {{{2, 3}}, {{2, 3, 2}}, {{2, 2}}});
  return cases;
}

inline std::vector<OpCase> fft_cases() {
  using A = const Arrays&;
  // Cases are real in and out: complex numbers as two of them.
  auto number = [](A x) {
    return astype(x[0], complex64) +
           astype(x[1], complex64) * array(complex64_t(0, 1));
  };
  auto parts = [](const array& y) { return stack({real(y), imag(y)}); };
  auto same = [](const array& y) { return y; };
  std::vector<OpCase> cases;
  // Transforms compute in float32, whose finite differences say nothing:
  // tests/ops/fft_test.cpp looks at derivatives.
  auto add = [&](const char* name, auto f, std::vector<Input> inputs) {
    cases.push_back({name, f, std::move(inputs), 8, false, true, false, 1});
  };
  using fft::FFTNorm;
  add("fft",
      [=](A x) { return parts(fft::fft(number(x))); },
      {{{3, 12}}, {{3, 12}}});
  add("fft_prime",
      [=](A x) { return parts(fft::fft(number(x), {}, 0)); },
      {{{101, 3}}, {{101, 3}}});
  add("fft_cut",
      [=](A x) { return parts(fft::fft(number(x), 5, 1)); },
      {{{2, 8, 3}}, {{2, 8, 3}}});
  add("fft_filled",
      [=](A x) { return parts(fft::fft(number(x), 11, -1)); },
      {{{2, 8}}, {{2, 8}}});
  add("ifft_ortho",
      [=](A x) { return parts(fft::ifft(number(x), {}, -1, FFTNorm::Ortho)); },
      {{{2, 9}}, {{2, 9}}});
  add("fft2",
      [=](A x) { return parts(fft::fft2(number(x))); },
      {{{2, 6, 5}}, {{2, 6, 5}}});
  add("ifftn_forward",
      [=](A x) {
        return parts(fft::ifftn(number(x), {}, Axes{2, 0}, FFTNorm::Forward));
      },
      {{{4, 2, 6}}, {{4, 2, 6}}});
  add("rfft", [=](A x) { return parts(fft::rfft(x[0])); }, {{{3, 12}}});
  add("rfft_odd",
      [=](A x) { return parts(fft::rfft(x[0], {}, 0)); },
      {{{7, 3}}});
  add("rfftn", [=](A x) { return parts(fft::rfftn(x[0])); }, {{{3, 4, 5}}});
  add("irfft",
      [=](A x) { return same(fft::irfft(number(x))); },
      {{{3, 7}}, {{3, 7}}});
  add("irfft_odd",
      [=](A x) { return same(fft::irfft(number(x), 9, 0)); },
      {{{5, 3}}, {{5, 3}}});
  add("irfft2",
      [=](A x) {
        return same(fft::irfft2(number(x), Shape{4, 5}));
      },
      {{{2, 4, 3}}, {{2, 4, 3}}});
  add("hfft",
      [=](A x) { return same(fft::hfft(number(x))); },
      {{{2, 5}}, {{2, 5}}});
  add("ihfft", [=](A x) { return parts(fft::ihfft(x[0])); }, {{{2, 8}}});
  add("fftshift",
      [](A x) { return fft::fftshift(x[0], Axes{-1}); },
      {{{3, 5}}});
  add("stft",
      [=](A x) {
        return parts(fft::stft(x[0], 8, 3, {}, array(full({6}, 0.5))));
      },
      {{{2, 20}}});
  add("istft",
      [=](A x) { return same(fft::istft(number(x), 8, 3)); },
      {{{2, 5, 6}}, {{2, 5, 6}}});
  return cases;
}

}  // namespace treadle::testing
