// Case rows of the structured ops.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> core_cases() {
  using A = const Arrays&;
  return {
      {"sum_all", [](A x) { return sum(x[0]); }, {{{3, 4}}}, 16},
      {"sum_last", [](A x) { return sum(x[0], -1); }, {{{2, 3, 4}}}, 16},
      {"sum_first", [](A x) { return sum(x[0], 0, true); }, {{{3, 4}}}, 16},
      {"sum_middle", [](A x) { return sum(x[0], 1); }, {{{2, 3, 4}}}, 16},
      {"prod", [](A x) { return prod(x[0], -1); }, {{{3, 4}}}, 16},
      {"prod_of_two",
       [](A x) {
         return prod(x[0], {0, 2});
       },
       {{{3, 2, 2}}}},
      {"prod_with_zeros",
       [](A x) { return prod(concatenate(x, -1), -1); },
       {{{2, 2}, 0, 0}, {{2, 1}}}},
      {"max", [](A x) { return max(x[0], -1); }, {{{3, 4}}}},
      {"min", [](A x) { return min(x[0], 0); }, {{{3, 4}}}},
      {"mean",
       [](A x) {
         return mean(x[0], {0, 1});
       },
       {{{3, 4}}},
       16},
      {"var", [](A x) { return var(x[0], -1); }, {{{3, 4}}}, 32},
      {"logsumexp", [](A x) { return logsumexp(x[0], -1); }, {{{3, 4}}}, 16},
      {"matmul",
       [](A x) { return matmul(x[0], x[1]); },
       {{{3, 4}}, {{4, 5}}},
       32},
      {"matmul_batched",
       [](A x) { return matmul(x[0], x[1]); },
       {{{2, 3, 4}}, {{2, 4, 5}}},
       32},
      {"matmul_broadcast",
       [](A x) { return matmul(x[0], x[1]); },
       {{{2, 3, 4}}, {{4, 5}}},
       32},
      {"matmul_vector",
       [](A x) { return matmul(x[0], x[1]); },
       {{{3, 4}}, {{4}}},
       32},
      {"addmm",
       [](A x) { return addmm(x[0], x[1], x[2]); },
       {{{5}}, {{3, 4}}, {{4, 5}}},
       32},
      {"broadcast_to",
       [](A x) {
         return broadcast_to(x[0], {2, 3, 4});
       },
       {{{3, 1}}}},
      {"reshape",
       [](A x) {
         return reshape(x[0], {4, -1});
       },
       {{{2, 6}}}},
      {"transpose",
       [](A x) {
         return transpose(x[0], {2, 0, 1});
       },
       {{{2, 3, 4}}}},
      {"transpose_reshape",
       [](A x) {
         return reshape(transpose(x[0]), {2, -1});
       },
       {{{3, 4}}}},
      {"expand_squeeze",
       [](A x) {
         return squeeze(expand_dims(x[0], Axes{0, 2}), 0);
       },
       {{{3, 4}}}},
      {"slice",
       [](A x) {
         return slice(x[0], {1, 0}, {3, 4}, {1, 2});
       },
       {{{3, 4}}}},
      {"slice_reversed",
       [](A x) { return slice(x[0], {3}, {-9}, {-1}); },
       {{{4}}}},
      {"split",
       [](A x) {
         const Arrays parts = split(x[0], 2, -1);
         return parts[0] * sin(parts[1]);
       },
       {{{3, 4}}}},
      {"split_at_positions",
       [](A x) {
         const Arrays parts = split(x[0], Shape{1, 1, -2});
         return parts[0] * parts[2] + sum(parts[1]);
       },
       {{{5, 2}}}},
      {"split_positions_that_fall",
       [](A x) {
         const Arrays parts = split(x[0], Shape{4, 2});
         return parts[0] * sum(parts[2]) + sum(parts[1]);
       },
       {{{5, 2}}}},
      {"slice_update",
       [](A x) {
         return slice_update(x[0], x[1], {1, 1}, {3, 3});
       },
       {{{3, 4}}, {{2, 2}}}},
      {"pad",
       [](A x) {
         return pad(x[0], {1, 0}, {0, 2});
       },
       {{{2, 3}}}},
      {"concatenate",
       [](A x) { return concatenate(x, 1); },
       {{{2, 3}}, {{2, 2}}}},
      {"stack", [](A x) { return stack(x, 1); }, {{{2, 3}}, {{2, 3}}}},
      {"softmax_by_hand",
       [](A x) {
         array e = exp(x[0] - stop_gradient(max(x[0], -1, true)));
         return e / sum(e, -1, true);
       },
       {{{3, 5}}},
       16},
      {"layer_norm_by_hand",
       [](A x) {
         array c = x[0] - mean(x[0], -1, true);
         return c * rsqrt(mean(square(c), -1, true) + 1e-5) * x[1] + x[2];
       },
       {{{4, 6}}, {{6}}, {{6}}},
       64},
      {"gelu_chain",
       [](A x) { return x[0] * (erf(x[0] * 0.7071067811865476) + 1) * 0.5; },
       {{{3, 4}}},
       16},
  };
}

}  // namespace treadle::testing
