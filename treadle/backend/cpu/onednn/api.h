// The oneDNN functions that Treadle calls, each loaded with its first call:
// api::memory_create(...) is dnnl_memory_create(...). A new one is a line here.
#pragma once

#include <oneapi/dnnl/dnnl.h>

#include "treadle/backend/cpu/shared_library.h"

namespace treadle::backend::cpu::onednn::api {

inline constinit SharedLibrary library("oneDNN", TREADLE_ONEDNN_LIBRARY);

#define TREADLE_ONEDNN_FUNCTIONS(F)                     \
  F(convolution_backward_data_primitive_desc_create)    \
  F(convolution_backward_weights_primitive_desc_create) \
  F(convolution_forward_primitive_desc_create)          \
  F(engine_create)                                      \
  F(get_effective_cpu_isa)                              \
  F(matmul_primitive_desc_create)                       \
  F(memory_create)                                      \
  F(memory_desc_clone)                                  \
  F(memory_desc_create_with_strides)                    \
  F(memory_desc_create_with_tag)                        \
  F(memory_desc_destroy)                                \
  F(memory_desc_equal)                                  \
  F(memory_desc_get_size)                               \
  F(memory_destroy)                                     \
  F(memory_set_data_handle)                             \
  F(primitive_attr_create)                              \
  F(primitive_attr_destroy)                             \
  F(primitive_attr_set_scratchpad_mode)                 \
  F(primitive_create)                                   \
  F(primitive_desc_destroy)                             \
  F(primitive_desc_query_md)                            \
  F(primitive_destroy)                                  \
  F(primitive_execute)                                  \
  F(reorder_primitive_desc_create)                      \
  F(stream_create)

#define TREADLE_IMPORT(name)                                           \
  inline constinit const Imported<decltype(dnnl_##name)> name(library, \
                                                              "dnnl_" #name);
TREADLE_ONEDNN_FUNCTIONS(TREADLE_IMPORT)
#undef TREADLE_IMPORT

}  // namespace treadle::backend::cpu::onednn::api
