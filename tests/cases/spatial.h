// Case rows of convolutions and pooling.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> spatial_cases() {
  using A = const Arrays&;
  return {
      {"conv1d",
       [](A x) { return conv1d(x[0], x[1]); },
       {{{2, 6, 3}}, {{4, 3, 3}}},
       32},
      {"conv1d_stride_padding",
       [](A x) { return conv1d(x[0], x[1], 2, 1, 2); },
       {{{1, 9, 2}}, {{3, 2, 2}}},
       32},
      {"conv2d",
       [](A x) { return conv2d(x[0], x[1]); },
       {{{2, 4, 5, 2}}, {{3, 2, 3, 2}}},
       32},
      {"conv2d_stride_leaves_a_rest",
       [](A x) {
         return conv2d(x[0], x[1], {2, 3}, {1, 0});
       },
       {{{1, 5, 6, 2}}, {{2, 3, 2, 2}}},
       32},
      {"conv2d_dilation",
       [](A x) {
         return conv2d(x[0], x[1], {1, 1}, {2, 1}, {2, 1});
       },
       {{{1, 4, 4, 2}}, {{2, 2, 2, 2}}},
       32},
      {"conv2d_groups",
       [](A x) {
         return conv2d(x[0], x[1], {1, 1}, {1, 1}, {1, 1}, 2);
       },
       {{{1, 3, 3, 4}}, {{4, 2, 2, 2}}},
       32},
      {"conv2d_depthwise",
       [](A x) {
         return conv2d(x[0], x[1], {1, 1}, {1, 1}, {1, 1}, 3);
       },
       {{{1, 3, 3, 3}}, {{3, 3, 3, 1}}},
       32},
      {"conv3d",
       [](A x) {
         return conv3d(x[0], x[1], {1, 2, 1}, {0, 1, 1});
       },
       {{{1, 2, 3, 3, 2}}, {{2, 2, 2, 2, 2}}},
       64},
      {"conv_general_flip_input_dilation",
       [](A x) {
         return conv_general(
             x[0], x[1], {}, {1, 2}, {2, 0}, {1, 2}, {2, 1}, 1, true);
       },
       {{{1, 3, 4, 2}}, {{2, 2, 2, 2}}},
       32},
      {"conv_general_stride_and_input_dilation",
       [](A x) { return conv_general(x[0], x[1], {2}, {1}, {0}, {1}, {3}); },
       {{{2, 4, 2}}, {{2, 3, 2}}},
       32},
      {"conv_general_cut_off",
       [](A x) { return conv_general(x[0], x[1], {}, {-1}, {1}); },
       {{{2, 5, 2}}, {{2, 2, 2}}},
       32},
      {"conv_transpose1d",
       [](A x) { return conv_transpose1d(x[0], x[1], 2, 1, 1, 1); },
       {{{2, 4, 2}}, {{3, 3, 2}}},
       32},
      {"conv_transpose2d",
       [](A x) {
         return conv_transpose2d(x[0], x[1], {2, 2}, {1, 0});
       },
       {{{1, 3, 2, 2}}, {{3, 3, 2, 2}}},
       32},
      {"conv_transpose3d_groups",
       [](A x) {
         return conv_transpose3d(
             x[0], x[1], {1, 2, 1}, {0, 1, 0}, {1, 1, 1}, {0, 0, 0}, 2);
       },
       {{{1, 2, 2, 2, 4}}, {{2, 2, 3, 1, 2}}},
       64},
      {"max_pool1d", [](A x) { return max_pool(x[0], {2}); }, {{{2, 5, 3}}}},
      {"max_pool2d",
       [](A x) {
         return max_pool(x[0], {2, 2});
       },
       {{{2, 4, 4, 2}}}},
      {"max_pool2d_overlapping",
       [](A x) { return max_pool(x[0], {3}, {1}, {1}); },
       {{{1, 4, 4, 2}}}},
      {"max_pool3d",
       [](A x) {
         return max_pool(x[0], {2, 1, 2}, {1}, {0, 0, 1});
       },
       {{{1, 2, 3, 3, 2}}}},
      {"max_pool1d_shared",
       [](A x) { return shared_pool(PoolKind::max, x[0], {3}); },
       {{{2, 7, 3}}}},
      {"max_pool2d_shared",
       [](A x) {
         return shared_pool(PoolKind::max, x[0], {3, 5});
       },
       {{{2, 5, 4, 2}}}},
      {"max_pool3d_shared",
       [](A x) { return shared_pool(PoolKind::max, x[0], {2}); },
       {{{1, 2, 3, 3, 2}}}},
      {"avg_pool2d_shared",
       [](A x) {
         return shared_pool(PoolKind::mean, x[0], {3, 2});
       },
       {{{2, 5, 3, 2}}},
       16},
      {"avg_pool1d",
       [](A x) { return avg_pool(x[0], {3}, {2}, {1}); },
       {{{2, 5, 3}}},
       16},
      {"avg_pool2d",
       [](A x) {
         return avg_pool(x[0], {2, 2});
       },
       {{{2, 5, 4, 2}}},
       16},
      {"avg_pool2d_overlapping",
       [](A x) { return avg_pool(x[0], {3}, {1}, {1}); },
       {{{1, 4, 4, 2}}},
       16},
      {"conv_relu_pool",
       [](A x) {
         array y = maximum(conv2d(x[0], x[1], {1, 1}, {1, 1}) + x[2], 0);
         return max_pool(y, {2, 2});
       },
       {{{1, 4, 4, 2}}, {{3, 3, 3, 2}}, {{3}}},
       32},
  };
}

}  // namespace treadle::testing
