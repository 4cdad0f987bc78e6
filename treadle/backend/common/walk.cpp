#include "treadle/backend/common/walk.h"

namespace treadle::backend {

void collapse(Shape& shape, std::span<Strides> strides) {
  if (size_of(shape) == 0) {
    shape = {0};
    for (Strides& s : strides) s = {1};
    return;
  }
  size_t kept = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    bool merges = kept > 0;
    for (const Strides& s : strides) {
      merges = merges && s[kept - 1] == s[i] * shape[i];
    }
    size_t to = merges ? kept - 1 : kept++;
    shape[to] = merges ? shape[to] * shape[i] : shape[i];
    for (Strides& s : strides) s[to] = s[i];
  }
  shape.resize(kept);
  for (Strides& s : strides) s.resize(kept);
}

}  // namespace treadle::backend
