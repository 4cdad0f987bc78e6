// Schedules against values of MLX 0.32, and as rates of an optimizer.
#include "treadle/optimizers/schedules.h"

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/optimizers/optimizers.h"

namespace treadle::optimizers {
namespace {

using testing::HasSubstr;

struct Case {
  std::string name;
  Schedule schedule;
  std::vector<float> rates;  // after 0, 3, 7, 12 and 40 steps
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Case kCases[] = {
    {"exponential",
     exponential_decay(0.1, 0.9),
     {0.1f, 0.07289999f, 0.047829684f, 0.028242946f, 0.001478087f}},
    {"exponential in twenty steps",
     exponential_decay(0.1, 0.9, 20),
     {0.1f, 0.09843202f, 0.09637955f, 0.09387404f, 0.081f}},
    {"step",
     step_decay(0.1, 0.9, 5),
     {0.1f, 0.1f, 0.089999996f, 0.080999993f, 0.043046713f}},
    {"cosine",
     cosine_decay(0.1, 20, 0.01),
     {0.1f, 0.095095292f, 0.075429574f, 0.041094232f, 0.01f}},
    {"linear",
     linear_schedule(0.01, 0.1, 10),
     {0.01f, 0.037f, 0.072999991f, 0.099999994f, 0.099999994f}},
    {"joined",
     join_schedules({linear_schedule(0, 0.1, 5), cosine_decay(0.1, 20)}, {5}),
     {0, 0.059999999f, 0.097552828f, 0.072699532f, 0}},
};

class ScheduleValues : public testing::TestWithParam<Case> {};

TEST_P(ScheduleValues, AreThoseOfMlx) {
  const int steps[] = {0, 3, 7, 12, 40};
  for (size_t i = 0; i < 5; ++i) {
    array rate = GetParam().schedule(array(Scalar(steps[i]), uint64));
    EXPECT_EQ(rate.dtype(), float32);
    EXPECT_NEAR(rate.item<float>(), GetParam().rates[i], 1e-8)
        << "after " << steps[i] << " steps";
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScheduleValues, testing::ValuesIn(kCases));

TEST(Schedules, SetTheRateOfAnOptimizer) {
  SGD optimizer(linear_schedule(1, 0, 4));
  Tree w(array(0.0f)), g(array(1.0f));
  for (float expected : {-1.0f, -1.75f, -2.25f}) {
    w = optimizer.apply_gradients(Tree::map({{"w", g}}), Tree::map({{"w", w}}))
            .at("w");
    EXPECT_FLOAT_EQ(w.leaf().item<float>(), expected);
  }
}

template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(Schedules, RefuseWrongArguments) {
  EXPECT_THAT(message_of([] { step_decay(0.1, 0.9, 0); }),
              HasSubstr("[step_decay] step_size is 0"));
  EXPECT_THAT(message_of([] { cosine_decay(0.1, -1); }),
              HasSubstr("[cosine_decay] decay_steps is -1"));
  EXPECT_THAT(message_of([] { linear_schedule(0, 1, 0); }),
              HasSubstr("[linear_schedule] steps is 0"));
  EXPECT_THAT(message_of([] { exponential_decay(0, 1, 0); }),
              HasSubstr("[exponential_decay] decay_steps is 0"));
  EXPECT_THAT(
      message_of([] { join_schedules({linear_schedule(0, 1, 2)}, {1}); }),
      HasSubstr("1 schedules and 1 boundaries"));
}

}  // namespace
}  // namespace treadle::optimizers
