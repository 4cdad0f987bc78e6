// The CUDA printer of tapes, as far as a machine without a GPU can tell: every
// source is accepted by NVRTC, and depends on what it may depend on.
// tools/gpu_smoke runs the same tapes on a GPU.
#include "treadle/backend/cuda/tape_source.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/backend/cuda/tape_launch.h"

#include "tests/cuda_check/nvrtc.h"
#include "tests/cuda_check/tapes.h"

namespace treadle::cuda_check {
namespace {

using backend::cuda::Access;
using backend::cuda::launch_of;
using backend::cuda::LayoutClass;
using backend::cuda::Outer;
using backend::cuda::tape_source;
using backend::cuda::TapeLaunch;
using plan::Lane;
using plan::Tape;
using runtime::Operand;
using testing::HasSubstr;
using testing::Not;

LayoutClass layout_of(const Tape& tape,
                      Access access,
                      Outer outer,
                      bool vector) {
  LayoutClass l;
  l.operands.assign(tape.operands.size(), access);
  l.outer = outer;
  l.vector = vector;
  return l;
}

// Addresses are only compared and taken modulo 16 here, never read.
Operand operand_at(uintptr_t address,
                   Dtype t,
                   const Shape& shape,
                   const Strides& strides) {
  Operand x;
  x.data = reinterpret_cast<void*>(address);
  x.dtype = t;
  x.shape = shape;
  x.strides = strides;
  x.contiguous = is_row_contiguous(shape, strides);
  return x;
}
Operand contiguous(Dtype t, const Shape& shape, uintptr_t address = 0x1000) {
  return operand_at(address, t, shape, row_major_strides(shape));
}

TapeLaunch launch_on(const Tape& tape,
                     const Shape& space,
                     const std::vector<Operand>& in,
                     uintptr_t out_address = 0x1000) {
  std::vector<Operand> out;
  const int cut = int(space.size()) - tape.inner_axes;
  for (const plan::TapeOutput& o : tape.outputs) {
    Shape shape = space;
    if (o.form == plan::OutputForm::row)
      shape = Shape(space.begin(), space.begin() + cut);
    if (o.form == plan::OutputForm::column)
      shape = Shape(space.begin() + cut, space.end());
    out.push_back(contiguous(o.dtype, shape, out_address));
  }
  return launch_of(tape, space, in, out);
}

struct Case {
  std::string name;
  Tape tape;
  LayoutClass layout;
};

std::vector<Case> every_tape_in_every_layout() {
  std::vector<Case> cases;
  for (auto& [name, tape] : all_tapes()) {
    const bool rows = tape.inner_axes > 0;
    const Outer one = rows ? Outer::axis : Outer::none;
    cases.push_back(
        {name + "_elements", tape, layout_of(tape, Access::dense, one, false)});
    if (name.starts_with("all_rows"))
      continue;  // the vocabulary: once is enough
    cases.push_back(
        {name + "_vectors", tape, layout_of(tape, Access::dense, one, true)});
    LayoutClass outer = layout_of(tape, Access::dense, Outer::axes, true);
    outer.operands.back() = Access::repeated;
    cases.push_back({name + "_outer_strides", tape, outer});
    LayoutClass strided = layout_of(tape, Access::strided, one, false);
    strided.wide = true;
    cases.push_back({name + "_strided", tape, strided});
  }
  return cases;
}

class EveryTape : public testing::TestWithParam<Case> {};

TEST_P(EveryTape, CompilesWithoutAWarning) {
  const Compiled c = compile(tape_source(GetParam().tape, GetParam().layout));
  EXPECT_TRUE(c.ok);
  EXPECT_EQ(c.log, "");
  EXPECT_FALSE(c.cubin.empty());
}

INSTANTIATE_TEST_SUITE_P(TapeSource,
                         EveryTape,
                         testing::ValuesIn(every_tape_in_every_layout()),
                         [](const auto& c) { return c.param.name; });

TEST(TapeSource, TheTapesOfTheseTestsAreSound) {
  for (auto& [name, tape] : all_tapes())
    EXPECT_NO_THROW(plan::check(tape)) << name;
}

TEST(TapeSource, EveryRowIsPrintedForEveryLaneThatTakesIt) {
  std::vector<bool> seen(kNumRows, false);
  for (int lane = 0; lane < plan::kNumLanes; ++lane) {
    std::vector<Row> rows;
    const Tape tape = all_rows(Lane(lane), &rows);
    const std::string source =
        tape_source(tape, layout_of(tape, Access::dense, Outer::none, false));
    for (Row r : rows) {
      seen[int(r)] = true;
      EXPECT_THAT(source, HasSubstr("row::" + std::string(info(r).name) + "("));
    }
  }
  for (int i = 0; i < kNumRows; ++i) EXPECT_TRUE(seen[i]) << info(Row(i)).name;
}

TEST(TapeSource, ContiguousElementsMove16BytesAtATime) {
  const Tape f32 = scale_shift_relu(float32), f16 = scale_shift_relu(float16);
  EXPECT_THAT(
      compile(
          tape_source(f32, layout_of(f32, Access::dense, Outer::none, true)))
          .ptx,
      testing::AllOf(HasSubstr("ld.global.v4"), HasSubstr("st.global.v4")));
  EXPECT_THAT(
      compile(
          tape_source(f16, layout_of(f16, Access::dense, Outer::none, true)))
          .ptx,
      testing::AllOf(HasSubstr("ld.global.v4"), HasSubstr("st.global.v4")));
  EXPECT_THAT(
      compile(
          tape_source(f32, layout_of(f32, Access::dense, Outer::none, false)))
          .ptx,
      Not(HasSubstr("ld.global.v4")));
}

TEST(TapeSource, AProductAndASumAreRoundedSeparately) {
  const Tape tape = scale_shift_relu(float32);
  const std::string ptx =
      compile(
          tape_source(tape, layout_of(tape, Access::dense, Outer::none, true)))
          .ptx;
  EXPECT_THAT(ptx, HasSubstr("mul"));
  EXPECT_THAT(ptx, Not(HasSubstr("fma.rn.f32")));
}

TEST(TapeSource, AMalformedTapeIsRefused) {
  Tape later = chain(float32);
  later.values[1].a = 5;
  EXPECT_THROW(
      tape_source(later, layout_of(later, Access::dense, Outer::none, false)),
      std::logic_error);
  const Tape tape = chain(float32);
  EXPECT_THROW(tape_source(tape, LayoutClass{}), std::logic_error);
  EXPECT_THROW(
      tape_source(tape, layout_of(tape, Access::strided, Outer::none, true)),
      std::logic_error);
}

TEST(TapeLaunch, ALengthChangesArgumentsOnly) {
  const Tape tape = softmax(float32);
  LayoutClass first;
  for (int64_t n : {4, 100, 1000, 4096, 100000}) {
    const Shape space = {7, n};
    const TapeLaunch l = launch_on(tape, space, {contiguous(float32, space)});
    if (n == 4) first = l.layout;
    EXPECT_EQ(l.layout, first) << n;
  }
}

TEST(TapeLaunch, TheLengthOfARowPicksAmongTheEntryPoints) {
  const Tape tape = softmax(float32);
  auto entry = [&](int64_t n) {
    const Shape space = {9, n};
    const TapeLaunch l = launch_on(tape, space, {contiguous(float32, space)});
    return l.calls.at(0);
  };
  EXPECT_EQ(entry(512).entry, "group_rows");
  EXPECT_EQ(entry(512).block[0], 32);
  EXPECT_EQ(entry(64).block[0], 4);
  EXPECT_EQ(entry(64).block[1], 32);
  EXPECT_EQ(entry(516).entry, "block_rows");
  EXPECT_EQ(entry(4096).block[0], 256);
  EXPECT_EQ(entry(16384).block[0], 1024);
  EXPECT_EQ(entry(16388).entry, "long_rows");
}

TEST(TapeLaunch, TheLayoutClassFollowsStridesAndAlignment) {
  const Tape tape = scale_shift_relu(float32);
  const Shape s = {10, 64};
  const Operand x = contiguous(float32, s);
  const Operand scalar = operand_at(0x1004, float32, s, {0, 0});
  const Operand column = operand_at(0x1010, float32, s, {0, 1});
  const Operand row = operand_at(0x1004, float32, s, {1, 0});
  const Operand transposed = operand_at(0x1000, float32, s, {1, 10});
  const Operand padded = operand_at(0x1000, float32, s, {65, 1});

  LayoutClass l = launch_on(tape, s, {x, scalar, scalar}).layout;
  EXPECT_EQ(l.name(), "contiguous");
  EXPECT_EQ(l.operands,
            (std::vector{Access::dense, Access::repeated, Access::repeated}));
  EXPECT_TRUE(l.vector);

  l = launch_on(tape, s, {x, column, row}).layout;
  EXPECT_EQ(l.name(), "inner-contiguous");
  EXPECT_EQ(l.operands,
            (std::vector{Access::dense, Access::dense, Access::repeated}));
  EXPECT_TRUE(l.vector);

  l = launch_on(tape, s, {x, transposed, scalar}).layout;
  EXPECT_EQ(l.name(), "strided");
  EXPECT_FALSE(l.vector);

  EXPECT_FALSE(launch_on(tape, s, {padded, scalar, scalar}).layout.vector)
      << "odd stride";
  EXPECT_FALSE(
      launch_on(tape, s, {contiguous(float32, s, 0x1004), scalar, scalar})
          .layout.vector)
      << "operand not on 16 bytes";
  EXPECT_FALSE(launch_on(tape, s, {x, scalar, scalar}, 0x1004).layout.vector)
      << "output not on 16 bytes";
}

TEST(TapeLaunch, AxesThatAllOperandsWalkTogetherAreMerged) {
  const Tape tape = chain(float32);
  const Shape s = {2, 1, 3, 1, 2, 1, 5, 1, 7, 1, 11};
  EXPECT_EQ(launch_on(tape, s, {contiguous(float32, s)}).layout.name(),
            "contiguous");

  const Shape nine(9, 2);
  Strides backwards = row_major_strides(nine);
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_THROW(
      launch_on(tape, nine, {operand_at(0x1000, float32, nine, backwards)}),
      std::runtime_error);
}

TEST(TapeLaunch, ColumnReductionsAreCutBySizeAloneAndFinishedInBlockOrder) {
  const Tape tape = column_sum(float32);
  const Shape s = {100000, 64};
  const TapeLaunch l = launch_on(tape, s, {contiguous(float32, s)});
  ASSERT_EQ(l.calls.size(), 2);
  EXPECT_EQ(l.calls[0].entry, "columns");
  EXPECT_EQ(l.calls[1].entry, "finish");
  EXPECT_EQ(l.workspace, size_t(l.calls[0].grid[1]) * 64 * 8);
  EXPECT_GE(int64_t(l.calls[0].grid[1]) * int64_t(l.args[2]),
            s[0]);  // every row is in a block

  const Shape none = {0, 64};
  const TapeLaunch empty = launch_on(tape, none, {contiguous(float32, none)});
  ASSERT_EQ(empty.calls.size(), 1);  // writes the sum of nothing
  EXPECT_EQ(empty.calls[0].entry, "finish");
}

TEST(TapeLaunch, AnEmptySpaceLaunchesNothing) {
  const Shape s = {0, 5};
  EXPECT_TRUE(
      launch_on(chain(float32), s, {contiguous(float32, s)}).calls.empty());
  EXPECT_TRUE(
      launch_on(softmax(float32), s, {contiguous(float32, s)}).calls.empty());
}

}  // namespace
}  // namespace treadle::cuda_check
