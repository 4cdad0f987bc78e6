// An op that the library does not know: its rules and its kernel live here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/ops/derive.h"
#include "treadle/runtime/kernel.h"
#include "treadle/treadle.h"

#include "tests/support/op_check.h"

namespace treadle {
namespace {

// y = scale * x^3, with a kernel of its own.
struct ScaledCube : OpBase<ScaledCube> {
  static constexpr std::string_view op_name = "scaled_cube";
  double scale = 1;
  auto fields() const { return std::tie(scale); }

  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays jvp(const Arrays& x,
             const Arrays&,
             const Arrays& t,
             Argnums) const override {
    return {t[0] * square(x[0]) * (3 * scale)};
  }
  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums) const override {
    return {ct[0] * square(x[0]) * (3 * scale)};
  }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    return {{record(*this, {x[0]}, resolve({}))}, {axes[0]}};
  }
};

std::string floats_only(const Op&,
                        std::span<const Spec> in,
                        std::span<const Spec>) {
  return in[0].dtype == float32 || in[0].dtype == float64
             ? ""
             : "only float32 and float64";
}

void run_scaled_cube(const runtime::Task& task) {
  double scale = static_cast<const ScaledCube&>(task.op).scale;
  const runtime::Operand &x = task.in[0], &y = task.out[0];
  for (int64_t i = 0; i < size_of(x.shape); ++i) {
    if (x.dtype == float32) {
      float v = static_cast<const float*>(x.data)[i];
      static_cast<float*>(y.data)[i] = float(scale * v * v * v);
    } else {
      double v = static_cast<const double*>(x.data)[i];
      static_cast<double*>(y.data)[i] = scale * v * v * v;
    }
  }
}

array scaled_cube(const array& x, double scale) {
  static const bool listed = [] {
    runtime::Kernel kernel;
    kernel.name = "user::scaled_cube";
    kernel.why_not = floats_only;
    kernel.run = run_scaled_cube;
    runtime::kernel_table(Device::Type::cpu).add<ScaledCube>({kernel});
    return true;
  }();
  (void)listed;
  ScaledCube op;
  op.scale = scale;
  return record(std::move(op), {x}, resolve({}));
}

// A composite needs two rules only.
struct Softplus : Composite<Softplus> {
  static constexpr std::string_view op_name = "softplus";
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override { return {logaddexp(x[0], 0)}; }
};
array softplus(const array& x) {
  if (!is_floating(x.dtype())) throw std::invalid_argument("expected a float");
  return record(Softplus{}, {x}, resolve({}));
}

TEST(UserOp, WithAKernelOfItsOwnPassesAllChecks) {
  testing::OpCase c;
  c.name = "scaled_cube";
  c.f = [](const Arrays& x) { return scaled_cube(x[0], 0.5) + 1.0; };
  c.inputs = {{{3, 4}}};
  testing::check_every_dtype(c);
  testing::check_strided_inputs(c);
  testing::check_vmap_against_loop(c);
  testing::check_compiled(c);
  testing::check_gradient(c);
  testing::check_jvp_against_vjp(c);
}

TEST(UserOp, AKernelThatRefusesSaysWhy) {
  try {
    scaled_cube(astype(array(1.0f), int32), 1);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(std::string(e.what()),
                ::testing::HasSubstr("only float32 and float64"));
  }
}

TEST(UserOp, AnExpansionThatIsNotWhatTheShapeRuleSaysIsAnError) {
  array y = record(Softplus{}, {array({1, 2})}, resolve({}));
  try {
    y.eval();
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(),
                 "[softplus] expands to float32 (2,); its shape rule says "
                 "int32 (2,).");
  }
}

TEST(UserOp, ACompositePassesAllChecks) {
  testing::OpCase c;
  c.name = "softplus";
  c.f = [](const Arrays& x) { return softplus(x[0]); };
  c.inputs = {{{3, 4}}};
  testing::check_all(c);
}

}  // namespace
}  // namespace treadle
