// Matrix products, whole and of chosen matrices, blocks and segments.
#include "treadle/ops/matmul.h"

#include "treadle/ops/chosen_products.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using Optional = std::optional<array>;

array or_null(const Optional& x) { return x.value_or(array()); }

void bind_chosen(nb::module_& m) {
  m.def(
      "gather_mm",
      [](const array& a,
         const array& b,
         const Optional& lhs,
         const Optional& rhs,
         bool sorted,
         const StreamOrDevice& s) {
        return wrap(gather_mm(a, b, or_null(lhs), or_null(rhs), sorted, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("lhs_indices") = nb::none(),
      nb::arg("rhs_indices") = nb::none(),
      nb::kw_only(),
      nb::arg("sorted_indices") = false,
      nb::arg("stream") = nb::none(),
      "a[lhs_indices[i]] @ b[rhs_indices[i]] for each i, of matrices in a "
      "(..., M, K) and b (..., K, N); indices count along the batch axes as "
      "one. Without indices every matrix in turn. sorted_indices is a hint "
      "that nothing needs: neighbours with the same matrix are one product "
      "either way.");
  m.def(
      "block_masked_mm",
      [](const array& a,
         const array& b,
         int block_size,
         const Optional& out,
         const Optional& lhs,
         const Optional& rhs,
         const StreamOrDevice& s) {
        return wrap(block_masked_mm(
            a, b, block_size, or_null(out), or_null(lhs), or_null(rhs), s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("block_size") = 64,
      nb::arg("mask_out") = nb::none(),
      nb::arg("mask_lhs") = nb::none(),
      nb::arg("mask_rhs") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "a @ b with blocks of block_size (32 or 64) rows and columns of either "
      "factor or of the product set to 0 by a bool mask, or multiplied by a "
      "mask of numbers; masks have an element for each block.");
  m.def(
      "segmented_mm",
      [](const array& a,
         const array& b,
         const array& segments,
         const StreamOrDevice& s) {
        return wrap(segmented_mm(a, b, segments, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("segments"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "a[:, begin:end] @ b[begin:end] for each pair of segments (..., 2), of "
      "a (M, K) and b (K, N) -> (..., M, N).");
}

}  // namespace

void bind_matmul(nb::module_& m) {
  m.def(
      "matmul",
      [](const array& a, const array& b, const StreamOrDevice& s) {
        return wrap(matmul(a, b, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Matrix product a @ b by NumPy's rules: leading axes broadcast, a vector "
      "is a row "
      "on the left and a column on the right.");
  m.def(
      "addmm",
      [](const array& c,
         const array& a,
         const array& b,
         float alpha,
         float beta,
         const StreamOrDevice& s) {
        return wrap(addmm(c, a, b, alpha, beta, s));
      },
      nb::arg("c"),
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("alpha") = 1.0f,
      nb::arg("beta") = 1.0f,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "alpha * (a @ b) + beta * c.");
  bind_chosen(m);
}

}  // namespace treadle::python
