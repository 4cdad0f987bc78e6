// Vector code of the integer rows; powers are scalar, and division of 64 bits.
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/rows_int.cpp"
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
    return plan::takes_lane(rule, plan::Lane::i32) && !is_division(row);
  }
};

struct CoversShort {
  static constexpr bool has(Row row) {
    return Covers::has(row) || row == Row::floor_divide ||
           row == Row::remainder;
  }
};

// Truth values live in u32.
struct CoversLogical {
  static constexpr bool has(Row row) {
    return CoversShort::has(row) || info(row).rule == Rule::logical;
  }
};

void fill(LaneTable* t) {
  fill_rows<int32_t, CoversShort>(t, plan::Lane::i32);
  fill_rows<int64_t, Covers>(t, plan::Lane::i64);
  fill_rows<uint32_t, CoversLogical>(t, plan::Lane::u32);
  fill_rows<uint64_t, Covers>(t, plan::Lane::u64);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_integer_rows(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
