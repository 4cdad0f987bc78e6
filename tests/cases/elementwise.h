// Case rows of elementwise.def: made from the table, with the range where each
// row is smooth.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "treadle/ops/elementwise.h"

#include "tests/support/op_check.h"

namespace treadle::testing {

struct Range {
  double low, high;
};

inline Range range_of(std::string_view row) {
  static const std::map<std::string_view, Range> ranges = {
      {"sqrt", {0.2, 4}},
      {"rsqrt", {0.2, 4}},
      {"log", {0.2, 4}},
      {"log2", {0.2, 4}},
      {"log10", {0.2, 4}},
      {"log1p", {-0.7, 4}},
      {"arcsin", {-0.9, 0.9}},
      {"arccos", {-0.9, 0.9}},
      {"arctanh", {-0.9, 0.9}},
      {"arccosh", {1.2, 4}},
      {"erfinv", {-0.9, 0.9}},
      {"reciprocal", {0.3, 3}},
      {"abs", {0.1, 2}},
      {"divide", {0.3, 3}},
      {"power", {0.3, 2}},
      {"remainder", {1.1, 1.9}},
      {"floor_divide", {1.1, 1.9}},
      {"tan", {-1.2, 1.2}},
      {"arctan2", {0.3, 2}},
      {"left_shift", {0, 7}},
      {"right_shift", {0, 7}},
  };
  auto it = ranges.find(row);
  return it == ranges.end() ? Range{-2, 2} : it->second;
}

inline std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> cases;
  for (int i = 0; i < kNumRows; ++i) {
    Row row = static_cast<Row>(i);
    const RowInfo& r = info(row);
    Range range = range_of(r.name);
    OpCase c;
    c.name = std::string(r.name);
    c.f = [row](const Arrays& x) {
      std::vector<Term> terms(x.begin(), x.end());
      return apply_row(row, terms);
    };
    Input in{{3, 4}, range.low, range.high};
    if (r.rule == Rule::integer) in.dtype = int32;
    c.inputs.assign(size_t(r.arity), in);
    if (r.name == "select") c.inputs[0] = Input{{3, 4}, 0, 2, bool_, false};
    // Broadcasting: the last input is one row.
    if (r.arity > 1) c.inputs.back().shape = {4};
    c.gradient = r.rule != Rule::integer && r.rule != Rule::compare &&
                 r.rule != Rule::logical && r.name != "floor" &&
                 r.name != "ceil" && r.name != "rint" && r.name != "sign" &&
                 r.name != "floor_divide";
    c.ulps = 8;
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace treadle::testing
