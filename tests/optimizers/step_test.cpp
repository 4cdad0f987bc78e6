// A step is one pass over each parameter, in place, compiled or not, also with
// clipping; it is traced once however its rate changes.
#include <sstream>

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/optimizers/clip.h"
#include "treadle/optimizers/optimizers.h"
#include "treadle/optimizers/schedules.h"
#include "treadle/runtime/explain.h"
#include "treadle/runtime/memory.h"
#include "treadle/transforms/compile.h"

#include "tests/nn/values.h"

namespace treadle::optimizers {
namespace {

using test::fill;
using Make = std::function<std::shared_ptr<Optimizer>()>;

// Two parameters of a megabyte.
Tree parameters() {
  return Tree::map({{"a", fill({512, 512}, 1)}, {"b", fill({1024, 256}, 2)}});
}

struct Case {
  std::string name;
  Make make;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

template <class O, class... Args>
Case row(const std::string& name, Args... args) {
  return {name, [=] { return std::make_shared<O>(args...); }};
}

// The rules that need no sums over a parameter.
const Case kCases[] = {
    row<SGD>("sgd", 0.1),
    row<SGD>(
        "momentum",
        0.1,
        SgdOptions{.momentum = 0.9, .weight_decay = 0.1, .dampening = 0.1}),
    row<SGD>("nesterov", 0.1, SgdOptions{.momentum = 0.9, .nesterov = true}),
    row<Adam>("adam"),
    row<Adam>("adam_corrected", 1e-3, AdamOptions{.bias_correction = true}),
    row<AdamW>("adamw"),
    row<AdamW>(
        "adamw_corrected", 1e-3, 0.1, AdamOptions{.bias_correction = true}),
    row<AdamW>("adamw_scheduled", cosine_decay(1e-3, 10)),
    row<Adamax>("adamax"),
    row<Adagrad>("adagrad"),
    row<RMSprop>("rmsprop"),
    row<AdaDelta>("adadelta"),
    row<Lion>("lion"),
    row<Lion>("lion_decayed", 1e-4, LionOptions{.weight_decay = 0.1}),
};

// Model and optimizer as they are in a training program.
struct Training {
  explicit Training(const Make& make, bool clipped)
      : optimizer(make()), weights(parameters()), clip(clipped) {
    optimizer->init(weights);
    eval(all());
  }
  Arrays all() const {
    Arrays out = weights.leaves();
    for (const array& a : optimizer->state().leaves()) out.push_back(a);
    return out;
  }
  void step(const Arrays& g) {
    ++traces;
    Tree gradients = weights.with_leaves(g);
    if (clip) gradients = clip_grad_norm(gradients, 1);
    weights = optimizer->apply_gradients(gradients, weights);
  }
  CapturedState state() {
    return {[this] { return all(); },
            [this](const Arrays& values) {
              const auto n = std::ptrdiff_t(weights.num_leaves());
              weights = weights.with_leaves(
                  Arrays(values.begin(), values.begin() + n));
              optimizer->set_state(optimizer->state().with_leaves(
                  Arrays(values.begin() + n, values.end())));
            }};
  }

  std::shared_ptr<Optimizer> optimizer;
  Tree weights;
  bool clip;
  int traces = 0;
};

Arrays gradients() {
  Arrays g = {fill({512, 512}, 3), fill({1024, 256}, 4)};
  eval(g);
  return g;
}

class Step : public testing::TestWithParam<Case> {};

// Memory that a third step takes beyond what is there.
size_t more_memory(const Make& make, bool clip, bool compiled) {
  Training t(make, clip);
  const Arrays g = gradients();
  ArraysFn fast = compile(
      [&](const Arrays& in) {
        t.step(in);
        return Arrays{};
      },
      {.name = "step", .inputs = t.state(), .outputs = t.state()});
  size_t before = 0;
  for (int s = 0; s < 4; ++s) {
    if (s == 2) {
      reset_peak_memory();
      before = get_active_memory();
    }
    if (compiled) {
      fast(g);
    } else {
      t.step(g);
    }
    eval(t.all());
  }
  EXPECT_EQ(t.traces, compiled ? 1 : 4);
  return get_peak_memory() - before;
}

TEST_P(Step, TakesNoSecondCopyOfParametersAndState) {
  for (bool clip : {false, true}) {
    for (bool compiled : {false, true}) {
      EXPECT_LT(more_memory(GetParam().make, clip, compiled), 100'000u)
          << (clip ? "clipped" : "") << (compiled ? " compiled" : "");
    }
  }
}

// Its step depends on sums over the whole gradient and the whole parameter, so
// each has to be read twice: by the pass that adds up and by that of the step.
TEST(AdafactorStep, ReadsGradientAndParameterTwiceAndStoresNothingElse) {
  Adafactor optimizer;
  Tree w = Tree::map({{"w", fill({96, 128}, 1)}});
  optimizer.init(w);
  Arrays all;
  for (int step = 0; step < 2; ++step) {
    eval(all);
    w = optimizer.apply_gradients(Tree::map({{"w", fill({96, 128}, 2)}}), w);
    all = w.leaves();
    for (const array& a : optimizer.state().leaves()) all.push_back(a);
  }
  const std::string plan = plan_text(all);
  SCOPED_TRACE(plan);
  std::istringstream lines(plan);
  size_t reads = 0, writes = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("float32 (96, 128)") == line.npos ||
        line.find("broadcast_to") != line.npos)
      continue;
    ++(line.find("      out ") == 0 ? writes : reads);
  }
  EXPECT_EQ(reads, 4u);
  EXPECT_EQ(writes, 1u);
}

// Each parameter is read and written by one call of the plan, beside the one
// that takes its gradient's norm.
TEST_P(Step, IsOnePassOverEachParameter) {
  for (bool clip : {false, true}) {
    Training t(GetParam().make, clip);
    t.step(gradients());
    const std::string plan = plan_text(t.all());
    SCOPED_TRACE(plan);
    std::istringstream lines(plan);
    size_t reads = 0, writes = 0;  // calls that do so
    bool read = false, written = false;
    for (std::string line; std::getline(lines, line);) {
      const bool large = line.find("float32 (512, 512)") != line.npos ||
                         line.find("float32 (1024, 256)") != line.npos;
      if (line.find("fused[") != line.npos) read = written = false;
      if (!large) continue;
      bool& seen = line.find("      out ") == 0 ? written : read;
      if (!seen) ++(&seen == &written ? writes : reads);
      seen = true;
    }
    EXPECT_EQ(writes, 2u);
    EXPECT_EQ(reads, clip ? 4u : 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers,
                         Step,
                         testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace treadle::optimizers
