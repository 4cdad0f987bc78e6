// Puts the tables together.
#include "treadle/backend/cpu/lane_table.h"

#include <memory>

#include "treadle/backend/cpu/simd_targets.h"

#include "hwy/highway.h"

namespace treadle::backend::cpu {
namespace {

LaneTable make_scalar() {
  LaneTable t = {};
  fill_scalar_rows(&t);
  fill_scalar_moves(&t);
  return t;
}

LaneTable make_fast() {
  LaneTable t = scalar_table();
  fill_float_rows(&t);
  fill_float_functions(&t);
  fill_double_rows(&t);
  fill_integer_rows(&t);
  fill_chains(&t);
  fill_moves(&t);
  fill_reductions(&t);
  return t;
}

LaneTable& fast() {
  static LaneTable t = make_fast();
  return t;
}

}  // namespace

const LaneTable& scalar_table() {
  static const LaneTable t = make_scalar();
  return t;
}

const LaneTable& lane_table() { return fast(); }

bool use_target(SimdTarget target) {
  constexpr int64_t targets[] = {0, HWY_AVX2, HWY_SSE4};
  const int64_t wanted = targets[static_cast<int>(target)];
  hwy::SetSupportedTargetsForTest(0);
  const bool known = wanted == 0 || (hwy::SupportedTargets() & wanted) != 0;
  if (known) hwy::SetSupportedTargetsForTest(wanted);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  fast() = make_fast();
  return known;
}

}  // namespace treadle::backend::cpu
