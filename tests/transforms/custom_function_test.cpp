// custom_function: the user's rules are asked, and those left out are derived.
#include "treadle/transforms/custom_function.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

Arrays square_of(const Arrays& x) { return {square(x[0])}; }

TEST(CustomFunction, IsTheFunctionWithoutATransform) {
  const ArraysFn f = custom_function(square_of, {});
  EXPECT_EQ(f({array({2.0f, 3.0f})})[0].to_vector<float>(),
            (std::vector<float>{4, 9}));
}

TEST(CustomFunction, RulesThatAreLeftOutAreDerived) {
  const array x({1.0f, 2.0f});
  const ArraysFn f = custom_function(square_of, {});
  auto g = grad([&](const array& v) { return sum(f({v})[0]); });
  EXPECT_EQ(g(x).to_vector<float>(), (std::vector<float>{2, 4}));
  EXPECT_EQ(jvp(f, {x}, {ones_like(x)}).second[0].to_vector<float>(),
            (std::vector<float>{2, 4}));
  EXPECT_EQ(vmap(f)({x})[0].to_vector<float>(), (std::vector<float>{1, 4}));
}

TEST(CustomFunction, ItsOwnRulesAreAsked) {
  CustomRules rules;
  rules.vjp = [](const Arrays& x, const Arrays& ct, const Arrays& y) {
    return Arrays{ct[0] * 100 + x[0] + y[0]};
  };
  rules.jvp = [](const Arrays&, const Arrays& t) { return Arrays{t[0] * 7}; };
  rules.vmap = [](const Arrays& x, const std::vector<int>& axes) {
    return Mapped{{x[0] * 1000}, {axes[0]}};
  };
  const ArraysFn f = custom_function(square_of, rules);
  const array x({1.0f, 2.0f});
  auto g = grad([&](const array& v) { return sum(f({v})[0] * 2); });
  EXPECT_EQ(g(x).to_vector<float>(), (std::vector<float>{202, 206}));
  auto compiled = compile([&](const Arrays& a) { return Arrays{g(a[0])}; });
  EXPECT_EQ(compiled({x})[0].to_vector<float>(),
            (std::vector<float>{202, 206}));
  auto gradient_of_compiled =
      grad([&, c = compile(f)](const array& v) { return sum(c({v})[0] * 2); });
  EXPECT_EQ(gradient_of_compiled(x).to_vector<float>(),
            (std::vector<float>{202, 206}));
  EXPECT_EQ(jvp(f, {x}, {ones_like(x)}).second[0].to_vector<float>(),
            (std::vector<float>{7, 7}));
  EXPECT_EQ(vmap(f)({x})[0].to_vector<float>(),
            (std::vector<float>{1000, 2000}));
}

TEST(CustomFunction, TheRuleItselfHasDerivatives) {
  CustomRules rules;
  rules.vjp = [](const Arrays& x, const Arrays& ct, const Arrays&) {
    return Arrays{ct[0] * x[0] * x[0] * x[0]};
  };
  const ArraysFn f = custom_function(square_of, rules);
  auto g = grad([&](const array& v) { return sum(f({v})[0]); });
  auto second = grad([&](const array& v) { return sum(g(v)); });
  EXPECT_EQ(second(array({2.0f})).to_vector<float>(), (std::vector<float>{12}));
}

TEST(CustomFunction, RulesLiveNoLongerThanTheyCanBeAsked) {
  std::weak_ptr<int> alive;
  array kept;
  {
    auto token = std::make_shared<int>(1);
    alive = token;
    CustomRules rules;
    rules.vjp = [token](const Arrays&, const Arrays& ct, const Arrays&) {
      return ct;
    };
    const ArraysFn f = custom_function(square_of, rules);
    kept = grad([&](const array& v) { return sum(f({v})[0]); })(
        array({1.0f, 2.0f}));
  }
  EXPECT_TRUE(alive.expired()) << "an array holds the user's function";
  EXPECT_EQ(kept.to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(CustomFunction, WrongRulesAreNamed) {
  const array x({1.0f, 2.0f});
  auto gradient = [&](CustomRules rules) {
    const ArraysFn f = custom_function(square_of, std::move(rules));
    return grad([&](const array& v) { return sum(f({v})[0]); })(x);
  };
  CustomRules none, shape;
  none.vjp = [](const Arrays&, const Arrays&, const Arrays&) {
    return Arrays{};
  };
  shape.vjp = [](const Arrays&, const Arrays&, const Arrays&) {
    return Arrays{array(1.0f)};
  };
  EXPECT_THROW(gradient(none), std::invalid_argument);
  EXPECT_THROW(gradient(shape), std::invalid_argument);
}

TEST(Depends, KeepsItsInputsAndTheirGradients) {
  const array x({1.0f, 2.0f}), y({5.0f});
  EXPECT_EQ(depends({x}, {y * 2})[0].to_vector<float>(),
            (std::vector<float>{1, 2}));
  auto g =
      grad([&](const array& v) { return sum(depends({v * 3}, {v * 100})[0]); });
  EXPECT_EQ(g(x).to_vector<float>(), (std::vector<float>{3, 3}));
}

}  // namespace
}  // namespace treadle
