// Chains of rows (backend/cpu/chains.cpp): random tapes give the same bits as
// their rows one after another, each over all lanes in memory, on every
// instruction set.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"

#include "tests/backend/tape_meaning.h"

namespace treadle::testing {
namespace {

using backend::cpu::is_chained;
using backend::cpu::lane_table;
using backend::cpu::SimdTarget;
using plan::Lane;
using plan::TapeValue;

class Chains : public ::testing::TestWithParam<SimdTarget> {
 protected:
  void SetUp() override {
    if (!backend::cpu::use_target(GetParam())) {
      GTEST_SKIP() << "this machine has no such instructions";
    }
  }
  void TearDown() override { backend::cpu::use_target(SimdTarget::best); }
};

std::vector<Row> chained_rows() {
  std::vector<Row> rows;
  for (int i = 0; i < kNumRows; ++i) {
    if (is_chained(static_cast<Row>(i), true)) {
      rows.push_back(static_cast<Row>(i));
    }
  }
  return rows;
}

// The outputs, from rows that each take all lanes. One number a row is held as
// often as the row is long.
std::vector<Tensor> row_by_row(const plan::Tape& tape,
                               const std::vector<Tensor>& in,
                               const Shape& space) {
  const auto& table = lane_table();
  const auto n = static_cast<size_t>(size_of(space));
  const auto length = static_cast<size_t>(space.back());
  std::vector<std::vector<char>> values;
  std::vector<Tensor> outputs(tape.outputs.size());
  for (const TapeValue& v : tape.values) {
    std::vector<char> out(n * 4);
    const auto at = [&](uint16_t i) { return values[i].data(); };
    switch (v.code) {
      case TapeValue::Code::load: {
        const Tensor& x = in[v.index];
        const Tensor full = tensor(v.dtype, space, x.values());
        table.load[static_cast<int>(v.dtype)](
            n, out.data(), full.memory.data());
        break;
      }
      case TapeValue::Code::row: {
        const uint16_t from = v.row == Row::select ? v.b : v.a;
        table.row[static_cast<int>(v.row)]
                 [static_cast<int>(tape.values[from].lane)](
                     n, out.data(), at(v.a), at(v.b), at(v.c), 0);
        break;
      }
      case TapeValue::Code::convert:
        table.convert[static_cast<int>(tape.values[v.a].lane)]
                     [static_cast<int>(v.dtype)](n, out.data(), at(v.a));
        break;
      case TapeValue::Code::reduce_row: {
        const auto& fns =
            table.reduce[static_cast<int>(v.reduce)][static_cast<int>(v.lane)];
        for (size_t i = 0; i < n; i += length) {
          float sum;
          fns.rows(1, length, &sum, at(v.a) + 4 * i);
          for (size_t k = i; k < i + length; ++k)
            std::memcpy(out.data() + 4 * k, &sum, 4);
        }
        break;
      }
      default: {
        Tensor full = tensor(v.dtype, space, [](int64_t) { return 0.0; });
        table.store[static_cast<int>(v.dtype)](n, full.memory.data(), at(v.a));
        if (tape.outputs[v.index].form == plan::OutputForm::row) {
          const std::vector<double> all = full.values();
          full = tensor(v.dtype, {space[0]}, [&](int64_t row) {
            return all[static_cast<size_t>(row) * length];
          });
        }
        outputs[v.index] = std::move(full);
        break;
      }
    }
    values.push_back(std::move(out));
  }
  return outputs;
}

void expect_rows(const plan::Tape& tape,
                 const Shape& space,
                 const std::vector<Tensor>& in,
                 unsigned seed,
                 const std::vector<int>& in_place = {},
                 unsigned unwanted = 0) {
  const auto want = row_by_row(tape, in, space);
  const auto got =
      run_tape(*plan::make_fused(tape), space, in, 1, in_place, unwanted);
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    if (unwanted >> k & 1) continue;
    const auto x = got[k].values(), y = want[k].values();
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const bool same =
          std::isnan(x[i])
              ? std::isnan(y[i])
              : x[i] == y[i] && std::signbit(x[i]) == std::signbit(y[i]);
      ASSERT_TRUE(same) << "seed " << seed << ", output " << k << ", element "
                        << i << ": " << x[i] << " for " << y[i] << " of\n"
                        << tape.to_string();
    }
  }
}

struct Program {
  TapeMaker tape;
  std::vector<Dtype> operands;
};

// Rows of random values made before; floats and truth values are kept apart.
Program random_program(std::mt19937& random) {
  static const std::vector<Row> rows = chained_rows();
  const auto pick = [&](const auto& from) {
    return from[random() % from.size()];
  };
  Program p;
  std::vector<uint16_t> floats, truths;
  const std::vector<Dtype> dtypes = {float32, float32, float16, bfloat16};
  for (int i = 0; i < 3; ++i) {
    p.operands.push_back(pick(dtypes));
    floats.push_back(p.tape.load(p.operands.back()));
  }
  const int count = 1 + static_cast<int>(random() % 14);
  for (int i = 0; i < count; ++i) {
    if (random() % 8 == 0) {
      floats.push_back(
          p.tape.convert(floats.back(), random() % 2 ? float16 : bfloat16));
    }
    const Row row = pick(rows);
    if (row == Row::select) {
      if (truths.empty()) continue;
      const auto a = pick(floats);
      floats.push_back(p.tape.row(row, pick(truths), a, pick(floats)));
      continue;
    }
    // Often the value before, as in a chain.
    const auto a = random() % 3 ? floats.back() : pick(floats);
    const auto b = random() % 3 ? pick(floats) : floats.back();
    const bool swap = random() % 2;
    const auto made = info(row).arity == 1
                          ? p.tape.row(row, a)
                          : p.tape.row(row, swap ? b : a, swap ? a : b);
    (info(row).rule == Rule::compare ? truths : floats).push_back(made);
  }
  p.tape.store(floats.back(), random() % 2 ? float32 : pick(dtypes));
  if (random() % 2) p.tape.store(pick(floats), pick(dtypes));
  if (!truths.empty() && random() % 2) p.tape.store(truths.back());
  return p;
}

