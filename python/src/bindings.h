// The parts of the module, in the order in which they are bound.
#pragma once

#include <nanobind/nanobind.h>

namespace treadle::python {

void bind_dtype(nanobind::module_& m);
void bind_device(nanobind::module_& m);
void bind_array(nanobind::module_& m);
void bind_elementwise(nanobind::module_& m);
void bind_reduce(nanobind::module_& m);
void bind_views(nanobind::module_& m);
void bind_create(nanobind::module_& m);
void bind_index(nanobind::module_& m);
void bind_indexing(nanobind::module_& m);
void bind_masks(nanobind::module_& m);
void bind_matmul(nanobind::module_& m);
void bind_conv(nanobind::module_& m);
void bind_numbers(nanobind::module_& m);
void bind_arrange(nanobind::module_& m);
void bind_products(nanobind::module_& m);
void bind_linalg(nanobind::module_& m);
void bind_einsum(nanobind::module_& m);
void bind_fft(nanobind::module_& m);
void bind_cumulative(nanobind::module_& m);
void bind_sort(nanobind::module_& m);
void bind_reinterpret(nanobind::module_& m);
void bind_softmax(nanobind::module_& m);
void bind_fast(nanobind::module_& m);
void bind_random(nanobind::module_& m);
void bind_io(nanobind::module_& m);
void bind_eval(nanobind::module_& m);
void bind_printing(nanobind::module_& m);
void bind_memory(nanobind::module_& m);
void bind_platforms(nanobind::module_& m);
void bind_autodiff(nanobind::module_& m);
void bind_compile(nanobind::module_& m);
void bind_autocast(nanobind::module_& m);
void bind_scan(nanobind::module_& m);
void bind_export(nanobind::module_& m);
void bind_custom(nanobind::module_& m);
void bind_nn(nanobind::module_& m);
void bind_nn_activations(nanobind::module_& m);
void bind_nn_attention(nanobind::module_& m);
void bind_nn_losses(nanobind::module_& m);
void bind_nn_recurrent(nanobind::module_& m);
void bind_nn_torch(nanobind::module_& m);
void bind_nn_trees(nanobind::module_& m);
void bind_optimizers(nanobind::module_& m);
void bind_training(nanobind::module_& m);

}  // namespace treadle::python
