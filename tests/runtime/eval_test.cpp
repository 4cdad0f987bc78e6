// eval: laziness, donation, streams, devices, failures, threads.
#include "treadle/runtime/eval.h"

#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "treadle/base/error.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/index.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/interpreter.h"
#include "treadle/runtime/memory.h"
#include "treadle/transforms/compile.h"
#include "treadle/treadle.h"

#include "tests/runtime/fake_device.h"
#include "tests/support/op_check.h"

namespace treadle {
namespace {

array filled(int64_t n, float value) {
  std::vector<float> v(size_t(n), value);
  return array::from(v.data(), {n});
}

TEST(Eval, ComputesOnlyWhenAsked) {
  array x = filled(4, 2);
  array y = x * x + 1.0f;
  EXPECT_FALSE(y.is_available());
  EXPECT_EQ(y.to_vector<float>(), std::vector<float>(4, 5));
  y.eval();
  EXPECT_TRUE(y.is_available());
}

TEST(Eval, AQueuedRunKeepsTheNumbersOfNodesThatAreGone) {
  array x = filled(1 << 20, 1);
  for (int i = 0; i < 20; ++i) {
    Arrays queued, others;
    for (int k = 0; k < 4; ++k) queued.push_back(x * 2.0f);
    async_eval(queued);
    for (int k = 0; k < 100; ++k)
      others.emplace_back(7.0f);  // take their memory
    for (const array& y : queued)
      ASSERT_EQ(y.to_vector<float>()[1 << 19], 2) << i;
  }
}

TEST(Eval, AChainOfAHundredThousandNodesNeedsNoStack) {
  array x = filled(4, 0);
  for (int i = 0; i < 100'000; ++i) x = x + 1.0f;
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(4, 100'000));
}

TEST(Eval, AnUnevaluatedChainIsFreedWithoutRecursion) {
  array x = filled(4, 0);
  {
    Trace trace("test");  // nothing is flushed inside
    array y = x;
    for (int i = 0; i < 100'000; ++i) y = y + 1.0f;
  }
  SUCCEED();
}

TEST(Eval, IntermediateValuesThatAreHeldAreKept) {
  array x = filled(8, 3);
  array a = x + 1.0f;
  array b = a * 2.0f;
  array c = b - x;
  c.eval();
  EXPECT_TRUE(a.is_available());
  EXPECT_TRUE(b.is_available());
  EXPECT_EQ(b.to_vector<float>(), std::vector<float>(8, 8));
}

TEST(Donation, AnUpdateTakesOverTheMemoryOfWhatItReplaces) {
  array x = filled(1 << 16, 1);
  x = x + 1.0f;
  x.eval();
  const void* before = x.data<float>();
  for (int i = 0; i < 3; ++i) {
    x = x * 2.0f;
    x.eval();
    EXPECT_EQ(x.data<float>(), before);
  }
  EXPECT_EQ(x.to_vector<float>()[7], 16);
}

// Each output takes what it replaces, whichever is read or asked for first.
TEST(Donation, OutputsOfOneTapeKeepTheirPlaces) {
  const auto update = [](const Arrays& in) -> Arrays {
    const array &w = in[0], &m = in[1], &v = in[2], &g = in[3];
    const array kept = w * 0.5f;
    const array m1 = m * 0.5f + g * 0.25f, v1 = v * 0.5f + square(g) * 0.25f;
    return {kept - m1 / (sqrt(v1) + 1.0f), m1, v1};
  };
  const size_t orders[][3] = {{0, 1, 2}, {1, 2, 0}, {2, 1, 0}};
  for (const auto& order : orders) {
    Arrays in;
    for (int i = 0; i < 4; ++i) in.push_back(filled(1 << 16, float(i + 1)));
    for (array& x : in) x = x + 1.0f;
    eval(in);
    const Arrays expected =
        update({array(2.0f), array(3.0f), array(4.0f), array(5.0f)});
    const float* before[3];
    for (size_t i = 0; i < 3; ++i) before[i] = in[i].data<float>();
    Arrays made = update(in);
    Arrays out;
    for (size_t i : order) out.push_back(made[i]);
    made.clear();
    for (size_t i = 0; i < 3; ++i) in[i] = array(0.0f);
    eval(out);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(out[k].data<float>(), before[order[k]]) << order[k];
      EXPECT_EQ(out[k].to_vector<float>()[9], expected[order[k]].item<float>());
    }
  }
}

TEST(Donation, MemoryThatSomebodyHoldsIsLeftAlone) {
  array x = filled(1 << 16, 1);
  x.eval();
  array copy = x;
  x = x + 1.0f;
  x.eval();
  EXPECT_EQ(copy.to_vector<float>()[0], 1);
  array view = slice(x, {0}, {10});
  view.eval();
  x = x + 1.0f;
  x.eval();
  EXPECT_EQ(view.to_vector<float>(), std::vector<float>(10, 2));
  EXPECT_EQ(x.to_vector<float>()[0], 3);
}

// Nobody else holds the memory, but another input reads it in another order.
TEST(Donation, MemoryThatIsReadThroughAViewTooIsLeftAlone) {
  const int64_t n = 40;
  std::vector<float> v(size_t(n * n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(i % 97) - 48;
  using F = array (*)(const array&);
  const F functions[] = {
      [](const array& x) { return x + transpose(x); },
      [](const array& x) { return flip(x, {1}) - x; },
      [](const array& x) {
        return x * slice(x, {0, 0}, {1, 40});
      },
      [](const array& x) { return maximum(x, roll(x, {1}, {0})); },
      [](const array& x) {
        return slice_update(x, slice(x, {0, 0}, {39, 40}), {1, 0}, {40, 40});
      },
      [](const array& x) {
        return scatter(x, flip(arange(40), {0}), x, 0, ScatterMode::assign);
      },
      [](const array& x) {
        return scatter(x, flip(arange(40), {0}), x, 0, ScatterMode::add);
      },
      [](const array& x) { return matmul(x, x) + transpose(x); },
  };
  for (size_t i = 0; i < std::size(functions); ++i) {
    const array kept = array::from(v.data(), {n, n});
    array x = array::from(v.data(), {n, n});
    x.eval();
    array of_leaf = functions[i](x), of_value = functions[i](x + 1.0f);
    array want = functions[i](kept), want_of_value = functions[i](kept + 1.0f);
    x = array();
    of_leaf.eval();
    of_value.eval();
    runtime::PlanningScope off(false);
    testing::expect_close(of_leaf, want, 1, "leaf " + std::to_string(i));
    testing::expect_close(
        of_value, want_of_value, 1, "value " + std::to_string(i));
  }
}

TEST(Donation, ASliceIsWrittenInPlace) {
  array x = contiguous(zeros({1 << 16}));
  x.eval();
  const void* before = x.data<float>();
  x = slice_update(x, filled(4, 7), {2}, {6});
  x.eval();
  EXPECT_EQ(x.data<float>(), before);
  auto v = x.to_vector<float>();
  EXPECT_EQ(v[1], 0);
  EXPECT_EQ(v[2], 7);
  EXPECT_EQ(v[6], 0);
}

TEST(Streams, TwoStreamsOfOneDeviceExchangeValues) {
  Stream a = new_stream(cpu), b = new_stream(cpu);
  array x = filled(100'000, 1);
  array y = add(x, 1.0f, a);
  array z = multiply(y, 3.0f, b);
  array w = add(z, y, a);
  EXPECT_EQ(w.to_vector<float>()[99'999], 8);
}

TEST(Streams, AsyncEvalReturnsAndALaterUseWaits) {
  array x = filled(1 << 20, 2);
  array y = sum(exp(x) * 0.0f + x);
  async_eval({&y, 1});
  EXPECT_EQ(y.item<float>(), 2 * (1 << 20));
  synchronize();
}

TEST(Devices, ValuesCrossBetweenTwoMemoriesAndStayResident) {
  testing::FakeDeviceScope scope;
  testing::FakeDevice* fake = scope.device;
  array x = filled(1000, 2);
  array y = multiply(x, 3.0f, gpu);
  array z = add(y, x, gpu);
  EXPECT_EQ(z.to_vector<float>()[999], 8);
  EXPECT_EQ(z.output()->buffer->device, gpu);
  EXPECT_EQ(fake->copies_in, 1) << "x is copied once and its copy is kept";
  EXPECT_GT(fake->copies_out, 0);
  array back = add(y, 1.0f, cpu);
  EXPECT_EQ(back.to_vector<float>()[0], 7);
}

TEST(Devices, AMissingDeviceIsAClearError) {
  array x = filled(4, 1);
  try {
    add(x, x, gpu).eval();
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr("no GPU backend"));
  }
}

TEST(Memory, RefusalNamesTheLargestArraysAndChangesNothing) {
  array x = filled(1 << 20, 1), activations;
  x.eval();
  {
    ModuleScope module("layers.0 (Linear 8->8)");
    activations = tanh(x);
    activations.eval();
  }
  array y = exp(x), z = y + x;
  size_t old = set_memory_limit(get_active_memory() + 1024);
  try {
    z.eval();
    set_memory_limit(old);
    FAIL() << "the limit was not kept";
  } catch (const std::runtime_error& e) {
    set_memory_limit(old);
    EXPECT_THAT(std::string(e.what()),
                ::testing::HasSubstr("4.2 MB float32 (1048576,) of tanh in "
                                     "layers.0 (Linear 8->8)"));
    EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr("memory limit"));
  }
  EXPECT_FALSE(z.is_available());
  EXPECT_EQ(x.to_vector<float>()[5], 1);
  EXPECT_NEAR(z.to_vector<float>()[5], 1 + std::exp(1.0), 1e-6)
      << "it can be tried again";
}

TEST(Memory, PeakAndActiveAreTrue) {
  clear_cache();
  size_t before = get_active_memory();
  {
    array x = filled(1 << 20, 1);
    EXPECT_GE(get_active_memory() - before, size_t(4) << 20);
  }
  EXPECT_EQ(get_active_memory(), before);
  reset_peak_memory();
  EXPECT_EQ(get_peak_memory(), before);
}

TEST(Threads, SeveralThreadsRecordAndEvaluate) {
  array shared = filled(10'000, 1);
  std::vector<std::thread> threads;
  std::vector<float> got(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        array y = sum(shared * float(t + 1) + float(i));
        got[size_t(t)] = y.item<float>();
      }
    });
  }
  for (auto& t : threads) t.join();
  for (int t = 0; t < 4; ++t)
    EXPECT_EQ(got[size_t(t)], 10'000.0f * float(t + 1 + 19));
}

TEST(Fork, AChildComputesOnItsOwnThread) {
  array x = filled(1 << 18, 1);
  array warm = sum(x);
  warm.eval();
  pid_t child = fork();
  if (child == 0) {
    array y = sum(exp(x * 0.0f) + x);
    _exit(y.item<float>() == 2.0f * (1 << 18) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Compile, CapturedStateIsReadReplacedAndUpdatedInPlace) {
  array w = filled(1 << 16, 1);
  w.eval();
  CompileOptions options;
  options.inputs = {[&] { return Arrays{w}; },
                    [&](const Arrays& a) { w = a[0]; }};
  options.outputs = options.inputs;
  auto step = compile(
      [&](const Arrays& x) {
        w = w * 0.5f + x[0];
        return Arrays{sum(w)};
      },
      options);
  array one = filled(1 << 16, 1);
  std::vector<const void*> addresses;
  float expected = 1;
  for (int i = 0; i < 5; ++i) {
    array loss = step({one})[0];
    expected = expected * 0.5f + 1;
    EXPECT_EQ(loss.item<float>(), expected * (1 << 16));
    addresses.push_back(w.data<float>());
  }
  EXPECT_EQ(addresses[2], addresses[1]);
  EXPECT_EQ(addresses[4], addresses[1]);
}

TEST(Compile, AnExceptionWhileTracingPutsTheStateBack) {
  array w = filled(4, 3);
  CompileOptions options;
  options.inputs = {[&] { return Arrays{w}; },
                    [&](const Arrays& a) { w = a[0]; }};
  options.outputs = options.inputs;
  auto step = compile(
      [&](const Arrays&) -> Arrays {
        w = w + 1.0f;
        throw std::runtime_error("no");
      },
      options);
  EXPECT_THROW(step({filled(4, 1)}), std::runtime_error);
  EXPECT_EQ(w.to_vector<float>(), std::vector<float>(4, 3));
}

TEST(Compile, APlaceholderThatEscapesSaysWhoseItWas) {
  array escaped;
  CompileOptions leaky;
  leaky.name = "leaky";
  auto f = compile(
      [&](const Arrays& x) {
        escaped = x[0];
        return Arrays{x[0] + 1.0f};
      },
      leaky);
  f({filled(4, 1)});
  try {
    (escaped + 1.0f).eval();
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr("compile(leaky)"));
  }
}

TEST(Compile, AValueAskedForWhileTracingSaysWhatToDo) {
  auto f = compile([](const Arrays& x) {
    return Arrays{x[0].item<float>() > 0 ? x[0] : -x[0]};
  });
  try {
    f({array(1.0f)});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr("where, not if"));
  }
}

}  // namespace
}  // namespace treadle
