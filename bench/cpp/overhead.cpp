// What one operation costs from C++: recording it, running it, planning a graph
// of many. Arrays have four elements, so that no time goes into the
// mathematics.
//   build/release/bench/overhead --benchmark_filter=eager
#include <vector>

#include <benchmark/benchmark.h>

#include "treadle/treadle.h"

namespace {

using benchmark::State;
using treadle::array;

// An operation recorded, never evaluated; dropping the graph is counted too.
void record_chain(State& state) {
  const array x = treadle::arange(4.0), y = treadle::arange(4.0);
  treadle::eval({x, y});
  for (auto _ : state) {
    array z = x;
    for (int i = 0; i < state.range(0); ++i) z = z + y;
    benchmark::DoNotOptimize(z);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(record_chain)->Arg(1000);

// One operation, recorded and evaluated.
void eager_add(State& state) {
  const array x = treadle::arange(4.0), y = treadle::arange(4.0);
  treadle::eval({x, y});
  for (auto _ : state) (x + y).eval();
}
BENCHMARK(eager_add);

// The same without its recording.
void run_add(State& state) {
  const array x = treadle::arange(4.0), y = treadle::arange(4.0);
  treadle::eval({x, y});
  while (state.KeepRunningBatch(1000)) {
    state.PauseTiming();
    std::vector<array> nodes;
    for (int i = 0; i < 1000; ++i) nodes.push_back(x + y);
    state.ResumeTiming();
    for (const array& z : nodes) z.eval();
    state.PauseTiming();
    nodes.clear();
    state.ResumeTiming();
  }
}
BENCHMARK(run_add);

void eager_matmul_4x4(State& state) {
  const array x = treadle::ones({4, 4});
  treadle::eval({x});
  for (auto _ : state) treadle::matmul(x, x).eval();
}
BENCHMARK(eager_matmul_4x4);

// A chain recorded and evaluated at once: fused where the plan can.
void chain(State& state) {
  const array x = treadle::arange(4.0), y = treadle::arange(4.0);
  treadle::eval({x, y});
  for (auto _ : state) {
    array z = x;
    for (int i = 0; i < state.range(0); ++i) z = z + y;
    z.eval();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(chain)->Arg(10)->Arg(1000)->Arg(10000);

// A graph of products, sums and activations that was never seen before.
array mixed_graph(const array& w, const array& b, int nodes, unsigned seed) {
  array z = w + b;
  for (int i = 1; i < nodes; ++i) {
    seed = seed * 1664525u + 1013904223u;
    switch (seed >> 29) {
      case 0:
        z = treadle::matmul(z, w);
        break;
      case 1:
        z = treadle::tanh(z);
        break;
      case 2:
        z = treadle::maximum(z, b);
        break;
      case 3:
        z = treadle::transpose(z);
        break;
      default:
        z = z * b;
    }
  }
  return z;
}

void first_eval(State& state) {
  const array w = treadle::ones({8, 8}), b = treadle::ones({8});
  treadle::eval({w, b});
  unsigned seed = 0;
  for (auto _ : state) {
    state.PauseTiming();
    array z = mixed_graph(w, b, int(state.range(0)), ++seed);
    state.ResumeTiming();
    z.eval();
  }
}
BENCHMARK(first_eval)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(20);

void repeated_eval(State& state) {
  const array w = treadle::ones({8, 8}), b = treadle::ones({8});
  treadle::eval({w, b});
  mixed_graph(w, b, int(state.range(0)), 1).eval();
  for (auto _ : state) {
    state.PauseTiming();
    array z = mixed_graph(w, b, int(state.range(0)), 1);
    state.ResumeTiming();
    z.eval();
  }
}
BENCHMARK(repeated_eval)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(20);

}  // namespace
