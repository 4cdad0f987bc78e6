// Case rows of ops that order elements.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> sort_cases() {
  using A = const Arrays&;
  // Elements that are far enough apart to keep their order when one of them is
  // moved: a finite difference across a change of order is no derivative.
  auto apart = [](const array& x) {
    array place = remainder(arange(double(x.size()), int32) * 11, x.size());
    return x + reshape(astype(place * 8, x.dtype()), x.shape());
  };
  std::vector<OpCase> cases = {
      {"sort_last", [=](A x) { return sort(apart(x[0])); }, {{{3, 7}}}},
      {"sort_first", [=](A x) { return sort(apart(x[0]), 0); }, {{{5, 3}}}},
      {"sort_middle", [=](A x) { return sort(apart(x[0]), 1); }, {{{2, 4, 3}}}},
      {"sort_flat", [=](A x) { return sort(apart(x[0]), {}); }, {{{2, 3}}}},
      {"sort_long", [=](A x) { return sort(apart(x[0])); }, {{{2, 30}}}},
      {"partition", [=](A x) { return partition(apart(x[0]), 2); }, {{{3, 7}}}},
      {"topk", [=](A x) { return topk(apart(x[0]), 3, 0); }, {{{6, 3}}}},
      {"median",
       [=](A x) {
         return median(apart(x[0]), {0, 2});
       },
       {{{3, 2, 4}}}},
      {"median_odd",
       [=](A x) { return median(apart(x[0]), -1, true); },
       {{{3, 5}}}},
  };
  const size_t differentiable = cases.size();
  cases.push_back(
      {"argsort_last", [](A x) { return argsort(x[0]); }, {{{3, 7}}}});
  cases.push_back(
      {"argsort_first", [](A x) { return argsort(x[0], 0); }, {{{5, 3}}}});
  cases.push_back(
      {"argpartition", [](A x) { return argpartition(x[0], -2); }, {{{3, 7}}}});
  cases.push_back({"argpartition_long",
                   [](A x) { return argpartition(x[0], -20); },
                   {{{2, 1500}}}});
  cases.push_back({"partition_long",
                   [](A x) { return partition(x[0], 3, 0); },
                   {{{5000, 2}}}});
  cases.push_back(
      {"topk_long", [](A x) { return topk(x[0], 5); }, {{{2, 5000}}}});
  for (const char* side : {"left", "right"}) {
    cases.push_back(
        {std::string("searchsorted_") + side,
         [side](A x) { return searchsorted(sort(x[0]), round(x[1], 1), side); },
         {{{9}}, {{2, 3}}}});
  }
  for (size_t i = differentiable; i < cases.size(); ++i)
    cases[i].gradient = false;
  return cases;
}

}  // namespace treadle::testing
