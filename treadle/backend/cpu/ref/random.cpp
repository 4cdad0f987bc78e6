#include "treadle/backend/cpu/ref/random.h"

#include <cstring>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/threefry.h"
#include "treadle/ops/random.h"

namespace treadle::backend::cpu {

namespace {

// Word i of a key's block of `words` words (ops/random.h, RandomBits).
uint32_t word_at(Words key, int64_t i, int64_t words) {
  int64_t half = words / 2, odd = words % 2;
  if (i == half && odd) return threefry2x32(key, {uint32_t(half), 0}).a;
  bool first = i < half;
  uint32_t low = uint32_t(first ? i : i - half - odd);
  Words w = threefry2x32(key, {low, uint32_t(low + half + odd)});
  return first ? w.a : w.b;
}

// The last word of a key is cut when its bytes do not fill it.
void run(const runtime::Task& task) {
  const runtime::Operand &keys = task.in[0], &out = task.out[0];
  const auto& op = static_cast<const RandomBits&>(task.op);
  int64_t bytes = size_of(op.shape) * op.width, words = (bytes + 3) / 4;
  const auto* k = static_cast<const uint32_t*>(keys.data);
  char* to = static_cast<char*>(out.data);
  Shape lead = keys.shape;
  Strides strides = keys.strides;
  int64_t second = strides.back();
  lead.pop_back();
  strides.pop_back();
  for (Rows<1> r(lead, {&strides, 1}); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i, to += bytes) {
      const uint32_t* at = k + r.offset(0) + i * r.step(0);
      for (int64_t j = 0; j < words; ++j) {
        uint32_t w = word_at({at[0], at[second]}, j, words);
        std::memcpy(
            to + 4 * j, &w, size_t(std::min<int64_t>(4, bytes - 4 * j)));
      }
    }
  }
}

}  // namespace

runtime::Kernel ref_random_bits() {
  return {.name = "ref::random_bits", .run = run, .strided = true};
}

}  // namespace treadle::backend::cpu
