#include "treadle/backend/cpu/random.h"

#include "treadle/backend/cpu/ref/random.h"
#include "treadle/backend/cpu/threefry.h"
#include "treadle/ops/random.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {
namespace {

using backend::cpu::random_bits;
using backend::cpu::ref_random_bits;
using backend::cpu::threefry2x32;
using backend::cpu::Words;

// The test vectors that the authors of Threefry publish.
TEST(Threefry, GivesThePublishedVectors) {
  Words a = threefry2x32({0, 0}, {0, 0});
  EXPECT_EQ(a.a, 0x6b200159u);
  EXPECT_EQ(a.b, 0x99ba4efeu);
  Words b = threefry2x32({~0u, ~0u}, {~0u, ~0u});
  EXPECT_EQ(b.a, 0x1cb996fcu);
  EXPECT_EQ(b.b, 0xbb002be7u);
  Words c = threefry2x32({0x13198a2e, 0x03707344}, {0x243f6a88, 0x85a308d3});
  EXPECT_EQ(c.a, 0xc4923a9cu);
  EXPECT_EQ(c.b, 0x483df7a0u);
}

RandomBits bits_op(int width, Shape shape) {
  RandomBits op;
  op.width = width;
  op.shape = shape;
  return op;
}

// What MLX 0.32 gives for split(key(0x123456789abcdef0), 4).
TEST(RandomBits, AreThoseOfMlx) {
  Tensor key = Tensor::of<uint32_t>({0x12345678, 0x9abcdef0}, {2});
  std::vector<uint32_t> want{0xe3c87262,
                             0x59394635,
                             0x9c0785d9,
                             0x17f63f85,
                             0xf895f0d6,
                             0xde9a1ae8,
                             0x2de899b6,
                             0x057ae5e6};
  for (const Kernel& k : {random_bits(), ref_random_bits()}) {
    EXPECT_EQ(run(k, bits_op(4, {4, 2}), {key})[0].values<uint32_t>(), want);
  }
}

TEST(RandomBits, NarrowIntegersAreThePiecesOfTheWords) {
  Tensor key = Tensor::of<uint32_t>({1, 2}, {2});
  for (const Kernel& k : {random_bits(), ref_random_bits()}) {
    auto words = run(k, bits_op(4, {6}), {key})[0].values<uint32_t>();
    auto bytes = run(k, bits_op(1, {23}), {key})[0].values<uint8_t>();
    for (size_t i = 0; i < 23; ++i) {
      EXPECT_EQ(bytes[i], uint8_t(words[i / 4] >> (8 * (i % 4))));
    }
  }
}

TEST(RandomBits, EverySizeIsThatOfTheReference) {
  Tensor keys = Tensor::numbers(uint32, {40, 3, 2}, 11);
  for (int width : {1, 2, 4}) {
    for (int64_t n : {0, 1, 2, 3, 5, 8, 63, 64, 65, 129, 1000, 1023, 4099}) {
      Tensor one = Tensor::of<uint32_t>({7, 9}, {2});
      expect_same(random_bits(), ref_random_bits(), bits_op(width, {n}), {one});
      expect_same(
          random_bits(), ref_random_bits(), bits_op(width, {n}), {keys});
      expect_same(random_bits(),
                  ref_random_bits(),
                  bits_op(width, {n}),
                  {keys.transposed({1, 0, 2}).sliced(1, 39, -3, 13)});
    }
  }
  expect_same(random_bits(),
              ref_random_bits(),
              bits_op(4, {1000003}),
              {Tensor::of<uint32_t>({7, 9}, {2})});
  expect_same(random_bits(),
              ref_random_bits(),
              bits_op(2, {300, 1001}),
              {Tensor::of<uint32_t>({7, 9, 1, 3}, {2, 2}).transposed({1, 0})});
}

}  // namespace
}  // namespace treadle::kernel_test
