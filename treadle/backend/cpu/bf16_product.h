// Small products of bfloat16 with float32 sums, by the instructions that
// multiply pairs: AMX tiles, or AVX-512 BF16 where there are none.
#pragma once

#include <cstdint>

namespace treadle::backend::cpu {

// False on machines that have neither.
bool has_bf16_product();

// c (m, n) = a (m, depth) @ b (depth, n), or added to it. m and n are multiples
// of 16, depth of 32. Row k of b holds rows 2k and 2k + 1 of the factor, an
// element of either in the low and the high half of a word. Steps in elements,
// for b in words.
struct Bf16Product {
  const uint16_t* a;
  int64_t a_row;
  const uint32_t* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  int64_t m, n, depth;
};

// Products are made in such a scope, on its thread; no other library may be
// called in between.
class Bf16Scope {
 public:
  Bf16Scope();
  ~Bf16Scope();
  Bf16Scope(const Bf16Scope&) = delete;
  Bf16Scope& operator=(const Bf16Scope&) = delete;

  void multiply(const Bf16Product& p, bool add) const;

 private:
  bool tiles_;
};

}  // namespace treadle::backend::cpu
