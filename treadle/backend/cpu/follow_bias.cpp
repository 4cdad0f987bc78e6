#include "treadle/backend/cpu/follow_bias.h"

#include <algorithm>
#include <cstring>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

namespace {

using plan::TapeValue;
using runtime::Follow;
using runtime::Operand;

// Elements of which a thread does all the work before it takes others: they
// stay in its second cache.
constexpr int64_t kPiece = 32 << 10;

// One value for each place of a row. What is added to a single row may be an
// array whose memory an output takes over.
bool is_vector(const Operand& x) {
  return x.shape.size() == 2 && x.shape[0] > 1 && x.strides[0] == 0;
}

// load, load, add, store, of which the dtype changes nothing.
bool is_addition(const plan::Tape& tape, Dtype dtype) {
  const auto& v = tape.values;
  return v.size() == 4 && tape.outputs.size() == 1 &&
         tape.outputs[0].dtype == dtype && v[0].code == TapeValue::Code::load &&
         v[1].code == TapeValue::Code::load && v[0].index != v[1].index &&
         v[2].code == TapeValue::Code::row && v[2].row == Row::add &&
         v[2].a != v[2].b && v[2].a < 2 && v[2].b < 2 &&
         v[3].code == TapeValue::Code::store && v[3].a == 2;
}

}  // namespace

const Operand* followed_by_bias(const Follow& follow) {
  if (follow.in.size() != 2 || follow.out.size() != 1) return nullptr;
  const auto& tape = static_cast<const plan::Fused&>(follow.op).tape;
  const Operand& product = follow.in[follow.product];
  const Operand& other = follow.in[1 - follow.product];
  const bool is_bias = is_vector(other) && other.dtype == product.dtype &&
                       is_addition(tape, product.dtype);
  return is_bias ? &other : nullptr;
}

size_t dense_bias_bytes(const Operand& bias) {
  const bool dense = bias.strides[1] == 1 || bias.shape[1] == 1;
  return dense ? 0 : size_t(bias.shape[1]) * size_of(bias.dtype);
}

const void* dense_bias(const Operand& bias, void* space) {
  if (dense_bias_bytes(bias) == 0) return bias.data;
  const size_t size = size_of(bias.dtype);
  const char* from = static_cast<const char*>(bias.data);
  char* to = static_cast<char*>(space);
  for (int64_t i = 0; i < bias.shape[1]; ++i, to += size) {
    std::memcpy(to, from, size);
    from += bias.strides[1] * int64_t(size);
  }
  return space;
}

const Operand* follows_in_place(const Follow& follow) {
  const Operand& product = follow.in[follow.product];
  // What leads to several outputs may be read again after one is written.
  if (product.shape[0] < 2 || follow.out.size() != 1) return nullptr;
  for (size_t i = 0; i < follow.in.size(); ++i) {
    if (i != follow.product && follow.in[i].strides[0] != 0) return nullptr;
  }
  const Operand& out = follow.out[0];
  return out.dtype == product.dtype && out.contiguous ? &out : nullptr;
}

void follow_everywhere(const Follow& follow, void* rows, int threads) {
  const Operand& product = follow.in[follow.product];
  const int64_t count = product.shape[0];
  const int64_t size = product.strides[0] * int64_t(size_of(product.dtype));
  const int64_t block = std::max<int64_t>(1, kPiece / product.strides[0]);
  parallel_tasks(threads, (count + block - 1) / block, [&](int64_t i) {
    const int64_t first = i * block;
    runtime::run_follow(follow,
                        first,
                        std::min(block, count - first),
                        static_cast<char*>(rows) + first * size);
  });
}

}  // namespace treadle::backend::cpu
