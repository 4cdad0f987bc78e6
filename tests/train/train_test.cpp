#include <limits>
#include <string>

#include <gmock/gmock.h>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/losses.h"
#include "treadle/nn/modules/dropout.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/nn/modules/normalization.h"
#include "treadle/nn/modules/sequential.h"
#include "treadle/nn/modules/value_and_grad.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/optimizers/optimizers.h"
#include "treadle/train/events.h"
#include "treadle/train/idx.h"
#include "treadle/train/progress.h"
#include "treadle/train/step.h"

#include "tests/nn/values.h"
#include "tests/support/temp_file.h"

namespace treadle::train {
namespace {

using test::fill;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

class TrainTest : public testing::Test {
 protected:
  const test::TempFile file_{"train_test"};
  const std::string path_ = file_.path();
};

TEST_F(TrainTest, ReadsIdxFiles) {
  file_.write(
      std::string("\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
                  "abcdef",
                  18));
  array x = read_idx(path_);
  EXPECT_EQ(x.dtype(), uint8);
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_THAT(x.to_vector<int>(), ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
}

TEST_F(TrainTest, RefusesIdxFilesThatAreCutOrOfAnotherKind) {
  EXPECT_THAT(message_of([&] { read_idx(path_); }),
              HasSubstr("cannot be opened"));
  for (std::string bytes : {std::string("\0\0\x08", 3),
                            std::string("\0\0\x0d\x01\0\0\0\x01xxxx", 12),
                            std::string("PNG and more")}) {
    file_.write(bytes);
    EXPECT_THAT(message_of([&] { read_idx(path_); }),
                HasSubstr("is not an IDX file"));
  }
  file_.write(std::string("\0\0\x08\xff\0\0\0\x02", 8));
  EXPECT_THAT(message_of([&] { read_idx(path_); }),
              HasSubstr("ends inside its header"));
  file_.write(
      std::string("\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff"
                  "a",
                  13));
  EXPECT_THAT(message_of([&] { read_idx(path_); }),
              HasSubstr("fewer than its dimensions need"));
  file_.write(
      std::string("\0\0\x08\x01\0\0\0\x02"
                  "a",
                  9));
  EXPECT_THAT(message_of([&] { read_idx(path_); }),
              HasSubstr("has 1 bytes of data"));
}

TEST_F(TrainTest, WritesEventsAsLinesOfJson) {
  {
    EventFile f(path_);
    f.write(1, {{"loss", 0.5}, {"accuracy", 1}});
    f.write(2, {{"loss", std::numeric_limits<double>::quiet_NaN()}});
    EXPECT_EQ(file_.read(),
              "{\"step\":1,\"loss\":0.5,\"accuracy\":1.0}\n"
              "{\"step\":2,\"loss\":null}\n");
  }
  EXPECT_THROW(EventFile("/proc/nothing/here"), std::runtime_error);
}

TEST_F(TrainTest, ProgressWritesOneLineWhereThereIsNoTerminal) {
  std::FILE* out = std::fopen(path_.c_str(), "w");
  {
    Progress p("epoch 1/2", 10, "images", out);
    p.advance(5, {{"loss", 0.25}});
    p.advance(5);
    p.finish();
    p.finish();
    EXPECT_GT(p.rate(), 0);
  }
  std::fclose(out);
  std::string line = file_.read();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(
      line,
      HasSubstr("epoch 1/2 [########################] 100%  loss 0.2500"));
  EXPECT_THAT(line, HasSubstr("images/s"));
  EXPECT_GT(resident_bytes(), 1u << 20);
}

// Running statistics, dropout's key and the optimizer's state are all state of
// the compiled step.
TEST(CompiledStep, ReplacesTheStateOfModelOptimizerAndRandomness) {
  random::seed(1);
  nn::Sequential model(nn::Linear(4, 32),
                       nn::BatchNorm(32),
                       nn::relu,
                       nn::Dropout(0.2),
                       nn::Linear(32, 3));
  optimizers::AdamW optimizer(0.02);
  auto loss_and_grads =
      nn::value_and_grad(model, [&](const array& x, const array& y) {
        return nn::cross_entropy(model(x), y, {.reduction = "mean"});
      });
  int traced = 0;
  ArraysFn step = compile_step(model, optimizer, [&](const Arrays& in) {
    ++traced;
    auto [loss, grads] = loss_and_grads(in[0], in[1]);
    optimizer.update(model, grads);
    return Arrays{loss};
  });
  array x = fill({6, 4}, 1), y({0, 1, 2, 0, 1, 2});
  auto& norm = model.layers[1].as<nn::BatchNorm>();
  double previous_mean = 0, first = 0, last = 0;
  std::vector<double> losses;
  for (int i = 0; i < 200; ++i) {
    last = step({x, y})[0].item<double>();
    if (i == 0) first = last;
    double mean = norm.running_mean.to_vector<double>()[0];
    EXPECT_NE(mean, previous_mean);
    previous_mean = mean;
  }
  EXPECT_EQ(traced, 1);
  EXPECT_EQ(optimizer.step().item<int>(), 200);
  EXPECT_LT(last, first);
  // Dropout draws anew each time: with frozen weights two losses differ.
  optimizer.set_learning_rate(0.0f);
  double a = step({x, y})[0].item<double>(), b = step({x, y})[0].item<double>();
  EXPECT_NE(a, b);
  EXPECT_EQ(traced, 1);
  model.eval();
  EXPECT_LT(
      nn::cross_entropy(model(x), y, {.reduction = "mean"}).item<double>(),
      0.3);
}

TEST(CompiledStep, PutsTheModelBackWhenTracingThrows) {
  nn::Linear model(2, 2);
  array w = model.weight;
  optimizers::SGD optimizer(0.1);
  ArraysFn step = compile_step(model, optimizer, [&](const Arrays&) -> Arrays {
    model.weight = model.weight * 2;
    throw std::runtime_error("no");
  });
  EXPECT_THROW(step({}), std::runtime_error);
  EXPECT_TRUE(same_array(model.weight, w));
}

}  // namespace
}  // namespace treadle::train
