// The vector code of argmax and argmin. Elements are compared by integer keys,
// which turn every dtype, both directions and the rules for NaN and zeros into
// the maximum of signed integers.
#pragma once

#include <cstdint>

#include "treadle/base/dtype.h"
#include "treadle/ops/arg_reduce.h"

namespace treadle::backend::cpu {

// What an element's key is. Integers: bits ^ mask. Floating types: the
// magnitude with the number's sign, NaN above all; both zeros are 0.
struct KeyOrder {
  int64_t mask = 0;      // floating types: -1 when reversed
  int64_t infinity = 0;  // floating types: the bits of infinity
};

struct KeySearch {
  // The largest key of n > 0 elements.
  int64_t (*largest)(const void* p, int64_t n, const KeyOrder& order);
  // The first of n elements that has this key; n when none has.
  int64_t (*first)(const void* p,
                   int64_t n,
                   int64_t key,
                   const KeyOrder& order);
  // The place of the first largest key in each of `rows` rows of n elements,
  // one after another; for short rows.
  void (*rows)(const void* p,
               int64_t rows,
               int64_t n,
               uint32_t* places,
               const KeyOrder& order);
  // Row number `row` against the best keys so far, one for each of n columns;
  // keys have the element's size.
  void (*meet)(const void* p,
               int64_t n,
               uint32_t row,
               void* best_keys,
               uint32_t* best_rows,
               const KeyOrder& order);
  KeyOrder order;
};

// For a dtype that is not complex.
KeySearch key_search(Dtype dtype, ArgKind kind);

}  // namespace treadle::backend::cpu
