// One row on arrays of any strides: each element goes to its lane, through the
// scalar meaning of the row, and back to its dtype, which rounds or wraps once.
#include "treadle/backend/cpu/ref/elementwise.h"

#include <algorithm>
#include <cstring>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/lane_table.h"

namespace treadle::backend::cpu {
namespace {

using runtime::Operand;
using runtime::Task;

constexpr int64_t kChunk = 256;

// n elements, a stride of bytes apart, to or from one run.
void gather(size_t size, char* run, const char* p, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(run + i * size, p + i * stride, size);
}
void scatter(size_t size, const char* run, char* p, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(p + i * stride, run + i * size, size);
}

void run(const Task& task) {
  Row row = static_cast<const Elementwise&>(task.op).row;
  const int arity = info(row).arity;
  const bool choose = info(row).rule == Rule::choose;
  const Operand& out = task.out[0];
  if (!out.data) return;
  // Of a bool, the complement is the negation; its lane has more bits than one.
  if (row == Row::bitwise_invert && out.dtype == bool_) row = Row::logical_not;
  const LaneTable& table = scalar_table();
  const plan::Lane lane = plan::lane_of(task.in[choose ? 1 : 0].dtype);
  const RowFn fn = table.row[static_cast<int>(row)][static_cast<int>(lane)];

  // Operands and the output; inputs that are not there repeat the output's
  // place.
  Strides strides[4];
  for (int k = 0; k < 4; ++k) {
    if (k < arity) {
      const Strides& s = task.in[k].strides;
      strides[k] =
          s.size() == out.shape.size() ? s : Strides(out.shape.size(), 0);
    } else {
      strides[k] = out.strides;
    }
  }
  Shape shape = out.shape;
  collapse(shape, strides);
  alignas(64) char memory[kChunk * 8];
  alignas(64) char lanes[3][kChunk * 8];
  for (Rows<4> r(shape, strides); r.more(); r.next()) {
    for (int64_t at = 0; at < r.length(); at += kChunk) {
      const int64_t n = std::min(kChunk, r.length() - at);
      for (int k = 0; k < arity; ++k) {
        const Operand& in = task.in[k];
        const auto size = static_cast<int64_t>(size_of(in.dtype));
        gather(size,
               memory,
               static_cast<const char*>(in.data) +
                   (r.offset(k) + at * r.step(k)) * size,
               r.step(k) * size,
               n);
        table.load[static_cast<int>(in.dtype)](n, lanes[k], memory);
      }
      alignas(64) char result[kChunk * 8];
      fn(n, result, lanes[0], lanes[1], lanes[2], 0);
      table.store[static_cast<int>(out.dtype)](n, memory, result);
      const auto size = static_cast<int64_t>(size_of(out.dtype));
      scatter(
          size,
          memory,
          static_cast<char*>(out.data) + (r.offset(3) + at * r.step(3)) * size,
          r.step(3) * size,
          n);
    }
  }
}

std::string why_not(const Op& op,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  const Row row = static_cast<const Elementwise&>(op).row;
  const Rule rule = info(row).rule;
  const Dtype t = in[rule == Rule::choose ? 1 : 0].dtype;
  if (!plan::takes_lane(rule, plan::lane_of(t))) {
    return std::string(info(row).name) + " does not take " +
           std::string(name_of(t));
  }
  return "";
}

}  // namespace

runtime::Kernel ref_elementwise() {
  runtime::Kernel k;
  k.name = "ref::elementwise";
  k.why_not = why_not;
  k.run = run;
  k.strided = true;
  k.in_place = true;
  return k;
}

}  // namespace treadle::backend::cpu