TEST_P(Chains, HaveTheBitsOfTheirRows) {
  const int64_t lengths[] = {1, 3, 16, 31, 63, 64, 65, 127, 257, 1000, 4099};
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    const Program p = random_program(random);
    const int64_t n = lengths[random() % std::size(lengths)];
    const Shape space{n};
    std::vector<Tensor> in;
    for (size_t i = 0; i < p.operands.size(); ++i) {
      in.push_back(random() % 4 == 0
                       ? scalar_over(space, p.operands[i], 0.75)
                       : normal(p.operands[i], space, int(seed + i)));
    }
    expect_rows(p.tape.tape(), space, in, seed);
    if (HasFatalFailure()) return;
  }
}

// Outputs that later rows read, in memory of operands or in their own: a chain
// writes them where they belong and goes on.
TEST_P(Chains, HaveTheBitsOfTheirRowsWithManyOutputs) {
  static const std::vector<Row> rows = chained_rows();
  const int64_t lengths[] = {1, 3, 31, 64, 65, 128, 257, 1000, 1024, 4099};
  for (unsigned seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](const auto& from) {
      return from[random() % std::size(from)];
    };
    const Shape space{pick(lengths)};
    TapeMaker tape;
    std::vector<Tensor> in;
    std::vector<uint16_t> values;
    for (int i = 0; i < 4; ++i) {
      values.push_back(tape.load(float32));
      in.push_back(normal(float32, space, int(seed * 5) + i));
    }
    const int count = 2 + static_cast<int>(random() % (seed % 4 ? 16 : 80));
    for (int i = 0; i < count; ++i) {
      const Row row = pick(rows);
      if (info(row).rule == Rule::compare || row == Row::select) continue;
      const auto a = random() % 2 ? values.back() : pick(values);
      values.push_back(info(row).arity == 1 ? tape.row(row, a)
                                            : tape.row(row, a, pick(values)));
    }
    std::vector<int> in_place, operands = {0, 1, 2, 3};
    const size_t made = values.size() - operands.size();
    if (made == 0) continue;
    std::shuffle(operands.begin(), operands.end(), random);
    const int outputs = 1 + static_cast<int>(random() % 4);
    for (int k = 0; k < outputs; ++k) {
      tape.store(k == 0 ? values.back()
                        : values[operands.size() + random() % made]);
      in_place.push_back(random() % 2 ? operands[static_cast<size_t>(k)] : -1);
    }
    const unsigned unwanted = random() % 4 == 0 ? 1U << random() % 4 : 0;
    expect_rows(tape.tape(), space, in, seed, in_place, unwanted);
    if (HasFatalFailure()) return;
  }
}

// Chains that end in sums of rows, and rows whose operands are one number a
// row: of a sum, or of an operand that does not pass along the row.
TEST_P(Chains, HaveTheBitsOfTheirRowsAroundSums) {
  const std::vector<Row> rows = {Row::add,
                                 Row::subtract,
                                 Row::multiply,
                                 Row::maximum,
                                 Row::square,
                                 Row::abs,
                                 Row::exp};
  const int64_t lengths[] = {
      1, 5, 31, 32, 64, 100, 127, 128, 256, 384, 500, 512, 640, 1000, 1024};
  const int64_t counts[] = {1, 2, 3, 7, 20};
  const std::vector<Dtype> dtypes = {float32, float32, float16, bfloat16};
  for (unsigned seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](const auto& from) {
      return from[random() % std::size(from)];
    };
    const Shape space{pick(counts), pick(lengths)};
    TapeMaker tape(1);
    std::vector<Tensor> in;
    std::vector<uint16_t> tiles, numbers;
    for (int i = 0; i < 4; ++i) {
      const Dtype dtype = pick(dtypes);
      const auto s = static_cast<int>(seed) + i;
      Shape shape = space;
      if (i == 1) shape[0] = 1;  // the same in all rows
      if (i >= 2) shape[1] = 1;  // one number a row
      in.push_back(normal(dtype, shape, s).broadcast(space));
      const auto v = tape.load(dtype, i == 3);
      (i == 3 ? numbers : tiles).push_back(v);
    }
    const int steps = 2 + static_cast<int>(random() % 14);
    for (int i = 0; i < steps; ++i) {
      const Row row = pick(rows);
      const auto a = random() % 3 ? tiles.back() : pick(tiles);
      const auto b = random() % 3 ? pick(tiles) : pick(numbers);
      const bool swap = random() % 2;
      tiles.push_back(info(row).arity == 1
                          ? tape.row(row, a)
                          : tape.row(row, swap ? b : a, swap ? a : b));
      if (random() % 4 == 0) {
        const auto sum = tape.reduce_row(
            random() % 4 ? ReduceKind::sum : ReduceKind::max, tiles.back());
        numbers.push_back(tape.row(Row::multiply, sum, pick(numbers)));
      }
    }
    tape.store(tiles.back(), pick(dtypes));
    if (random() % 2) tape.store(pick(tiles), pick(dtypes));
    if (random() % 2) tape.store_row(numbers.back());
    expect_rows(tape.tape(), space, in, seed);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets,
                         Chains,
                         ::testing::Values(SimdTarget::best,
                                           SimdTarget::avx2,
                                           SimdTarget::sse4));

}  // namespace
}  // namespace treadle::testing
