#include <algorithm>
#include <set>

#include "tests/cuda_check/tapes.h"
#include "tools/gpu_smoke/checks.h"

namespace treadle::gpu_smoke {
namespace {

using namespace cuda_check;
using plan::Lane;
using plan::Tape;

using Specs = std::vector<OperandSpec>;

std::string text(const Shape& s) { return to_string(s); }

class List {
 public:
  void add(std::string name,
           Tape tape,
           Shape space,
           Specs operands,
           std::vector<Tolerance> tolerances) {
    if (tolerances.size() == 1)
      tolerances.assign(tape.outputs.size(), tolerances[0]);
    Check c;
    c.name = name + " " + text(space);
    c.tape = std::move(tape);
    c.space = space;
    c.operands = std::move(operands);
    c.tolerances = std::move(tolerances);
    checks.push_back(std::move(c));
  }

  std::vector<Check> checks;
};

// Every value of the chain is of order 1 and each transcendental step is within
// 2 units, so the sum stays below 4.
void chains(List& l) {
  const Tolerance t{4, 1};
  const Tape f32 = chain(float32);
  for (int64_t n : {1, 3, 4, 255, 1024, 1000003, 1 << 20}) {
    l.add("chain f32", f32, {n}, {{View::full}}, {t});
  }
  l.add("chain f32 misaligned", f32, {100003}, {{View::misaligned}}, {t});
  l.add("chain f32 padded", f32, {100, 1000}, {{View::padded}}, {t});
  l.add("chain f32 padded", f32, {3, 100, 260}, {{View::padded}}, {t});
  l.add("chain f32 padded", f32, {100, 1001}, {{View::padded}}, {t});
  l.add("chain f32 transposed", f32, {64, 100, 33}, {{View::transposed}}, {t});
  l.add("chain f32 transposed",
        f32,
        {2, 3, 4, 5, 6, 7},
        {{View::transposed}},
        {t});
  l.add("chain f32 of a scalar", f32, {1000}, {{View::scalar}}, {t});
  l.add(
      "chain bf16", chain(bfloat16), {100001}, {{View::full}}, {{0.52, 0.05}});
  l.add("chain f16", chain(float16), {100001}, {{View::full}}, {{0.52, 0.05}});
  l.add("chain f64", chain(float64), {100001}, {{View::full}}, {t});
}

void broadcasts(List& l) {
  const Tape f32 = scale_shift_relu(float32), f16 = scale_shift_relu(float16);
  const Tolerance t{1, 9}, half{0.51, 0.5};
  const Specs bias = {{View::full}, {View::inner}, {View::scalar}};
  const Specs rows = {{View::full}, {View::outer}, {View::inner}};
  const Specs mixed = {{View::transposed}, {View::inner}, {View::full}};
  for (const Shape& s :
       {Shape{37, 1000}, Shape{37, 1001}, Shape{5, 7, 11}, Shape{300, 64}}) {
    l.add("relu(x w + b) f32, w per column", f32, s, bias, {t});
    l.add("relu(x w + b) f32, w per row", f32, s, rows, {t});
    l.add("relu(x w + b) f32, x transposed", f32, s, mixed, {t});
    l.add("relu(x w + b) f16, w per column", f16, s, bias, {half});
    l.add("relu(x w + b) f16, w per row", f16, s, rows, {half});
  }
  l.add("relu(x w + b) i8", scale_shift_relu(int8), {100, 100}, bias, {{0, 0}});
  l.add("masked f32",
        masked(float32),
        {100, 104},
        {{View::outer}, {View::full}, {View::scalar}},
        {{0, 0}});
  l.add("masked f32",
        masked(float32),
        {10401},
        {{View::full}, {View::full}, {View::full}},
        {{0, 0}});
  Specs adam(4, View::full);
  adam[3] = {View::full, 0.5};  // the second moment is not negative
  for (double v : {0.9, 0.999, 1e-3, 1e-8, 0.99})
    adam.push_back({View::scalar, v});
  // The terms of the moments are as large as 6 and 9.
  const std::vector<Tolerance> steps = {{2, 1}, {2, 6}, {2, 9}};
  for (int64_t n : {1000003, 4096})
    l.add("adamw f32", adamw(), {n}, adam, steps);
}

// exp's argument, up to 4 in size, is rounded in float and exp is within 2
// units, in both the terms and their sum.
void softmaxes(List& l) {
  const Tolerance t{8, 0};
  const Tape f32 = softmax(float32);
  for (int64_t n : {1,    2,    4,    8,     12,    16,    31,    32,   33,
                    64,   100,  256,  511,   512,   513,   516,   1000, 1024,
                    4096, 8192, 8193, 16384, 16388, 20000, 100003}) {
    l.add("softmax f32",
          f32,
          {n < 2000 ? 101 : 5, n},
          {{View::full, {}, 2}},
          {t});
  }
  l.add("softmax f32 padded", f32, {100, 1000}, {{View::padded, {}, 2}}, {t});
  l.add("softmax f32 padded", f32, {10, 10, 70}, {{View::padded, {}, 2}}, {t});
  l.add("softmax f32 misaligned",
        f32,
        {50, 400},
        {{View::misaligned, {}, 2}},
        {t});
  for (int64_t n : {5, 100, 300, 5000}) {
    l.add("softmax f32 transposed",
          f32,
          {7, 6, n},
          {{View::transposed, {}, 2}},
          {t});
  }
  Tape two = f32;
  two.inner_axes = 2;
  l.add("softmax f32 over two axes",
        two,
        {10, 12, 20},
        {{View::full, {}, 2}},
        {t});
  l.add("softmax f32 over two axes, padded",
        two,
        {10, 12, 20},
        {{View::padded, {}, 2}},
        {t});
  for (int64_t n : {100, 1024, 4096, 40000}) {
    l.add("softmax f16",
          softmax(float16),
          {9, n},
          {{View::full, {}, 2}},
          {{0.52, 0}});
    l.add("softmax bf16",
          softmax(bfloat16),
          {9, n},
          {{View::full, {}, 2}},
          {{0.52, 0}});
    l.add("softmax f64", softmax(float64), {9, n}, {{View::full, {}, 2}}, {t});
  }
}

void norms(List& l) {
  const std::vector<Tolerance> forward = {{2, 8}, {4, 1}, {8, 0}};
  const std::vector<Tolerance> forward_half = {{0.52, 0.1}, {4, 1}, {8, 0}};
  for (const Shape& s : {Shape{100, 64},
                         Shape{37, 768},
                         Shape{37, 1000},
                         Shape{37, 1023},
                         Shape{9, 4096},
                         Shape{5, 12000},
                         Shape{3000, 68}}) {
    const double m = double(s[0]), n = double(s[1]);
    const Specs in = {View::full,
                      View::inner,
                      View::inner,
                      {View::scalar, n},
                      {View::scalar, 1e-5}};
    l.add("layer_norm f32", layer_norm(float32), s, in, forward);
    l.add("layer_norm bf16", layer_norm(bfloat16), s, in, forward_half);
    const Specs back = {View::full,
                        View::full,
                        View::inner,
                        {View::outer, {}, 0.2},
                        {View::outer, 0.6},
                        {View::scalar, n}};
    // A column's terms are at most 3 in size, before they cancel.
    l.add("layer_norm_backward f32",
          layer_norm_backward(),
          s,
          back,
          {{4, 5}, {1, 3 * m}, {1, 3 * m}});
  }
}

void columns(List& l) {
  // The squares of a column do not cancel.
  const std::vector<Tolerance> extremes = {{4, 0}, {0, 0}, {0, 0}, {0.5, 0}};
  for (const Shape& s : {Shape{1, 1},
                         Shape{1000, 1},
                         Shape{1, 1000},
                         Shape{4096, 64},
                         Shape{1000, 1001},
                         Shape{100000, 3},
                         Shape{20000, 12},
                         Shape{300, 5000},
                         Shape{0, 10},
                         Shape{17, 128}}) {
    const double m = std::max<double>(1, double(s[0]));
    l.add("column sum f32", column_sum(float32), s, {View::full}, {{1, m}});
    l.add("column sum i64", column_sum(int64), s, {View::full}, {{0, 0}});
    if (s[0] == 0) continue;
    l.add("column sum f16",
          column_sum(float16),
          s,
          {{View::padded, {}, 0.1}},
          {{0.52, 0.1}});
    l.add(
        "column extremes f32", column_extremes(), s, {View::padded}, extremes);
    l.add("column extremes f32 transposed",
          column_extremes(),
          s,
          {View::transposed},
          extremes);
  }
  for (int64_t n : {1, 37, 1000, 30000}) {
    l.add("row extremes i32",
          row_extremes(int32),
          {20, n},
          {View::full},
          {{0, 0}});
    l.add("row extremes u64",
          row_extremes(uint64),
          {20, n},
          {View::full},
          {{0, 0}});
  }
  l.add("row extremes c64",
        row_extremes(complex64),
        {20, 12},
        {View::full},
        {{16, 0}, {0, 0}, {0, 0}});
}

void dtypes(List& l) {
  for (int t = 0; t < kNumDtypes; ++t) {
    const Dtype from = Dtype(t);
    l.add("conversions from " + std::string(name_of(from)),
          conversions(from),
          {1001},
          {{View::full, {}, 100}},
          {{0, 0}});
    l.checks.back().precision = Precision::lanes;
  }
}

// Rows that are one correctly rounded operation, or a composition of such; the
// others are within 4 units, or 2 of a complex number's modulus.
void rows(List& l) {
  const std::set<Row> exact = {Row::negative,
                               Row::abs,
                               Row::sign,
                               Row::square,
                               Row::sqrt,
                               Row::floor,
                               Row::ceil,
                               Row::rint,
                               Row::reciprocal,
                               Row::add,
                               Row::subtract,
                               Row::multiply,
                               Row::divide,
                               Row::floor_divide,
                               Row::maximum,
                               Row::minimum,
                               Row::remainder,
                               Row::conjugate,
                               Row::select};
  const std::set<Row> exact_complex = {Row::negative,
                                       Row::add,
                                       Row::subtract,
                                       Row::maximum,
                                       Row::minimum,
                                       Row::conjugate,
                                       Row::rint,
                                       Row::select};
  for (int i = 0; i < plan::kNumLanes; ++i) {
    const Lane lane = Lane(i);
    const Dtype t = dtype_of_lane(lane);
    std::vector<Row> names;
    const Tape tape = all_rows(lane, &names);
    Check c;
    c.name = "all rows " + std::string(name_of(t));
    c.tape = tape;
    c.space = {20000};
    // Misaligned, for elements one by one: the text for vectors is long.
    c.operands = {{View::misaligned}, {View::full}, {View::full}};
    c.precision = Precision::lanes;
    c.special_values = !is_complex(t);
    for (Row r : names) {
      const Rule rule = info(r).rule;
      bool is_exact =
          rule == Rule::compare || rule == Rule::logical || !is_inexact(t);
      is_exact |=
          is_complex(t) ? exact_complex.count(r) > 0 : exact.count(r) > 0;
      // logaddexp is a sum of terms up to 1 in size where it is near 0.
      c.tolerances.push_back({is_exact        ? 0.0
                              : is_complex(t) ? 2.0
                                              : 4.0,
                              r == Row::logaddexp ? 1.0 : 0.0});
      c.output_names.emplace_back(info(r).name);
    }
    l.checks.push_back(std::move(c));
  }
}

}  // namespace

std::vector<Check> all_checks() {
  List l;
  chains(l);
  broadcasts(l);
  softmaxes(l);
  norms(l);
  columns(l);
  dtypes(l);
  rows(l);
  return std::move(l.checks);
}

}  // namespace treadle::gpu_smoke
