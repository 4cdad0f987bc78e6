// Functions in files: every op of the case tables comes back as it was, and
// files that lie are refused. python/tests/test_export.py has the Python side.
#include "treadle/io/function.h"

#include <random>

#include <gmock/gmock.h>

#include "treadle/base/hash.h"
#include "treadle/graph/node.h"
#include "treadle/graph/trace.h"

#include "tests/cases/composed.h"
#include "tests/cases/core.h"
#include "tests/cases/cumulative.h"
#include "tests/cases/elementwise.h"
#include "tests/cases/fast.h"
#include "tests/cases/indexing.h"
#include "tests/cases/linalg.h"
#include "tests/cases/products.h"
#include "tests/cases/sort.h"
#include "tests/support/temp_file.h"

namespace treadle::testing {
namespace {

using ::testing::ElementsAre;
using treadle::test::TempFile;

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (const auto& some : {elementwise_cases(),
                           core_cases(),
                           indexing_cases(),
                           composed_cases(),
                           fast_cases(),
                           sort_cases(),
                           cumulative_cases(),
                           einsum_cases(),
                           factor_cases(),
                           system_cases(),
                           fft_cases()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

class ExportedOp : public ::testing::TestWithParam<OpCase> {};

TEST_P(ExportedOp, GivesTheSameFromAFile) {
  const OpCase& c = GetParam();
  const Arrays in = draw(c);
  auto f = [&](const Arrays& x) { return Arrays{c.f(x)}; };
  TempFile file("case");
  export_function(file.path(), f, in);
  expect_close(import_function(file.path())(in)[0], c.f(in), 4, c.name, 1);
  if (!c.gradient) return;
  std::vector<int> args;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].differentiable && is_floating(in[i].dtype())) {
      args.push_back(int(i));
    }
  }
  if (args.empty()) return;
  const ArraysFn g = grad(
      [&](const Arrays& x) {
        return Arrays{sum(square(astype(c.f(x), float32)))};
      },
      args);
  export_function(file.path(), g, in);
  const Arrays got = import_function(file.path())(in), want = g(in);
  for (size_t i = 0; i < want.size(); ++i) {
    expect_close(got[i], want[i], 64, c.name + " gradient", 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ExportedOp,
                         ::testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(Function, TracesConstantsAndMetadataComeBack) {
  TempFile file("traces");
  const array w = arange(3, float32);
  {
    FunctionExporter e(
        file.path(),
        [&](const Arrays& x, const NamedArrays& named) {
          array y = x[0] + w;
          return Arrays{named.empty() ? y : y * named.at("scale"), w};
        },
        {.metadata = "kept"});
    e({ones({3})});
    e({ones({2, 3})}, {{"scale", array(2.0f)}});
    EXPECT_THROW(e({zeros({3})}), std::invalid_argument);
  }
  const ImportedFunction f = import_function(file.path());
  EXPECT_EQ(f.metadata(), "kept");
  EXPECT_THAT(f({ones({3})})[0].to_vector<int>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(f({ones({2, 3})}, {{"scale", array(2.0f)}})[0].to_vector<int>(),
              ElementsAre(2, 4, 6, 2, 4, 6));
  EXPECT_THROW(f({ones({4})}), std::invalid_argument);
  EXPECT_THROW(f({ones({3}, int32)}), std::invalid_argument);
  EXPECT_THROW(f({ones({3})}, {{"scale", array(2.0f)}}), std::invalid_argument);
}

TEST(Function, OtherLengthsAreTakenWhenTheyAreFree) {
  TempFile file("lengths");
  const array w = ones({4, 5});
  auto f = [&](const Arrays& x) {
    array h = matmul(x[0], w);  // (B, T, 4) -> (B, T, 5)
    array flat = reshape(h, {-1, 5});
    return Arrays{softmax(flat, -1) - mean(flat, 0),
                  var(x[0]),
                  concatenate({x[0], x[0]}, 1),
                  slice(x[0], {0, 1, 0}, {2, x[0].shape(1), 4})};
  };
  export_function(file.path(), f, {ones({2, 3, 4})}, {.shapeless = true});
  const ImportedFunction g = import_function(file.path());
  for (const Shape& s : {Shape{2, 3, 4}, Shape{5, 8, 4}, Shape{7, 16, 4}}) {
    const array x = random::normal(s, float32, 0, 1, random::key(1));
    const Arrays got = g({x}), want = f({x});
    for (size_t i = 0; i < want.size(); ++i) {
      expect_close(got[i], want[i], 16, "shapeless", 1);
    }
  }
  EXPECT_THROW(g({ones({2, 3, 5})}), std::invalid_argument);
  EXPECT_THROW(g({ones({2, 3})}), std::invalid_argument);
}

// x^2 y, whose derivatives are said to be 5 and 7 times too large.
Arrays with_rules(const Arrays& x) {
  const array scale = x[0] * 2.0f;  // captured by the rules
  const ArraysFn f = custom_function(
      [](const Arrays& v) { return Arrays{square(v[0]) * v[1]}; },
      {.vjp =
           [scale](const Arrays& v, const Arrays& ct, const Arrays& y) {
             return Arrays{10 * ct[0] * v[0] * v[1] + 0 * (y[0] + scale),
                           array()};
           },
       .jvp =
           [](const Arrays& v, const Arrays& t) {
             array sum = zeros_like(v[0]);
             if (!t[0].null()) sum = sum + 14 * t[0] * v[0] * v[1];
             return Arrays{sum};
           },
       .vmap = nullptr});
  return f({x[0], x[0] + 1});
}

TEST(Function, RulesOfCustomFunctionsAreKept) {
  TempFile file("rules");
  const array x = arange(4, float32) + 1.0f, one = ones({4});
  export_function(file.path(), with_rules, {x});
  const ImportedFunction f = import_function(file.path());
  const ArraysFn imported = [&](const Arrays& v) { return f(v); };
  expect_close(f({x})[0], with_rules({x})[0], 0, "value", 1);
  expect_close(
      vjp(imported, {x}, {one}).second[0], 10 * x * (x + 1.0f), 0, "vjp", 1);
  expect_close(
      jvp(imported, {x}, {one}).second[0], 14 * x * (x + 1.0f), 0, "jvp", 1);
}

TEST(Function, CheckpointsAreKept) {
  TempFile file("checkpoint");
  const array w = ones({3});
  auto f = [&](const Arrays& x) {
    const array scale = x[0] + 1.0f;
    return checkpoint([&](const Arrays& v) {
      return Arrays{sum(sin(v[0] * scale) * w)};
    })({x[0]});
  };
  const array x = arange(3, float32);
  export_function(file.path(), f, {x});
  const ImportedFunction g = import_function(file.path());
  const ArraysFn imported = [&](const Arrays& v) { return g(v); };
  expect_close(g({x})[0], f({x})[0], 4, "value", 1);
  expect_close(
      grad(imported)({x})[0], grad(ArraysFn(f))({x})[0], 4, "gradient", 1);
  Trace trace("test");
  const array y = f({x})[0], z = g({x})[0];
  EXPECT_EQ(y.node()->op->name(), "checkpoint");
  EXPECT_EQ(z.node()->op->name(), "checkpoint");
}

TEST(Function, PoolingToASizeTakesImagesOfAnyLength) {
  TempFile file("shared");
  const ArraysFn f = [](const Arrays& x) {
    auto loss = [](const Arrays& v) {
      return Arrays{sum(square(shared_pool(PoolKind::max, v[0], {3, 2})))};
    };
    return Arrays{shared_pool(PoolKind::mean, x[0], {2}), grad(loss)(x)[0]};
  };
  export_function(file.path(), f, {ones({1, 5, 4, 2})}, {.shapeless = true});
  const ImportedFunction back = import_function(file.path());
  const array x = reshape(sin(arange(96, float32)), {1, 6, 8, 2});
  const Arrays want = f({x}), got = back({x});
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(array_equal(got[i], want[i]).item<bool>());
}

TEST(Function, WhatNoFormulaExpressesIsSaid) {
  TempFile file("formula");
  auto f = [](const Arrays& x) {
    const double n = double(x[0].shape(0));
    return Arrays{x[0] * std::sqrt(n)};
  };
  EXPECT_THROW(
      export_function(file.path(), f, {ones({3})}, {.shapeless = true}),
      std::invalid_argument);
}

// The description of a file with other bytes and the hash that they need.
std::string rehashed(std::string bytes) {
  constexpr size_t kLength = 16, kHash = 24, kText = 40;
  uint64_t length = 0;
  std::memcpy(&length, &bytes[kLength], 8);
  if (length > bytes.size() - kText) return bytes;
  Hasher h;
  h.add(std::string_view(bytes).substr(kText, length));
  const Hash128 hash = h.result();
  std::memcpy(&bytes[kHash], &hash.lo, 8);
  std::memcpy(&bytes[kHash + 8], &hash.hi, 8);
  return bytes;
}

Arrays many_ops(const Arrays& x) {
  array a = matmul(x[0], swapaxes(x[0], 0, 1));
  a = take(a, array{1, 0, -1}, 0);
  a = pad(slice(a, {0, 1}, {2, 3}), {1, 0}, {0, 1});
  a = concatenate({a, transpose(a)}, 1);
  a = reshape(broadcast_to(expand_dims(a, 0), {2, 3, 6}), {6, 6});
  a = as_strided(contiguous(a), Shape{4, 4}, Shape{2, 7}, 1);
  a = softmax(cumsum(a, 1), -1) + max(a, 0, true) + sort(a);
  array image = reshape(x[0], {1, 3, 4, 1});
  array conv = conv2d(image, ones({2, 2, 2, 1}), {1, 1}, {1, 1});
  array pool = max_pool(conv, {2, 2});
  return {a,
          view(x[0], int32),
          scatter(x[0], array{1, 1}, ones({2, 4}), 0, ScatterMode::add),
          pool,
          shared_pool(PoolKind::max, conv, {2, 3}),
          random::bits({3}, 4, random::key(3)),
          argmax(x[0], 1)};
}

TEST(Function, FilesThatLieAreRefused) {
  TempFile file("lies");
  export_function(file.path(),
                  [](const Arrays& x) {
                    Arrays out = many_ops(x);
                    auto step = [](const Arrays& c, const Arrays& v) {
                      return ScanStep{{c[0] + sum(v[0])}, {c[0] * v[0]}};
                    };
                    out.push_back(scan(step, {array(0.0f)}, {x[0]}).second[0]);
                    out.push_back(with_rules({out[3]})[0]);
                    const ArraysFn kept = checkpoint(
                        [&](const Arrays& v) { return Arrays{exp(v[0])}; });
                    out.push_back(kept({x[0]})[0]);
                    return out;
                  },
                  {ones({3, 4})});
  const std::string good = file.read();
  EXPECT_EQ(import_function(file.path())({ones({3, 4})}).size(), 10u);

  std::string bad = good;
  bad[60] ^= 1;
  file.write(bad);
  EXPECT_THROW(import_function(file.path()), std::runtime_error);
  for (size_t n : {0ul, 7ul, 12ul, 30ul, 100ul, good.size() - 70}) {
    file.write(good.substr(0, n));
    EXPECT_THROW(import_function(file.path()), std::runtime_error);
  }
  // Changes that the hash does not betray: refused, or a function that runs or
  // throws, but reads nothing outside of its arrays.
  uint64_t length = 0;
  std::memcpy(&length, &good[16], 8);
  std::mt19937 random(0);
  const std::vector<uint64_t> numbers = {
      0, 1, 2, 3, 4, 7, 255, 1u << 31, uint64_t(-1), uint64_t(1) << 62};
  int loaded = 0;
  for (int i = 0; i < 3000; ++i) {
    bad = good;
    const size_t at = 40 + random() % (length - 8);
    if (i % 2) {
      bad[at] = char(random() % 8);
    } else {
      const uint64_t v = numbers[random() % numbers.size()];
      std::memcpy(&bad[at], &v, 8);
    }
    file.write(rehashed(bad));
    try {
      const ImportedFunction f = import_function(file.path());
      ++loaded;
      const auto loss = [&](const Arrays& x) {
        const Arrays y = f(x);
        return Arrays{sum(y.at(y.size() - 2)) + sum(y.back())};
      };
      Arrays y = f({ones({3, 4})});
      int64_t bytes = 0;
      for (const array& a : y) bytes += int64_t(a.nbytes());
      if (bytes >= (1 << 24)) continue;
      eval(y);
      if (i % 4 == 0) eval(grad(ArraysFn(loss))({ones({3, 4})}));
    } catch (const std::exception&) {
    }
  }
  EXPECT_GT(loaded, 100);
}

}  // namespace
}  // namespace treadle::testing
