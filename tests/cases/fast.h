// Case rows of the composites with kernels of their own: attention,
// normalisation, rotary positions, cross-entropy, recurrent cells.
#pragma once

#include <vector>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/normalization.h"
#include "treadle/nn/functional/pooling.h"
#include "treadle/nn/functional/upsample.h"
#include "treadle/ops/factored_squares.h"
#include "treadle/ops/recurrent_cells.h"

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> fast_cases() {
  using A = const Arrays&;
  const double eps = 1e-5, scale = 0.4;
  const Input mask{{1, 4, 5, 7}, 0, 2, bool_, false};
  const Input classes{{2, 3}, 0, 5, int32, false};
  auto attend = [scale](A x, std::string_view mode = "", array m = {}) {
    return fast::scaled_dot_product_attention(x[0], x[1], x[2], scale, mode, m);
  };
  auto rotate = [](A x, bool traditional, int dims, int offset) {
    return fast::rope(x[0], dims, traditional, 100.0, 0.5, offset);
  };
  // q, k, v of two examples, four heads in two groups, 5 queries, 7 keys.
  const std::vector<Input> qkv{{{2, 4, 5, 3}}, {{2, 2, 7, 3}}, {{2, 2, 7, 2}}};
  auto with = [&](Input more) {
    std::vector<Input> all = qkv;
    all.push_back(more);
    return all;
  };
  std::vector<OpCase> cases = {
      {"rms_norm",
       [=](A x) { return fast::rms_norm(x[0], x[1], eps); },
       {{{2, 3, 6}}, {{6}}}},
      {"rms_norm_plain",
       [=](A x) { return fast::rms_norm(x[0], {}, eps); },
       {{{6}}}},
      {"layer_norm",
       [=](A x) { return fast::layer_norm(x[0], x[1], x[2], eps); },
       {{{2, 3, 6}}, {{6}}, {{6}}}},
      {"layer_norm_weight",
       [=](A x) { return fast::layer_norm(x[0], x[1], {}, eps); },
       {{{4, 6}}, {{6}}}},
      {"layer_norm_bias",
       [=](A x) { return fast::layer_norm(x[0], {}, x[1], eps); },
       {{{4, 6}}, {{6}}}},
      {"layer_norm_plain",
       [=](A x) { return fast::layer_norm(x[0], {}, {}, eps); },
       {{{6}}}},
      {"group_norm",
       [](A x) { return nn::group_norm(x[0], 2, x[1], x[2]); },
       {{{2, 3, 5, 4}}, {{4}}, {{4}}}},
      {"group_norm_torch",
       [](A x) { return nn::group_norm(x[0], 2, x[1], x[2], 1e-5, true); },
       {{{3, 7, 4}}, {{4}}, {{4}}}},
      {"group_norm_of_channels",
       [](A x) { return nn::group_norm(x[0], 2, x[1], {}); },
       {{{3, 8}}, {{8}}}},
      {"instance_norm",
       // Times something: the sum of its squares alone would be constant.
       [](A x) { return x[3] * nn::instance_norm(x[0], x[1], x[2]); },
       {{{2, 3, 5, 4}}, {{4}}, {{4}}, {{2, 3, 5, 4}}}},
      {"instance_norm_plain",
       [](A x) { return x[1] * nn::instance_norm(x[0], {}, {}); },
       {{{2, 6, 3}}, {{2, 6, 3}}}},
      {"upsample_linear",
       [](A x) {
         return nn::upsample_linear(x[0], {2.0, 1.5});
       },
       {{{2, 3, 4, 5}}}},
      {"upsample_nearest",
       [](A x) {
         return nn::upsample_nearest(x[0], {2.0, 1.5});
       },
       {{{2, 3, 4, 5}}}},
      {"upsample_cubic",
       [](A x) { return nn::upsample_cubic(x[0], {2.0}); },
       {{{1, 2, 3, 3, 18}}},
       16},
      {"adaptive_max_pool",
       [](A x) {
         return nn::adaptive_max_pool(x[0], {3, -1});
       },
       {{{2, 7, 4, 3}}}},
      {"adaptive_avg_pool",
       [](A x) { return nn::adaptive_avg_pool(x[0], {3}); },
       {{{2, 7, 66}}}},
      {"adaptive_avg_pool_2d",
       [](A x) {
         return nn::adaptive_avg_pool(x[0], {3, 7});
       },
       {{{2, 7, 5, 3}}}},
      {"rope", [=](A x) { return rotate(x, false, 8, 3); }, {{{2, 2, 3, 8}}}},
      {"rope_traditional",
       [=](A x) { return rotate(x, true, 8, 3); },
       {{{2, 2, 3, 8}}}},
      {"rope_part", [=](A x) { return rotate(x, false, 4, 0); }, {{{2, 3, 6}}}},
      {"rope_traditional_part",
       [=](A x) { return rotate(x, true, 4, 1); },
       {{{2, 2, 1, 3, 6}}}},
      {"rope_blocks",
       [=](A x) { return rotate(x, false, 36, 3); },
       {{{2, 20, 35, 40}}}},
      {"rope_traditional_blocks",
       [=](A x) { return rotate(x, true, 36, 3); },
       {{{2, 20, 35, 40}}}},
      {"rope_offsets",
       [](A x) {
         return fast::rope(x[0], 4, false, 100.0, 1.0, array({2, 5}));
       },
       {{{2, 2, 3, 4}}}},
      {"rope_freqs",
       [](A x) { return fast::rope(x[0], 4, true, {}, 1.0, 2, x[1]); },
       {{{2, 3, 4}}, {{2}, 1, 3}}},
      {"attention", [=](A x) { return attend(x); }, qkv},
      {"attention_causal", [=](A x) { return attend(x, "causal"); }, qkv},
      {"attention_causal_more_queries",
       [=](A x) { return attend(x, "causal"); },
       {{{1, 2, 5, 3}}, {{1, 2, 3, 3}}, {{1, 2, 3, 3}}}},
      {"attention_boolean",
       [=](A x) { return attend(x, "array", x[3]); },
       with(mask)},
      {"attention_additive",
       [=](A x) { return attend(x, "array", x[3]); },
       with({{2, 4, 5, 7}})},
      {"attention_additive_keys",
       [=](A x) { return attend(x, "array", x[3]); },
       with({{7}})},
      {"attention_sinks",
       [=](A x) {
         return fast::scaled_dot_product_attention(
             x[0], x[1], x[2], scale, "causal", {}, x[3]);
       },
       with({{4}})},
      {"attention_one_query",
       [=](A x) { return attend(x); },
       {{{2, 4, 1, 3}}, {{2, 2, 7, 3}}, {{2, 2, 7, 2}}}},
      {"cross_entropy",
       [](A x) { return fast::cross_entropy(x[0], x[1]); },
       {{{2, 3, 5}}, classes}},
      {"cross_entropy_smoothed",
       [](A x) { return fast::cross_entropy(x[0], x[1], 0.1); },
       {{{2, 3, 5}}, classes}},
      {"cross_entropy_one_row",
       [](A x) { return fast::cross_entropy(x[0], x[1]); },
       {{{5}}, {{}, -5, 5, int32, false}}},
      {"factored_squares",
       [](A x) {
         return concatenate(factored_squares(x[0], x[1], x[2], 1e-3), -1);
       },
       {{{2, 3, 4}}, {{2, 3}, 0.2, 2}, {{}, 0.1, 0.9}}},
      {"hardswish",
       [](A x) { return nn::hardswish(x[0]); },
       {{{3, 40}, -5, 5}}},
      // All results in one, also those that only gradients read.
      {"lstm_cell",
       [](A x) {
         return concatenate(
             record_all(make_op(LstmCell()), {x[0], x[1], x[2]}, resolve({})));
       },
       {{{2, 3, 8}}, {{2, 3, 8}}, {{2, 3, 2}}}},
      {"lstm_cell_states",
       [](A x) {
         auto [h, c] = lstm_cell(x[0], x[1], x[2]);
         return h + sin(c);
       },
       {{{5, 140}}, {{5, 140}}, {{5, 35}}}},
      {"lstm_cell_grad",
       [](A x) {
         return concatenate(record_all(make_op(LstmCellGrad()), x, resolve({})),
                            -1);
       },
       std::vector<Input>(8, {{3, 5}})},
      {"gru_cell",
       [](A x) {
         return concatenate(
             record_all(make_op(GruCell()), {x[0], x[1], x[2]}, resolve({})));
       },
       {{{2, 3, 6}}, {{2, 3, 6}}, {{2, 3, 2}}}},
  };
  for (OpCase& c : cases) {
    c.cancels = 1;
    // Too many elements for differences of each.
    if (c.name.ends_with("_blocks")) c.gradient = false;
  }
  return cases;
}

}  // namespace treadle::testing
