// metal and cuda: what programs ask before they use a GPU.
#include <nanobind/nanobind.h>

#include "treadle/runtime/backend.h"

#include "bindings.h"

namespace treadle::python {

void bind_platforms(nanobind::module_& m) {
  nanobind::module_ metal =
      m.def_submodule("metal", "Apple's GPUs, of which there are none here.");
  metal.def(
      "is_available", [] { return false; }, "False.");
  nanobind::module_ cuda = m.def_submodule("cuda", "NVIDIA's GPUs.");
  cuda.def(
      "is_available",
      [] {
        return runtime::has_backend(Device::Type::gpu) &&
               runtime::backend(Device::Type::gpu).device_count() > 0;
      },
      "True when this machine has one and this build can use it.");
}

}  // namespace treadle::python
