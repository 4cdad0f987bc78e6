// Matrix products of chosen matrices, blocks and segments. The ops multiply
// matrices where they lie: what is chosen is never copied, neither forward nor
// in gradients, which are ops of the same kinds.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// x (X, M, K), y (Y, K, N), i, j (P), integers -> (P, M, N): x[i[p]] @ y[j[p]].
// With a fifth input g (P) -> (groups, M, N): the sums of the products with
// equal g[p].
struct ChosenProducts : Composite<ChosenProducts> {
  static constexpr std::string_view op_name = "gather_mm";
  int64_t groups = 0;  // with g
  auto sizes() const { return std::tie(groups); }
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
};

// a (M, K), b (K, N), segments (S, 2) -> (S, M, N), as segmented_mm below.
struct SegmentProducts : Composite<SegmentProducts> {
  static constexpr std::string_view op_name = "segmented_mm";
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
};

// x (K, P), c (S, P, Q), segments (S, 2) -> (K, Q): row k is the sum of
// x[k] @ c[s] over the segments s that hold k.
struct SegmentRows : Composite<SegmentRows> {
  static constexpr std::string_view op_name = "segment_rows";
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
};

// Products of matrices picked from a (..., M, K) and b (..., K, N): matrix i of
// the result (I..., M, N) is a[lhs_indices[i]] @ b[rhs_indices[i]], where the
// indices, integers that broadcast to a shape (I...), count along the batch
// axes as one. Null indices stand for every matrix in turn. Vectors are rows
// on the left and columns on the right, as in matmul; the dtype is floating.
// sorted_indices, that the indices ascend, is a hint that nothing needs:
// neighbours with the same matrix are one product either way.
array gather_mm(const array& a,
                const array& b,
                const array& lhs_indices = {},
                const array& rhs_indices = {},
                bool sorted_indices = false,
                StreamOrDevice s = {});

// a (..., M, K) @ b (..., K, N) with blocks of block_size (32 or 64) rows and
// columns masked: mask_lhs (..., blocks of M, blocks of K), mask_rhs, mask_out
// alike. A bool mask sets blocks that it does not choose to 0, a mask of
// numbers multiplies. Null masks choose all.
array block_masked_mm(const array& a,
                      const array& b,
                      int block_size = 64,
                      const array& mask_out = {},
                      const array& mask_lhs = {},
                      const array& mask_rhs = {},
                      StreamOrDevice s = {});

// a (M, K), b (K, N), segments (S..., 2), pairs of integers begin and end ->
// (S..., M, N): a[:, begin:end] @ b[begin:end] for each pair; 0 where end is
// not above begin.
array segmented_mm(const array& a,
                   const array& b,
                   const array& segments,
                   StreamOrDevice s = {});

}  // namespace treadle
