// The copy in which rows become columns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::backend::cpu {

// to[i * to_step + k] = from[k * from_step + i] for i < rows, k < columns;
// steps in elements, which are `width` bytes: 1, 2, 4 or 8.
struct Transposition {
  const char* from;
  char* to;
  int64_t from_step, to_step;
  int64_t rows, columns;  // of the result
  size_t width;
};

// The result is cut into tiles, numbered row by row; these are units of work.
int64_t transpose_tiles(const Transposition& t);
// Computes tiles [begin, end). `stream`: the result will not be read soon, so
// write it past the caches.
void transpose(const Transposition& t, int64_t begin, int64_t end, bool stream);

}  // namespace treadle::backend::cpu
