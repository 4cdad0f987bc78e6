// Case rows of running sums, products, maxima, minima and log-sum-exps.
#pragma once

#include <string>
#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> cumulative_cases() {
  struct Function {
    std::string name;
    array (*f)(const array&, std::optional<int>, bool, bool, StreamOrDevice);
  };
  std::vector<OpCase> cases;
  for (const Function& each : {Function{"cumsum", cumsum},
                               {"cumprod", cumprod},
                               {"cummax", cummax},
                               {"cummin", cummin},
                               {"logcumsumexp", logcumsumexp}}) {
    for (int way = 0; way < 4; ++way) {
      bool reverse = way & 1, inclusive = !(way & 2);
      std::string name = each.name + (reverse ? "_reverse" : "") +
                         (inclusive ? "" : "_exclusive");
      auto f = each.f;
      // Sums do not cancel, or their error would show.
      double low = f == cumsum || f == logcumsumexp ? 0.2 : -2;
      auto walk = [=](std::optional<int> axis) {
        return [=](const Arrays& x) {
          array y = f(x[0], axis, reverse, inclusive, {});
          // Where nothing has been met yet: infinities have no differences.
          return select(less(abs(y), 1e30), y, 0);
        };
      };
      cases.push_back({name + "_last", walk(-1), {{{2, 7}, low, 2}}, 16});
      cases.push_back({name + "_first", walk(0), {{{5, 3}, low, 2}}, 16});
      if (way == 0)
        cases.push_back({name + "_flat", walk({}), {{{2, 3}, low, 2}}, 16});
    }
  }
  return cases;
}

}  // namespace treadle::testing
