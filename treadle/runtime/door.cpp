// What array asks of the runtime: graph/door.h and the methods of array that
// need a value.
#include "treadle/graph/door.h"

#include <cstring>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/views.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/eval.h"
#include "treadle/runtime/executor.h"
#include "treadle/runtime/memory.h"

namespace treadle {

namespace door {

BufferPtr allocate(size_t bytes, Device device) {
  BufferPtr b = runtime::allocate(bytes, device);
  if (bytes >= runtime::kNamedBytes && current_module_name()) {
    runtime::name_block(*b.get(), {current_module_name(), "", {}});
  }
  return b;
}

void check_kernel(const Op& op,
                  std::span<const Spec> in,
                  std::span<const Spec> out,
                  Stream stream) {
  if (op.kind() != OpKind::plain) {
    runtime::backend(stream.device.type);
    return;
  }
  std::string why;
  if (runtime::kernel_table(stream.device.type).find(op, in, out, &why)) return;
  unsupported(
      op.name(),
      fmt::format("has no {} kernel{}{}.",
                  stream.device.type == Device::Type::cpu ? "CPU" : "GPU",
                  why.empty() ? "" : ": ",
                  why));
}

void flush(const array& last) {
  runtime::start({&last, 1}, runtime::Awaited::no);
}

void wait(Node& node) {
  array a(&node.output(0));
  runtime::wait({&a, 1});
}

}  // namespace door

void eval(std::span<const array> arrays) {
  runtime::start(arrays, runtime::Awaited::yes);
  runtime::wait(arrays);
}

void async_eval(std::span<const array> arrays) {
  runtime::start(arrays, runtime::Awaited::no);
}

void array::eval() const { treadle::eval({this, 1}); }

void synchronize() { runtime::drain(); }

namespace {

// The array's memory on the CPU.
Output* on_host(const array& a) {
  Output* o = a.output();
  if (!o->buffer || o->buffer->device.type == Device::Type::cpu) return o;
  if (!o->resident_copy) {
    BufferPtr copy = runtime::copy_to_device(*o->buffer.get(), cpu);
    o->resident_copy = std::make_unique<array>(
        make_leaf(o->spec, o->layout, std::move(copy), cpu));
  }
  return o->resident_copy->output();
}

}  // namespace

void array::item_bytes(void* to, Dtype dtype) const {
  known("item");
  if (size() != 1) {
    invalid("item",
            fmt::format("asked of an array of {} elements, shape {}; expected "
                        "one element.",
                        size(),
                        to_string(shape())));
  }
  eval();
  Output* o = on_host(*this);
  visit_dtype(this->dtype(), [&]<class From>() {
    From v;
    std::memcpy(&v, o->address(), sizeof v);
    visit_dtype(dtype, [&]<class To>() {
      To r;
      if constexpr (std::is_same_v<From, complex64_t> &&
                    std::is_same_v<To, complex64_t>) {
        r = v;
      } else if constexpr (std::is_same_v<From, complex64_t>) {
        r = static_cast<To>(v.real());
      } else if constexpr (std::is_same_v<To, complex64_t>) {
        r = To(static_cast<float>(v), 0.0f);
      } else if constexpr (std::is_same_v<To, float16_t> ||
                           std::is_same_v<To, bfloat16_t>) {
        r = To(static_cast<float>(v));
      } else {
        r = static_cast<To>(v);
      }
      std::memcpy(to, &r, sizeof r);
    });
  });
}

const void* array::data_bytes(Dtype dtype) const {
  known("data");
  if (dtype != this->dtype()) {
    invalid("data",
            fmt::format("asked as {} of an array of {}.",
                        name_of(dtype),
                        name_of(this->dtype())));
  }
  eval();
  return on_host(*this)->address();
}

void array::copy_to(void* to, Dtype dtype) const {
  array c = contiguous(astype(*this, dtype));
  c.eval();
  if (c.size()) std::memcpy(to, on_host(c)->address(), c.nbytes());
}

}  // namespace treadle
