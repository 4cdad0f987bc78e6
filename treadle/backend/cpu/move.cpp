#include "treadle/backend/cpu/move.h"

#include "treadle/backend/cpu/memory.h"
#include "treadle/ops/views.h"

namespace treadle::backend::cpu {

using runtime::Operand;
using runtime::Task;

void zero(const Operand& to, int threads) {
  uint64_t bits = 0;
  Operand from{&bits, to.dtype, to.shape, Strides(to.shape.size(), 0), false};
  copy(from, to, threads);
}

Operand slice_of(const Operand& x,
                 const Shape& start,
                 const Shape& step,
                 const Shape& shape) {
  Operand part = x;
  part.shape = shape;
  part.contiguous = false;
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    offset += start[i] * x.strides[i];
    part.strides[i] = x.strides[i] * step[i];
  }
  if (size_of(shape) > 0) {
    part.data = static_cast<char*>(x.data) + offset * int64_t(size_of(x.dtype));
  }
  return part;
}

namespace {

void run_contiguous(const Task& task) {
  copy(task.in[0], task.out[0], task.threads);
}

void run_slice_update(const Task& task) {
  const auto& op = static_cast<const SliceUpdate&>(task.op);
  const Operand& out = task.out[0];
  std::vector<char> store;
  Operand update = apart_from(task.in[1], out, store);
  if (out.data != task.in[0].data) copy(task.in[0], out, task.threads);
  copy(update, slice_of(out, op.start, op.step, update.shape), task.threads);
}

// Nothing is written twice: of each axis in turn the two margins are zeroed,
// and what lies between them is the region that the next axis divides.
void run_pad(const Task& task) {
  const auto& op = static_cast<const Pad&>(task.op);
  const Operand& in = task.in[0];
  Operand inside = task.out[0];
  const Shape ones(in.shape.size(), 1);
  for (size_t i = 0; i < in.shape.size(); ++i) {
    auto along = [&](int64_t from, int64_t length) {
      Shape start(in.shape.size(), 0), shape = inside.shape;
      start[i] = from;
      shape[i] = length;
      return slice_of(inside, start, ones, shape);
    };
    zero(along(0, op.low[i]), task.threads);
    zero(along(op.low[i] + in.shape[i], op.high[i]), task.threads);
    inside = along(op.low[i], in.shape[i]);
  }
  copy(in, inside, task.threads);
}

void run_concatenate(const Task& task) {
  const auto& op = static_cast<const Concatenate&>(task.op);
  const Operand& out = task.out[0];
  Shape start(out.shape.size(), 0), step(out.shape.size(), 1);
  for (const Operand& in : task.in) {
    copy(in, slice_of(out, start, step, in.shape), task.threads);
    start[size_t(op.axis)] += in.shape[size_t(op.axis)];
  }
}

}  // namespace

runtime::Kernel contiguous() {
  return {.name = "cpu::contiguous", .run = run_contiguous, .strided = true};
}
runtime::Kernel slice_update() {
  return {.name = "cpu::slice_update",
          .run = run_slice_update,
          .strided = true,
          .in_place = true};
}
runtime::Kernel pad() {
  return {.name = "cpu::pad", .run = run_pad, .strided = true};
}
runtime::Kernel concatenate() {
  return {.name = "cpu::concatenate", .run = run_concatenate, .strided = true};
}

}  // namespace treadle::backend::cpu
