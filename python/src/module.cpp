// treadle._core: the extension module behind treadle.core.
#include <nanobind/nanobind.h>

#include "bindings.h"

NB_MODULE(_core, m) {
  using namespace treadle::python;
  // Dtypes and the like are made once and kept to the end.
  nanobind::set_leak_warnings(false);
  m.doc() = "Lazy arrays, their operations and function transforms.";
  m.attr("__version__") = TREADLE_VERSION;
  bind_dtype(m);
  bind_device(m);
  bind_array(m);
  bind_elementwise(m);
  bind_reduce(m);
  bind_softmax(m);
  bind_views(m);
  bind_create(m);
  bind_index(m);
  bind_matmul(m);
  bind_random(m);
  bind_io(m);
  bind_eval(m);
  bind_memory(m);
  bind_platforms(m);
  bind_autodiff(m);
  bind_compile(m);
  bind_nn(m);
  bind_optimizers(m);
}
