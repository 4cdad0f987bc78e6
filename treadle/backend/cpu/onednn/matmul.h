// Matrix products by oneDNN.
#pragma once

#include <cstddef>

#include "treadle/backend/cpu/matmul_problem.h"

namespace treadle::backend::cpu::onednn {

// Both factors nested (is_nested), of the result's dtype, which is native
// (engine.h); no empty sum.
size_t matmul_scratch_bytes(const Product& p, int threads);
void matmul(const Product& p, void* scratch, int threads);

// The right factor in the order in which the kernels read it, shared by
// products with other rows of the same left factor. `block` is the product of
// the first rows, computed by `inside` threads at once; b is one matrix. 0
// bytes: there is no better order.
size_t packed_bytes(const Product& block, int inside);
size_t pack_scratch_bytes(const Product& block, int inside, int threads);
void pack(
    const Product& block, int inside, void* packed, void* scratch, int threads);

// Some rows of the product. They may be fewer than those of `block`, whose
// layout `packed` has.
size_t block_scratch_bytes(const Product& rows,
                           const Product& block,
                           int inside);
void matmul_block(const Product& rows,
                  const Product& block,
                  int inside,
                  const void* packed,
                  void* scratch);

}  // namespace treadle::backend::cpu::onednn
