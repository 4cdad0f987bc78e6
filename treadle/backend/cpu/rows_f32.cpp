// Vector code of the rows that work in float.
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/rows_f32.cpp"
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
    return plan::takes_lane(rule, plan::Lane::f32) && !is_wide(row);
  }
};

void fill(LaneTable* t) { fill_rows<float, Covers>(t, plan::Lane::f32); }

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_float_rows(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
