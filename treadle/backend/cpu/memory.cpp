#include "treadle/backend/cpu/memory.h"

#include "treadle/backend/cpu/backend.h"

namespace treadle::backend::cpu {

using runtime::Operand;

namespace {

struct Range {
  const char *low, *high;
};

Range range_of(const Operand& x) {
  const char* first = static_cast<const char*>(x.data);
  Range r{first, first};
  if (size_of(x.shape) == 0) return r;
  int64_t item = int64_t(size_of(x.dtype));
  for (size_t i = 0; i < x.shape.size(); ++i) {
    int64_t reach = (x.shape[i] - 1) * x.strides[i] * item;
    (reach < 0 ? r.low : r.high) += reach;
  }
  r.high += item;
  return r;
}

}  // namespace

bool overlap(const Operand& a, const Operand& b) {
  Range x = range_of(a), y = range_of(b);
  return x.low < y.high && y.low < x.high;
}

Operand apart_from(const Operand& in,
                   const Operand& out,
                   std::vector<char>& store) {
  if (!overlap(in, out)) return in;
  store.resize(size_t(size_of(in.shape)) * size_of(in.dtype));
  Operand copy{
      store.data(), in.dtype, in.shape, row_major_strides(in.shape), true};
  copy_strided(in, copy);
  return copy;
}

}  // namespace treadle::backend::cpu
