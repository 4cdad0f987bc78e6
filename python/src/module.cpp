// treadle._core: the extension module behind treadle.core.
#include <exception>

#include <nanobind/nanobind.h>

#include "array.h"
#include "bindings.h"

namespace {

// C++ exceptions of functions become the Python errors that operators raise.
void translate(const std::exception_ptr& error, void*) {
  try {
    std::rethrow_exception(error);
  } catch (...) {
    treadle::python::set_python_error();
  }
}

// Some thousand objects are made here and none of them is garbage: looking for
// it takes a sixth of the module's time.
class NoCollection {
 public:
  NoCollection() = default;
  ~NoCollection() {
    if (enabled_) PyGC_Enable();
  }
  NoCollection(const NoCollection&) = delete;
  NoCollection& operator=(const NoCollection&) = delete;

 private:
  const bool enabled_ = PyGC_Disable() != 0;
};

}  // namespace

NB_MODULE(_core, m) {
  using namespace treadle::python;
  const NoCollection pause;
  // Dtypes and the like are made once and kept to the end.
  nanobind::set_leak_warnings(false);
  nanobind::register_exception_translator(translate);
  m.doc() = "Lazy arrays, their operations and function transforms.";
  m.attr("__version__") = TREADLE_VERSION;
  bind_dtype(m);
  bind_device(m);
  bind_array(m);
  bind_elementwise(m);
  bind_reduce(m);
  bind_softmax(m);
  bind_fast(m);
  bind_views(m);
  bind_create(m);
  bind_index(m);
  bind_indexing(m);
  bind_masks(m);
  bind_matmul(m);
  bind_numbers(m);
  bind_arrange(m);
  bind_products(m);
  bind_linalg(m);
  bind_einsum(m);
  bind_fft(m);
  bind_reinterpret(m);
  bind_cumulative(m);
  bind_sort(m);
  bind_conv(m);
  bind_random(m);
  bind_io(m);
  bind_eval(m);
  bind_printing(m);
  bind_memory(m);
  bind_platforms(m);
  bind_autodiff(m);
  bind_compile(m);
  bind_autocast(m);
  bind_custom(m);
  bind_scan(m);
  bind_export(m);
  bind_nn(m);
  bind_optimizers(m);
  bind_training(m);
}
