// The strided copy. Axes are put in the order of the result's memory and
// merged; then the layout decides: runs of bytes, a transposition, or single
// elements.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/backend.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/transpose.h"

namespace treadle::backend::cpu {

using runtime::Operand;

namespace {

// A result of at least this many bytes is written past the caches where that is
// possible: it would only push out what is still needed.
constexpr int64_t kStreamBytes = int64_t{8} << 20;

// One copy after merging; strides in elements, element sizes equal.
struct Job {
  const char* from;
  char* to;
  size_t width;
  Shape shape;
  Strides strides[2];  // from, to
  int threads;

  int64_t bytes() const { return size_of(shape) * int64_t(width); }
};

// The result's largest stride first, so that the last axis runs through its
// memory.
void order_axes(Shape& shape, Strides (&strides)[2]) {
  Axes order(shape.size());
  std::iota(order.begin(), order.end(), 0);
  auto reach = [&](int a) { return std::abs(strides[1][size_t(a)]); };
  if (std::is_sorted(order.begin(), order.end(), [&](int a, int b) {
        return reach(a) > reach(b);
      })) {
    return;
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return reach(a) > reach(b);
  });
  Shape old_shape = shape;
  Strides old[2] = {strides[0], strides[1]};
  for (size_t i = 0; i < order.size(); ++i) {
    size_t a = size_t(order[i]);
    shape[i] = old_shape[a];
    for (size_t k = 0; k < 2; ++k) strides[k][i] = old[k][a];
  }
}

// The compiler's loop for this is one element at a time.
template <class T>
void fill_row(T value, T* to, int64_t n) {
  constexpr int64_t kBlock = 4096 / sizeof(T);
  int64_t have = std::min<int64_t>(n, 64 / sizeof(T));
  std::fill_n(to, have, value);
  while (have < n) {
    const int64_t more = std::min({have, n - have, kBlock});
    std::memcpy(to + have, to, size_t(more) * sizeof(T));
    have += more;
  }
}

template <class T>
void copy_row(
    const T* from, int64_t from_step, T* to, int64_t to_step, int64_t n) {
  if (to_step == 1 && from_step == 1) {
    // A call of memcpy costs more than a few elements.
    if (n * int64_t(sizeof(T)) >= 32) {
      std::memcpy(to, from, size_t(n) * sizeof(T));
      return;
    }
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else if (to_step == 1 && from_step == 0) {
    fill_row(*from, to, n);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

// Rows of at most this many elements are copied by loops over two axes, because
// walking to the next takes longer than copying one.
constexpr int64_t kShortRow = 16;

// Rows of N elements, one behind the other in the result and, unless they
// repeat one element, in the source.
template <class T, int N>
void copy_short(const T* from,
                int64_t from_step,
                T* to,
                int64_t to_step,
                int64_t rows,
                bool repeats) {
  for (int64_t r = 0; r < rows; ++r, from += from_step, to += to_step) {
    if (repeats) {
      const T v = *from;
      for (int i = 0; i < N; ++i) to[i] = v;
    } else {
      std::memcpy(to, from, N * sizeof(T));
    }
  }
}

// A matrix, with the steps of both axes.
template <class T>
void copy_matrix(const T* from,
                 const int64_t (&from_step)[2],
                 T* to,
                 const int64_t (&to_step)[2],
                 int64_t rows,
                 int64_t n) {
  if (to_step[1] == 1 && (from_step[1] == 0 || from_step[1] == 1)) {
    const auto all = [&]<int N>() {
      copy_short<T, N>(
          from, from_step[0], to, to_step[0], rows, from_step[1] == 0);
    };
    switch (n) {
      case 2:
        return all.template operator()<2>();
      case 3:
        return all.template operator()<3>();
      case 4:
        return all.template operator()<4>();
      case 8:
        return all.template operator()<8>();
      case 16:
        return all.template operator()<16>();
      default:
        break;
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) {
      to[r * to_step[0] + i * to_step[1]] =
          from[r * from_step[0] + i * from_step[1]];
    }
  }
}

template <class T>
void copy_short_rows(const Job& j, int threads) {
  const size_t last = j.shape.size() - 1;
  const int64_t n = j.shape[last], axis = j.shape[last - 1];
  Shape shape = j.shape;
  Strides strides[2] = {j.strides[0], j.strides[1]};
  shape.pop_back();
  for (Strides& s : strides) s.pop_back();
  parallel_for(threads, size_of(shape), [&](int64_t begin, int64_t end) {
    Rows<2> r(shape, strides);
    r.skip(begin / axis);
    for (int64_t at = begin % axis; begin < end; at = 0, r.next()) {
      const int64_t rows = std::min(axis - at, end - begin);
      copy_matrix(
          reinterpret_cast<const T*>(j.from) + r.offset(0) + at * r.step(0),
          {r.step(0), j.strides[0][last]},
          reinterpret_cast<T*>(j.to) + r.offset(1) + at * r.step(1),
          {r.step(1), j.strides[1][last]},
          rows,
          n);
      begin += rows;
    }
  });
}

// Row by row. Few long rows are cut, many are dealt out whole.
template <class T>
void copy_rows(const Job& j) {
  const T* from = reinterpret_cast<const T*>(j.from);
  T* to = reinterpret_cast<T*>(j.to);
  const int64_t length = j.shape.empty() ? 1 : j.shape.back();
  const int64_t rows = size_of(j.shape) / length;
  const int threads = threads_for(j.threads, j.bytes());
  if (length <= kShortRow && rows > 1) return copy_short_rows<T>(j, threads);
  if (rows < 4 * threads) {
    for (Rows<2> r(j.shape, j.strides); r.more(); r.next()) {
      parallel_for(threads, length, [&](int64_t begin, int64_t end) {
        copy_row(from + r.offset(0) + begin * r.step(0),
                 r.step(0),
                 to + r.offset(1) + begin * r.step(1),
                 r.step(1),
                 end - begin);
      });
    }
    return;
  }
  parallel_for(threads, rows, [&](int64_t begin, int64_t end) {
    Rows<2> r(j.shape, j.strides);
    r.skip(begin);
    for (int64_t i = begin; i < end; ++i, r.next()) {
      copy_row(
          from + r.offset(0), r.step(0), to + r.offset(1), r.step(1), length);
    }
  });
}

// The axis along which the source is contiguous, when the last one is not; -1
// when there is none worth a transposition.
int transposed_axis(const Job& j) {
  if (j.shape.size() < 2) return -1;
  if (j.strides[1].back() != 1 || j.strides[0].back() <= 1) return -1;
  for (size_t i = 0; i + 1 < j.shape.size(); ++i) {
    if (j.strides[0][i] == 1 && j.shape[i] * j.shape.back() >= 32)
      return int(i);
  }
  return -1;
}

void copy_transposed(const Job& j, int axis) {
  size_t a = size_t(axis);
  Transposition t{j.from,
                  j.to,
                  j.strides[0].back(),
                  j.strides[1][a],
                  j.shape[a],
                  j.shape.back(),
                  j.width};
  // What remains is walked one matrix at a time: a last axis of length 1 makes
  // each row of the walk one position.
  Shape outer = j.shape;
  Strides strides[2] = {j.strides[0], j.strides[1]};
  outer.erase(outer.begin() + axis);
  outer.back() = 1;
  for (Strides& s : strides) s.erase(s.begin() + axis);
  const int64_t tiles = transpose_tiles(t);
  const bool stream = j.bytes() >= kStreamBytes;
  parallel_for(threads_for(j.threads, j.bytes()),
               size_of(outer) * tiles,
               [&](int64_t begin, int64_t end) {
                 Rows<2> r(outer, strides);
                 r.skip(begin / tiles);
                 while (begin < end) {
                   int64_t first = begin % tiles;
                   int64_t count = std::min(tiles - first, end - begin);
                   Transposition one = t;
                   one.from += r.offset(0) * int64_t(j.width);
                   one.to += r.offset(1) * int64_t(j.width);
                   transpose(one, first, first + count, stream);
                   begin += count;
                   r.next();
                 }
               });
}

void run(const Job& j) {
  int axis = transposed_axis(j);
  if (axis >= 0) return copy_transposed(j, axis);
  switch (j.width) {
    case 1:
      return copy_rows<uint8_t>(j);
    case 2:
      return copy_rows<uint16_t>(j);
    case 4:
      return copy_rows<uint32_t>(j);
    default:
      return copy_rows<uint64_t>(j);
  }
}

}  // namespace

void copy(const Operand& from, const Operand& to, int threads) {
  if (from.dtype != to.dtype) return convert_copy(from, to, threads);
  Job j{static_cast<const char*>(from.data),
        static_cast<char*>(to.data),
        size_of(to.dtype),
        to.shape,
        {from.strides, to.strides},
        threads};
  order_axes(j.shape, j.strides);
  collapse(j.shape, j.strides);
  if (size_of(j.shape) > 0) run(j);
}

void copy_strided(const Operand& from, const Operand& to) { copy(from, to, 1); }

}  // namespace treadle::backend::cpu
