// Vector code of the double rows that need no series; the others are scalar
// calls of std::, which are good to an ULP.
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/rows_f64.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/rows-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

struct Covers {
  static constexpr bool has(Row row) {
    const Rule rule = info(row).rule;
    return plan::takes_lane(rule, plan::Lane::f64) && !is_function(row);
  }
};

void fill(LaneTable* t) { fill_rows<double, Covers>(t, plan::Lane::f64); }

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_double_rows(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
