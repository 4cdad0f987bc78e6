// The executor: which thread runs plans, and with how many workers.
#include "treadle/runtime/executor.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

int threads() {
  int n = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/self/task")) {
    ++n;
  }
  return n;
}

// Threads end some time after they were told to.
int threads_soon(int wanted) {
  for (int i = 0; i < 500 && threads() != wanted; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return threads();
}

// More workers than processors would slow each other down.
TEST(Executor, OneThreadAtATimeHasWorkers) {
  const array x = treadle::ones({512, 512}) * 0.5f;
  const auto run_awaited = [&] {
    for (int i = 0; i < 100; ++i) matmul(x, x).eval();
  };
  run_awaited();  // on this thread
  const int before = threads();
  for (int i = 0; i < 3; ++i) {
    array y = matmul(x, x);
    async_eval({&y, 1});  // on the executor's
    EXPECT_EQ(y.to_vector<float>()[0], 128);
    EXPECT_EQ(threads_soon(before), before);
    run_awaited();
    EXPECT_EQ(threads_soon(before), before);
  }
}

TEST(Executor, JobsRunInTurnWhoeverRunsThem) {
  std::vector<int> order;
  std::vector<std::shared_ptr<Event>> events;
  for (int i = 0; i < 200; ++i) {
    const auto awaited =
        i % 70 == 3 ? runtime::Awaited::no : runtime::Awaited::yes;
    events.push_back(
        runtime::enqueue([&order, i] { order.push_back(i); }, awaited));
    if (i % 3 == 0) events.back()->wait();
  }
  runtime::drain();
  ASSERT_EQ(order.size(), 200);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[i], i);
  for (const auto& event : events) EXPECT_TRUE(event->done());
}

TEST(Executor, WhatNobodyAwaitsRunsAllTheSame) {
  for (int i = 0; i < 100; ++i) {
    const auto event = runtime::enqueue([] {}, runtime::Awaited::yes);
    runtime::wake_executor();  // the caller will not wait after all
    for (int k = 0; k < 500 && !event->done(); ++k)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_TRUE(event->done()) << i;
  }
}

}  // namespace
}  // namespace treadle
