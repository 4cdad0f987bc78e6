#include "treadle/backend/cpu/ref/move.h"

#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/backend.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/backend/cpu/memory.h"
#include "treadle/ops/views.h"

namespace treadle::backend::cpu {

using runtime::Operand;
using runtime::Task;

void copy_strided(const Operand& from, const Operand& to) {
  Shape shape = to.shape;
  Strides strides[] = {from.strides, to.strides};
  collapse(shape, strides);
  visit_dtype(from.dtype, [&]<class From>() {
    visit_dtype(to.dtype, [&]<class To>() {
      const From* x = static_cast<const From*>(from.data);
      To* y = static_cast<To*>(to.data);
      for (Rows<2> r(shape, strides); r.more(); r.next()) {
        for (int64_t i = 0; i < r.length(); ++i) {
          y[r.offset(1) + i * r.step(1)] =
              convert<To>(x[r.offset(0) + i * r.step(0)]);
        }
      }
    });
  });
}

Operand slice_of(const Operand& to,
                 const Shape& start,
                 const Shape& step,
                 const Shape& shape) {
  Operand part = to;
  part.shape = shape;
  part.contiguous = false;
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    offset += start[i] * to.strides[i];
    part.strides[i] = to.strides[i] * step[i];
  }
  if (size_of(shape) > 0) {
    part.data =
        static_cast<char*>(to.data) + offset * int64_t(size_of(to.dtype));
  }
  return part;
}

namespace {

void run_copy(const Task& task) { copy_strided(task.in[0], task.out[0]); }

void run_slice_update(const Task& task) {
  const auto& op = static_cast<const SliceUpdate&>(task.op);
  const Operand& out = task.out[0];
  std::vector<char> store;
  Operand update = apart_from(task.in[1], out, store);
  if (out.data != task.in[0].data) copy_strided(task.in[0], out);
  copy_strided(update, slice_of(out, op.start, op.step, update.shape));
}

void run_pad(const Task& task) {
  const auto& op = static_cast<const Pad&>(task.op);
  const Operand &in = task.in[0], &out = task.out[0];
  uint64_t zero = 0;
  Operand zeros{
      &zero, out.dtype, out.shape, Strides(out.shape.size(), 0), false};
  copy_strided(zeros, out);
  copy_strided(in, slice_of(out, op.low, Shape(in.shape.size(), 1), in.shape));
}

void run_concatenate(const Task& task) {
  const auto& op = static_cast<const Concatenate&>(task.op);
  const Operand& out = task.out[0];
  Shape start(out.shape.size(), 0), step(out.shape.size(), 1);
  for (const Operand& in : task.in) {
    copy_strided(in, slice_of(out, start, step, in.shape));
    start[size_t(op.axis)] += in.shape[size_t(op.axis)];
  }
}

}  // namespace

runtime::Kernel ref_astype() {
  return {.name = "ref::astype", .run = run_copy, .strided = true};
}
runtime::Kernel ref_contiguous() {
  return {.name = "ref::contiguous", .run = run_copy, .strided = true};
}
runtime::Kernel ref_slice_update() {
  return {.name = "ref::slice_update",
          .run = run_slice_update,
          .strided = true,
          .in_place = true};
}
runtime::Kernel ref_pad() {
  return {.name = "ref::pad", .run = run_pad, .strided = true};
}
runtime::Kernel ref_concatenate() {
  return {.name = "ref::concatenate", .run = run_concatenate, .strided = true};
}

}  // namespace treadle::backend::cpu
