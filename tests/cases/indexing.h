// Case rows of ops that read and write at index arrays, arg reductions,
// softmax.
#pragma once

#include <vector>

#include "treadle/ops/at.h"

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> indexing_cases() {
  using A = const Arrays&;
  // Indices of an axis of length 4, negative ones too; several meet.
  auto at = [](Shape shape) { return Input{std::move(shape), -4, 4, int32}; };
  auto scattered = [](ScatterMode mode, int axis) {
    return [mode, axis](A x) { return scatter(x[0], x[1], x[2], axis, mode); };
  };
  auto along = [](ScatterMode mode, int axis) {
    return [mode, axis](A x) {
      return scatter_along_axis(x[0], x[1], x[2], axis, mode);
    };
  };
  std::vector<OpCase> cases = {
      {"take_first",
       [](A x) { return take(x[0], x[1], 0); },
       {{{4, 3}}, at({5})}},
      {"take_last",
       [](A x) { return take(x[0], x[1], -1); },
       {{{3, 4}}, at({2, 3})}},
      {"take_middle",
       [](A x) { return take(x[0], x[1], 1); },
       {{{2, 4, 3}}, at({2, 5})}},
      {"take_one", [](A x) { return take(x[0], x[1], 0); }, {{{4, 3}}, at({})}},
      {"take_flat", [](A x) { return take(x[0], x[1]); }, {{{2, 2}}, at({3})}},
      {"take_along_last",
       [](A x) { return take_along_axis(x[0], x[1], -1); },
       {{{3, 4}}, at({3, 6})}},
      {"take_along_first",
       [](A x) { return take_along_axis(x[0], x[1], 0); },
       {{{4, 3}}, at({2, 3})}},
      {"take_along_broadcast",
       [](A x) { return take_along_axis(x[0], x[1], 1); },
       {{{3, 4, 1}}, at({1, 2, 5})}},
      {"at_two",
       [](A x) {
         return treadle::at(x[0], {At(x[1]), At(x[2])});
       },
       {{{4, 4, 2}}, at({5}), at({3, 1})}},
      {"at_two_with_an_axis_between",
       [](A x) {
         return treadle::at(x[0], {At(x[1]), At(treadle::Range{}), At(x[2])});
       },
       {{{4, 3, 4}}, at({5}), at({5})}},
      {"scatter_add",
       scattered(ScatterMode::add, 0),
       {{{4, 3}}, at({6}), {{6, 3}}}},
      {"scatter_add_middle",
       scattered(ScatterMode::add, 1),
       {{{2, 4, 3}}, at({2, 3}), {{2, 2, 3, 3}}}},
      {"scatter_assign",
       scattered(ScatterMode::assign, 0),
       {{{4, 3}}, at({6}), {{6, 3}}}},
      {"scatter_assign_last",
       scattered(ScatterMode::assign, -1),
       {{{3, 4}}, at({2, 3}), {{3, 2, 3}}}},
      {"scatter_along_add",
       along(ScatterMode::add, 1),
       {{{3, 4}}, at({3, 6}), {{3, 6}}}},
      {"scatter_along_assign",
       along(ScatterMode::assign, 0),
       {{{4, 3}}, at({6, 3}), {{6, 3}}}},
      {"put_along_axis",
       [](A x) { return put_along_axis(x[0], x[1], x[2], -1); },
       {{{3, 4}}, at({3, 2}), {{1, 2}}}},
      {"softmax_last", [](A x) { return softmax(x[0], -1); }, {{{3, 5}}}, 16},
      {"softmax_first", [](A x) { return softmax(x[0], 0); }, {{{3, 5}}}, 16},
      {"softmax_two",
       [](A x) {
         return softmax(x[0], {0, 2});
       },
       {{{2, 3, 2}}},
       16},
      {"softmax_all", [](A x) { return softmax(x[0]); }, {{{2, 3}}}, 16},
      {"softmax_precise",
       [](A x) { return softmax(x[0], -1, true); },
       {{{3, 5}}},
       16},
      {"log_softmax",
       [](A x) { return log_softmax(x[0], -1); },
       {{{3, 5}}},
       16},
  };
  cases.push_back(
      {"segmented_mm",
       [](A x) {
         return segmented_mm(x[0], x[1], array({0, 2, 2, 5}, {2, 2}));
       },
       {{{3, 5}}, {{5, 4}}},
       32});
  cases.push_back({"segmented_mm_overlapping",
                   [](A x) {
                     return segmented_mm(
                         x[0], x[1], array({4, 6, 0, 5, 3, 1, 1, 9}, {4, 2}));
                   },
                   {{{3, 7}}, {{7, 4}}},
                   32});
  cases.push_back(
      {"gather_mm_rows",  // neighbours that become one product
       [](A x) {
         return gather_mm(x[0], x[1], array(), array({0, 0, 0, 2, 2, 0}), true);
       },
       {{{6, 1, 4}}, {{3, 4, 2}}},
       32});
  cases.push_back({"gather_mm_turned",
                   [](A x) {
                     return gather_mm(swapaxes(x[0], -1, -2),
                                      swapaxes(x[1], 0, 2),
                                      array({1, 0, 1, -1}),
                                      array({2, 0}, {2, 1}));
                   },
                   {{{2, 4, 3}}, {{5, 4, 3}}},
                   32});
  cases.push_back(
      {"gather_mm",
       [](A x) {
         return gather_mm(x[0], x[1], array({0, 1, 1}), array({2, 0, 2}));
       },
       {{{2, 3, 4}}, {{3, 4, 2}}},
       32});
  cases.push_back(
      {"block_masked_mm",
       [](A x) { return block_masked_mm(x[0], x[1], 32, x[2], x[3], x[4]); },
       {{{40, 33}}, {{33, 5}}, {{2, 1}}, {{2, 2}}, {{2, 1}}},
       256,
       true,
       true,
       true,
       1});
  cases.push_back({"hadamard_transform",
                   [](A x) { return hadamard_transform(x[0]); },
                   {{{3, 24}}},
                   32});
  cases.push_back(
      {"gated_delta_update",
       [](A x) {
         return fast::gated_delta_update(x[0], x[1], x[2], x[3], x[4]).first;
       },
       {{{1, 3, 1, 2}, -1, 1},
        {{1, 3, 1, 2}, -1, 1},
        {{1, 3, 2, 4}},
        {{1, 3, 2}, 0.1, 1},
        {{1, 3, 2}, 0.1, 1}},
       64,
       false});
  cases.push_back({"unique",
                   [](A x) { return unique(round(x[0]), 6).values; },
                   {{{3, 4}}}});
  cases.back().gradient = false;
  cases.push_back({"flatnonzero",
                   [](A x) { return flatnonzero(x[0] > 0, 5, -1); },
                   {{{3, 4}}}});
  cases.back().gradient = false;
  cases.push_back({"to_fp8", [](A x) { return to_fp8(x[0]); }, {{{3, 4}}}});
  cases.back().gradient = false;
  for (ScatterMode mode :
       {ScatterMode::multiply, ScatterMode::maximum, ScatterMode::minimum}) {
    OpCase c{"scatter_" + std::string(name_of(mode)),
             scattered(mode, 0),
             {{{4, 3}}, at({6}), {{6, 3}}}};
    cases.push_back(std::move(c));
    cases.push_back({"scatter_along_" + std::string(name_of(mode)),
                     along(mode, 1),
                     {{{3, 4}}, at({3, 6}), {{3, 6}}}});
  }
  for (int axis : {0, 1}) {
    std::string n = axis ? "last" : "first";
    cases.push_back({"argmax_" + n,
                     [axis](A x) { return argmax(x[0], axis); },
                     {{{4, 5}}}});
    cases.push_back({"argmin_" + n,
                     [axis](A x) { return argmin(x[0], axis, true); },
                     {{{4, 5}}}});
    for (size_t i = cases.size() - 2; i < cases.size(); ++i)
      cases[i].gradient = false;
  }
  return cases;
}

}  // namespace treadle::testing
