// Sums of matrix products, each of matrices that lie where they lie: what the
// products of chosen matrices and of segments come down to.
#pragma once

#include <vector>

#include "treadle/backend/cpu/matmul_problem.h"

namespace treadle::backend::cpu {

// Results c (m, n), row-contiguous, each the sum of some products, in order.
// The left factors of all of them have one layout, the right factors too.
class ProductSums {
 public:
  ProductSums(const runtime::Operand& a,
              const runtime::Operand& b,
              const runtime::Operand& c);

  // A result with m rows at element `at` of c; products are added to the last
  // one. What neighbours share is done at once.
  void start(int64_t at, int64_t m);
  // Elements a and b on, with k columns and rows.
  void add(int64_t a, int64_t b, int64_t k);

  // Scratch bytes, whatever is added.
  size_t workspace(int threads) const;
  void run(void* workspace, int threads);

 private:
  struct Piece {
    int64_t a, b, k;
  };
  struct Result {
    int64_t c, m;
    size_t first, last;  // of the pieces
  };
  struct Part;

  void join_last();
  Product product(const Part& part, const Piece& piece) const;
  void run_part(const Part& part) const;
  void run_part_by_copies(const Part& part, char* scratch) const;

  Factor a_, b_;
  char* c_;
  Dtype dtype_;
  int64_t n_, columns_;  // of c, and of a copied block
  bool copies_;          // half types, and layouts that no kernel reads
  std::vector<Piece> pieces_;
  std::vector<Result> results_;
};

}  // namespace treadle::backend::cpu
