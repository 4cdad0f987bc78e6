// Values that their readers compute again: what is chosen, and that results do
// not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/runtime/explain.h"
#include "treadle/runtime/interpreter.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

using ::testing::HasSubstr;

array ramp(const Shape& shape) {
  std::vector<float> v(size_t(size_of(shape)));
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = float(int(i * 37 % 101) - 50) / 16;
  }
  return array::from(v.data(), shape);
}

// Full-size outputs of all steps.
int full_outputs(const std::string& text, const std::string& shape) {
  int n = 0;
  const std::string wanted = "float32 " + shape;
  for (size_t at = 0; (at = text.find("      out ", at)) != std::string::npos;
       ++at) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    n += line.find(wanted) != std::string::npos;
  }
  return n;
}

std::vector<float> values(const array& x) {
  array y = contiguous(x);
  y.eval();
  const float* p = y.data<float>();
  return {p, p + y.size()};
}

// The sum over the rows splits a batch normalisation into tapes; what the later
// ones need of the earlier follows from x.
array normalised(const array& x) {
  array centred = x - mean(x, {0});
  return centred * rsqrt(mean(square(centred), {0}) + 1e-5f);
}

TEST(Recompute, ACentredValueIsNotStoredBetweenTwoTapes) {
  array x = ramp({64, 16});
  array y = normalised(x);
  EXPECT_EQ(full_outputs(plan_text({&y, 1}), "(64, 16)"), 1)
      << plan_text({&y, 1});
}

TEST(Recompute, ResultsStayTheSameBitForBit) {
  auto gradient = [](const array& x) {
    return vjp(
               [](const Arrays& a) {
                 return Arrays{maximum(normalised(a[0]) * a[0], 0)};
               },
               {x},
               {ramp({64, 16})})
        .second[0];
  };
  array x = ramp({64, 16});
  const std::vector<float> got = values(gradient(x));
  runtime::PlanningScope off(false);
  const std::vector<float> want = values(gradient(ramp({64, 16})));
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-5f * (1 + std::abs(want[i]))) << i;
  }
}

TEST(Recompute, AnExpensiveValueIsStored) {
  array x = ramp({64, 16});
  array t = tanh(x);
  array y = t - mean(t, {0});
  t = array();
  EXPECT_EQ(full_outputs(plan_text({&y, 1}), "(64, 16)"), 2)
      << plan_text({&y, 1});
}

TEST(Recompute, AValueThatAKernelReadsIsStored) {
  array x = ramp({16, 16});
  array t = x + 1.0f;
  array y = matmul(t, t) + (t - mean(t, {0}));
  t = array();
  EXPECT_EQ(full_outputs(plan_text({&y, 1}), "(16, 16)"), 3)
      << plan_text({&y, 1});
}

TEST(Recompute, AValueThatSomebodyHoldsThroughAViewIsStored) {
  array x = ramp({64, 16});
  array t = x + x;
  array seen = transpose(t);
  array y = t - mean(t, {0});
  t = array();
  const Arrays both = {seen, y};
  eval(both);
  EXPECT_EQ(values(seen)[1], 2 * values(x)[16]);
}

}  // namespace
}  // namespace treadle
