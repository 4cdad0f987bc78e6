#include "treadle/runtime/explain.h"

#include "treadle/plan/plan.h"
#include "treadle/runtime/eval.h"

namespace treadle {

std::string plan_text(std::span<const array> arrays) {
  std::string out;
  runtime::for_each_plan(arrays,
                         [&](const plan::Plan& plan, const plan::Program& p) {
                           out += plan::to_string(plan, p);
                         });
  return out;
}

std::string plan_dot(std::span<const array> arrays) {
  std::string out;
  runtime::for_each_plan(arrays,
                         [&](const plan::Plan& plan, const plan::Program& p) {
                           out += plan::to_dot(plan, p);
                         });
  return out;
}

}  // namespace treadle
