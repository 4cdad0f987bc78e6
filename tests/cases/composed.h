// Case rows of the functions that are made of other operations.
#pragma once

#include <cmath>
#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> composed_cases() {
  using A = const Arrays&;
  return {
      {"std", [](A x) { return std(x[0], -1); }, {{{3, 4}}}, 32},
      {"clip", [](A x) { return clip(x[0], -1, 1); }, {{{3, 4}}}},
      {"tril", [](A x) { return tril(x[0], 1); }, {{{2, 3, 4}}}},
      {"triu", [](A x) { return triu(x[0]); }, {{{2, 3, 4}}}},
      {"diagonal", [](A x) { return diagonal(x[0], 1, 0, 2); }, {{{3, 2, 4}}}},
      {"diag", [](A x) { return diag(x[0], -1); }, {{{4}}}},
      {"trace", [](A x) { return trace(x[0]); }, {{{3, 4}}}, 16},
      {"flip",
       [](A x) {
         return flip(x[0], {0, -1});
       },
       {{{2, 3, 4}}}},
      {"roll",
       [](A x) {
         return roll(x[0], {1, -2}, {0, 1});
       },
       {{{3, 4}}}},
      {"roll_flat", [](A x) { return roll(x[0], {5}); }, {{{3, 4}}}},
      {"repeat", [](A x) { return repeat(x[0], 3, 0); }, {{{2, 3}}}},
      {"tile",
       [](A x) {
         return tile(x[0], {2, 1, 2});
       },
       {{{2, 3}}}},
      {"outer", [](A x) { return outer(x[0], x[1]); }, {{{3}}, {{4}}}},
      {"inner",
       [](A x) { return inner(x[0], x[1]); },
       {{{2, 3}}, {{4, 3}}},
       32},
      {"vecdot",
       [](A x) { return vecdot(x[0], x[1], 0); },
       {{{3, 4}, 0.2, 2}, {{3, 4}, 0.2, 2}},
       16},
      {"tensordot",
       [](A x) {
         return tensordot(x[0], x[1], {0, 2}, {1, 0});
       },
       {{{2, 3, 4}}, {{4, 2, 5}}},
       32},
      {"kron", [](A x) { return kron(x[0], x[1]); }, {{{2}}, {{3, 2}}}},
      {"diff", [](A x) { return diff(x[0], 2, 0); }, {{{4, 3}}}},
      {"convolve",
       [](A x) { return convolve(x[0], x[1], "same"); },
       {{{4}}, {{7}}},
       16},
      {"as_strided",
       [](A x) {
         return as_strided(x[0], Shape{3, 2, 2}, Shape{2, -1, 3}, 1);
       },
       {{{3, 4}}}},
      {"imag",  // float64 has no complex type, so no finite differences
       [](A x) { return imag(square(view(astype(x[0], float32), complex64))); },
       {{{2, 4}}},
       4,
       false},
      {"pad_reflect",
       [](A x) {
         return pad(x[0], {1, 4}, {0, 7}, PadMode::reflect);
       },
       {{{2, 3}}}},
      {"gather",
       [](A x) {
         return gather(x[0], {x[1], x[2]}, {2, 0}, {1, 3, 2});
       },
       {{{3, 3, 4}}, {{2}, 0, 2, int32}, {{2, 1}, 0, 2, int32}}},
      {"scatter_slices",
       [](A x) { return scatter_add(x[0], {x[1]}, x[2], {1}); },
       {{{3, 4}}, {{5}, 0, 3, int32}, {{5, 2, 2}}}},
      {"symmetric_root",
       [](A x) {
         // Of x x^T + 1, whose eigenvalues are apart from 0.
         const array& v = x[0];
         array c = matmul(v, swapaxes(v, -1, -2)) + eye(4);
         return symmetric_root(c);
       },
       {{{2, 4, 4}}},
       16,
       true,
       true,
       true,
       1},
      {"norm", [](A x) { return linalg::norm(x[0]); }, {{{3, 4}}}, 16},
      {"norm_3",
       [](A x) { return linalg::norm(x[0], 3, Axes{1}); },
       {{{3, 4}, 0.2, 2}},
       64},
      {"norm_inf",
       [](A x) {
         return linalg::norm(x[0], INFINITY, Axes{0, 1});
       },
       {{{3, 4}, 0.2, 2}},
       16},
  };
}

}  // namespace treadle::testing
