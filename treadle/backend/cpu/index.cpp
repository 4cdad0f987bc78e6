#include "treadle/backend/cpu/index.h"

#include <fmt/format.h>

#include "treadle/backend/common/walk.h"
#include "treadle/base/error.h"

namespace treadle::backend::cpu {

using runtime::Operand;

IndexWalk index_walk(const Operand& data,
                     const Operand& indices,
                     const Operand& other,
                     int axis,
                     bool along) {
  IndexWalk w;
  size_t a = size_t(axis);
  w.shape = other.shape;
  w.other = other.strides;
  w.step = data.strides[a];
  w.length = data.shape[a];
  if (along) {
    w.data = data.strides;
    w.data[a] = 0;
    w.index = indices.strides;
    return w;
  }
  size_t axes = indices.shape.size();
  w.data.append(data.strides.begin(), data.strides.begin() + axis);
  w.data.resize(a + axes, 0);
  w.data.append(data.strides.begin() + axis + 1, data.strides.end());
  w.index.resize(a, 0);
  w.index.append(indices.strides.begin(), indices.strides.end());
  w.index.resize(w.data.size(), 0);
  return w;
}

void collapse(IndexWalk& w) {
  Strides strides[] = {w.data, w.index, w.other};
  backend::collapse(w.shape, strides);
  w.data = strides[0];
  w.index = strides[1];
  w.other = strides[2];
}

void load_indices(std::string_view op,
                  const Operand& indices,
                  int64_t offset,
                  int64_t step,
                  int64_t n,
                  int64_t length,
                  int64_t* to) {
  visit_dtype(indices.dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      const T* from = static_cast<const T*>(indices.data) + offset;
      for (int64_t i = 0; i < n; ++i) {
        to[i] = checked_index(op, static_cast<int64_t>(from[i * step]), length);
      }
    }
  });
}

ReadIndex index_reader(Dtype dtype) {
  ReadIndex read = nullptr;
  visit_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      read = [](const void* p, int64_t i) {
        return static_cast<int64_t>(static_cast<const T*>(p)[i]);
      };
    }
  });
  return read;
}

void bad_index(std::string_view op, int64_t index, int64_t length) {
  out_of_range(
      op,
      fmt::format("index {} is out of bounds for an axis of length {}; "
                  "expected [{}, {}].",
                  index,
                  length,
                  -length,
                  length - 1));
}

}  // namespace treadle::backend::cpu
