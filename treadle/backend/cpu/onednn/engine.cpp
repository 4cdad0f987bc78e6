#ifdef TREADLE_HAS_ONEDNN

#include "treadle/backend/cpu/onednn/engine.h"

#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/base/hash.h"

namespace treadle::backend::cpu::onednn {

namespace {

std::string_view text_of(dnnl_status_t status) {
  switch (status) {
    case dnnl_out_of_memory:
      return "out of memory";
    case dnnl_invalid_arguments:
      return "invalid arguments";
    case dnnl_unimplemented:
      return "not implemented";
    case dnnl_runtime_error:
      return "runtime error";
    default:
      return "failed";
  }
}

// Never destroyed: calls may come from threads that end after main.
dnnl_stream_t stream() {
  static dnnl_stream_t s = [] {
    dnnl_stream_t made;
    check(api::stream_create(&made, engine(), dnnl_stream_default_flags),
          "stream");
    return made;
  }();
  return s;
}

}  // namespace

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  unsupported(what, fmt::format("oneDNN says: {}.", text_of(status)));
}

dnnl_engine_t engine() {
  static dnnl_engine_t e = [] {
    dnnl_engine_t made;
    check(api::engine_create(&made, dnnl_cpu, 0), "engine");
    return made;
  }();
  return e;
}

bool is_native(Dtype dtype) {
  static const unsigned isa = api::get_effective_cpu_isa();
  auto has = [](unsigned wanted) { return (isa & wanted) == wanted; };
  switch (dtype) {
    case Dtype::float32:
      return true;
    case Dtype::bfloat16:
      return has(dnnl_cpu_isa_avx512_core_bf16);
    case Dtype::float16:
      return has(dnnl_cpu_isa_avx512_core_fp16);
    default:
      return false;
  }
}

dnnl_data_type_t type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return dnnl_f32;
    case Dtype::bfloat16:
      return dnnl_bf16;
    case Dtype::float16:
      return dnnl_f16;
    default:
      throw std::logic_error("oneDNN is not used for this dtype");
  }
}

MemoryDesc strided(const Dims& dims, const Dims& strides, Dtype dtype) {
  MemoryDesc desc;
  check(api::memory_desc_create_with_strides(desc.out(),
                                             int(dims.size()),
                                             dims.data(),
                                             type_of(dtype),
                                             strides.data()),
        "memory layout");
  return desc;
}

MemoryDesc any_layout(const Dims& dims, Dtype dtype) {
  MemoryDesc desc;
  check(api::memory_desc_create_with_tag(desc.out(),
                                         int(dims.size()),
                                         dims.data(),
                                         type_of(dtype),
                                         dnnl_format_tag_any),
        "memory layout");
  return desc;
}

MemoryDesc layout_of(const PrimitiveDesc& desc, dnnl_query_t what) {
  MemoryDesc copy;
  check(api::memory_desc_clone(
            copy.out(), api::primitive_desc_query_md(desc.get(), what, 0)),
        "memory layout");
  return copy;
}

Attr user_scratchpad() {
  Attr attr;
  check(api::primitive_attr_create(attr.out()), "attributes");
  check(api::primitive_attr_set_scratchpad_mode(attr.get(),
                                                dnnl_scratchpad_mode_user),
        "attributes");
  return attr;
}

Call::Call(const PrimitiveDesc& desc) {
  check(api::primitive_create(primitive_.out(), desc.get()), "primitive");
}

void Call::add_argument(int name, const MemoryDesc& desc) {
  Memory memory;
  check(
      api::memory_create(memory.out(), desc.get(), engine(), DNNL_MEMORY_NONE),
      "memory");
  arguments_.push_back({name, memory.get()});
  memories_.push_back(std::move(memory));
}

void Call::add_scratchpad(const PrimitiveDesc& desc) {
  const_dnnl_memory_desc_t pad =
      api::primitive_desc_query_md(desc.get(), dnnl_query_scratchpad_md, 0);
  scratch_bytes_ = api::memory_desc_get_size(pad);
  add_argument(DNNL_ARG_SCRATCHPAD, layout_of(desc, dnnl_query_scratchpad_md));
}

void Call::run(std::initializer_list<const void*> addresses) {
  size_t i = 0;
  for (const void* at : addresses) {
    api::memory_set_data_handle(memories_[i++].get(), const_cast<void*>(at));
  }
  check(api::primitive_execute(primitive_.get(),
                               stream(),
                               int(arguments_.size()),
                               arguments_.data()),
        "execution");
}

Call reorder_call(const MemoryDesc& from, const MemoryDesc& to) {
  const Attr attr = user_scratchpad();
  PrimitiveDesc desc;
  check(api::reorder_primitive_desc_create(
            desc.out(), from.get(), engine(), to.get(), engine(), attr.get()),
        "reorder");
  Call call(desc);
  call.add_argument(DNNL_ARG_FROM, from);
  call.add_argument(DNNL_ARG_TO, to);
  call.add_scratchpad(desc);
  return call;
}

uint64_t Key::hash() const {
  Hasher h;
  for (int64_t w : words_) h.add(uint64_t(w));
  return h.result().lo;
}

}  // namespace treadle::backend::cpu::onednn

#endif
