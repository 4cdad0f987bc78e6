#include "treadle/backend/cpu/ref/move.h"

#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/backend/cpu/memory.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/ops/views.h"

namespace treadle::backend::cpu {

using runtime::Operand;
using runtime::Task;

void ref_copy(const Operand& from, const Operand& to) {
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

namespace {

void run_copy(const Task& task) { ref_copy(task.in[0], task.out[0]); }

void run_slice_update(const Task& task) {
  const auto& op = static_cast<const SliceUpdate&>(task.op);
  const Operand& out = task.out[0];
  std::vector<char> store;
  Operand update = apart_from(task.in[1], out, store);
  if (out.data != task.in[0].data) ref_copy(task.in[0], out);
  ref_copy(update, slice_of(out, op.start, op.step, update.shape));
}

void run_pad(const Task& task) {
  const auto& op = static_cast<const Pad&>(task.op);
  const Operand &in = task.in[0], &out = task.out[0];
  uint64_t zero = 0;
  Operand zeros{
      &zero, out.dtype, out.shape, Strides(out.shape.size(), 0), false};
  ref_copy(zeros, out);
  ref_copy(in, slice_of(out, op.low, Shape(in.shape.size(), 1), in.shape));
}

void run_concatenate(const Task& task) {
  const auto& op = static_cast<const Concatenate&>(task.op);
  const Operand& out = task.out[0];
  Shape start(out.shape.size(), 0), step(out.shape.size(), 1);
  for (const Operand& in : task.in) {
    ref_copy(in, slice_of(out, start, step, in.shape));
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
