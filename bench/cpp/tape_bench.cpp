// How fast the CPU runs tapes: milliseconds, and GB/s of what must be read and
// written. Outputs are reused, as an arena does.  build/.../bench/tape_bench
// [threads]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/tape.h"
#include "treadle/plan/tape.h"

using namespace treadle;
using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;

namespace {

// With one thread the time is that of the processor, which other programs on
// the machine spoil less.
bool cpu_time = false;

double now() {
  timespec t;
  clock_gettime(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}
double seconds_since(double start) { return now() - start; }

// Zeroed memory on huge pages.
void* memory(size_t bytes) {
  bytes = (bytes + (2 << 20) - 1) >> 21 << 21;
  void* p = mmap(nullptr,
                 bytes,
                 PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS,
                 -1,
                 0);
  madvise(p, bytes, MADV_HUGEPAGE);
  std::memset(p, 0, bytes);
  return p;
}

// A tape of float32 values, written value by value.
class Maker {
 public:
  explicit Maker(int inner_axes) { tape.inner_axes = inner_axes; }

  uint16_t load(Dtype dtype = float32) {
    TapeValue v = {};
    v.code = Code::load;
    v.lane = plan::lane_of(dtype);
    v.dtype = dtype;
    v.index = static_cast<uint16_t>(tape.operands.size());
    tape.operands.push_back(dtype);
    return push(v);
  }
  uint16_t row(Row row, uint16_t a, uint16_t b = 0) {
    TapeValue v = {};
    v.code = Code::row;
    v.row = row;
    v.a = a;
    v.b = b;
    v.lane = Lane::f32;
    const bool two = info(row).arity > 1;
    v.uniform = at(a).uniform && (!two || at(b).uniform);
    v.phase = std::max(after(a), two ? after(b) : uint16_t{0});
    return push(v);
  }
  uint16_t reduce(ReduceKind kind, uint16_t a) {
    TapeValue v = {};
    v.code = Code::reduce_row;
    v.reduce = kind;
    v.lane = Lane::f32;
    v.a = a;
    v.uniform = true;
    v.phase = after(a);
    return push(v);
  }
  void store(uint16_t a,
             OutputForm form = OutputForm::full,
             Dtype dtype = float32) {
    TapeValue v = {};
    v.code = form == OutputForm::column ? Code::reduce_column : Code::store;
    v.lane = Lane::f32;
    v.dtype = dtype;
    v.a = a;
    v.phase = after(a);
    v.index = static_cast<uint16_t>(tape.outputs.size());
    tape.outputs.push_back({dtype, form});
    push(v);
  }

  Tape tape;

 private:
  const TapeValue& at(uint16_t i) const { return tape.values[i]; }
  uint16_t after(uint16_t i) const {
    return static_cast<uint16_t>(at(i).phase +
                                 (at(i).code == Code::reduce_row));
  }
  uint16_t push(TapeValue v) {
    tape.values.push_back(v);
    return static_cast<uint16_t>(tape.values.size() - 1);
  }
};

// A tape on memory of its own. Operands with `scalar` are one element.
struct Case {
  std::string name;
  Shape space;
  OpPtr op;
  std::vector<bool> scalar;
  std::vector<int> in_place;  // output -> operand
  Strides second;             // of the second operand, if not row-major
  std::vector<runtime::Operand> in, out;
  void* workspace = nullptr;
  double bytes = 0;
  std::vector<double> times;

  void prepare() {
    const Tape& tape = static_cast<const plan::Fused&>(*op).tape;
    for (size_t i = 0; i < tape.operands.size(); ++i) {
      runtime::Operand o;
      o.dtype = tape.operands[i];
      o.shape = space;
      const bool one = i < scalar.size() && scalar[i];
      o.strides = one ? Strides(space.size(), 0) : row_major_strides(space);
      o.contiguous = !one;
      const size_t n = one ? 1 : static_cast<size_t>(size_of(space));
      o.data = memory(n * size_of(o.dtype));
      if (i == 1 && !second.empty()) {
        o.strides = second;
        o.contiguous = false;
      }
      if (!one) bytes += double(n * size_of(o.dtype));
      if (o.dtype == float32) {
        for (size_t k = 0; k < n; ++k) {
          static_cast<float*>(o.data)[k] =
              one ? 0.5f : float(k * 2654435761u % 1000) / 500 - 1;
        }
      }
      in.push_back(o);
    }
    for (size_t k = 0; k < tape.outputs.size(); ++k) {
      runtime::Operand o;
      o.dtype = tape.outputs[k].dtype;
      const size_t outer = space.size() - static_cast<size_t>(tape.inner_axes);
      o.shape = space;
      if (tape.outputs[k].form == OutputForm::row) {
        o.shape = Shape(space.begin(), space.begin() + outer);
      } else if (tape.outputs[k].form == OutputForm::column) {
        o.shape = Shape(space.begin() + outer, space.end());
      }
      o.strides = row_major_strides(o.shape);
      const size_t n = static_cast<size_t>(size_of(o.shape)) * size_of(o.dtype);
      o.data = k < in_place.size() ? in[in_place[k]].data : memory(n);
      bytes += double(n);
      out.push_back(o);
    }
  }

  void kernel(int threads) {
    static const runtime::Kernel k = backend::cpu::tape_kernel();
    runtime::Task task{*op, in, out, space, workspace, threads};
    if (!workspace) task.workspace = workspace = memory(k.workspace(task) + 64);
    k.run(task);
  }
  double run(int threads) {
    const auto start = now();
    kernel(threads);
    return seconds_since(start);
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](std::string name,
                       Shape space,
                       Maker& m,
                       std::vector<bool> scalar = {},
                       std::vector<int> in_place = {}) {
    Case c;
    c.name = std::move(name);
    c.space = space;
    c.op = plan::make_fused(m.tape);
    c.scalar = std::move(scalar);
    c.in_place = std::move(in_place);
    all.push_back(std::move(c));
  };
  const auto chain8 = [&](const std::string& size, int64_t n, Dtype dtype) {
    Maker m(0);
    const auto x = m.load(dtype), y = m.load(dtype), half = m.load(dtype);
    const auto s =
        m.row(Row::sigmoid, m.row(Row::add, m.row(Row::multiply, x, y), x));
    const auto d = m.row(Row::subtract, x, m.row(Row::multiply, half, y));
    m.store(
        m.row(Row::add, m.row(Row::multiply, s, d), m.row(Row::multiply, y, y)),
        OutputForm::full,
        dtype);
    add("chain8 " + size + " " + std::string(name_of(dtype)),
        {n},
        m,
        {false, false, true});
  };
  chain8("64K", 1 << 16, float32);
  for (const Dtype dtype : {float32, bfloat16, float16})
    chain8("16M", 1 << 24, dtype);
  for (const Shape& space : {Shape{16, 4096},
                             Shape{4096, 4096},
                             Shape{65536, 64},
                             Shape{400000, 10},
                             Shape{16, 1 << 20}}) {
    Maker m(1);
    const auto x = m.load();
    const auto e =
        m.row(Row::exp, m.row(Row::subtract, x, m.reduce(ReduceKind::max, x)));
    m.store(m.row(Row::divide, e, m.reduce(ReduceKind::sum, e)));
    add("softmax " + to_string(space), space, m);
  }
  {
    Maker m(1);
    m.store(m.reduce(ReduceKind::sum, m.load()), OutputForm::row);
    add("sum 16M", {1, 1 << 24}, m);
  }
  for (const Shape& space :
       {Shape{4096, 4096}, Shape{1 << 20, 16}, Shape{4, 1 << 22}}) {
    Maker m(1);
    m.store(m.load(), OutputForm::column);
    add("column sum " + to_string(space), space, m);
  }
  for (bool in_place : {false, true}) {
    Maker m(0);
    const auto p = m.load(), g = m.load(), mean = m.load(), var = m.load();
    const auto b1 = m.load(), c1 = m.load(), b2 = m.load(), c2 = m.load(),
               eps = m.load(), lr = m.load(), decay = m.load();
    const auto m1 = m.row(
        Row::add, m.row(Row::multiply, b1, mean), m.row(Row::multiply, c1, g));
    const auto v1 = m.row(Row::add,
                          m.row(Row::multiply, b2, var),
                          m.row(Row::multiply, c2, m.row(Row::square, g)));
    const auto step =
        m.row(Row::divide, m1, m.row(Row::add, m.row(Row::sqrt, v1), eps));
    m.store(m1);
    m.store(v1);
    m.store(m.row(Row::subtract,
                  m.row(Row::multiply, p, decay),
                  m.row(Row::multiply, lr, step)));
    add(in_place ? "adamw 20M in place" : "adamw 20M",
        {20 << 20},
        m,
        {false, false, false, false, true, true, true, true, true, true, true},
        in_place ? std::vector<int>{2, 3, 0} : std::vector<int>{});
  }
  for (const char* how : {"row", "column", "transposed"}) {
    Maker m(0);
    m.store(m.row(Row::add, m.load(), m.load()));
    add(std::string("add 4096x4096 and ") + how, {4096, 4096}, m);
    all.back().second = how[0] == 'r'   ? Strides{0, 1}
                        : how[0] == 'c' ? Strides{1, 0}
                                        : Strides{1, 4096};
  }
  for (const int64_t n : {4, 1024, 65536, 1 << 20, 1 << 24}) {
    Maker m(0);
    m.store(m.row(Row::add, m.load(), m.load()));
    add("add " + std::to_string(n), {n}, m);
  }
  return all;
}

// What plain loops over 16M floats reach, for comparison.
void measure_memory(int threads) {
  constexpr int64_t n = 1 << 24, part = 1 << 15;
  auto* x = static_cast<float*>(memory(4 * n));
  auto* y = static_cast<float*>(memory(4 * n));
  double read = 1e9, copy = 1e9;
  const auto& table = backend::cpu::lane_table();
  std::vector<double> sums(n / part * 8);
  for (int round = 0; round < 12; ++round) {
    double start = now();
    backend::cpu::parallel_tasks(threads, n / part, [&](int64_t i) {
      table.reduce[0][0].fold(part, &sums[i * 8], x + i * part);
    });
    read = std::min(read, seconds_since(start));
    start = now();
    backend::cpu::parallel_tasks(threads, n / part, [&](int64_t i) {
      table.stream(4 * part, y + i * part, x + i * part);
      table.fence();
    });
    copy = std::min(copy, seconds_since(start));
  }
  std::printf("memory: reading %.1f GB/s, copying past the caches %.1f GB/s\n",
              4e-9 * n / read,
              8e-9 * n / copy);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads =
      argc > 1 ? std::atoi(argv[1]) : backend::cpu::max_threads();
  const std::string only = argc > 2 ? argv[2] : "";
  cpu_time = threads == 1;
  std::vector<Case> all = cases();
  std::erase_if(all, [&](const Case& c) {
    return c.name.find(only) == std::string::npos;
  });
  for (Case& c : all) c.prepare();
  // In turn, so that a noisy moment hits all alike.
  for (int round = 0; round < 12; ++round) {
    for (Case& c : all) {
      const double once = c.run(threads);
      const int repeat =
          once > 1e-3 ? 1
                      : static_cast<int>(std::min(20000.0, 1e-3 / once + 1));
      const auto start = now();
      for (int i = 0; i < repeat; ++i) c.kernel(threads);
      c.times.push_back(seconds_since(start) / repeat);
    }
  }
  measure_memory(threads);
  std::printf("%d threads%s\n", threads, cpu_time ? ", processor time" : "");
  for (Case& c : all) {
    std::sort(c.times.begin(), c.times.end());
    const double best = c.times.front(), median = c.times[c.times.size() / 2];
    std::printf("%-28s best %11.5f ms  median %11.5f ms  %6.1f GB/s\n",
                c.name.c_str(),
                best * 1e3,
                median * 1e3,
                c.bytes / best * 1e-9);
  }
}
