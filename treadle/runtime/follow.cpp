#include "treadle/runtime/follow.h"

#include "treadle/ops/random.h"

namespace treadle::runtime {

namespace {

// Makes one axis of the first `outer`; false when the steps do not allow it.
bool merge_axes(size_t outer, int64_t rows, Operand& x) {
  int64_t step = 0, inner = 0;  // of the axes merged so far
  int64_t count = 1;
  for (size_t i = outer; i-- > 0;) {
    const int64_t length = x.shape[i];
    if (length == 1) continue;
    if (count == 1) {
      step = x.strides[i];
    } else if (x.strides[i] != inner) {
      return false;
    }
    count *= length;
    inner = x.strides[i] * length;
  }
  Shape shape{rows};
  Strides strides{step};
  shape.append(x.shape.begin() + outer, x.shape.end());
  strides.append(x.strides.begin() + outer, x.strides.end());
  x.shape = shape;
  x.strides = strides;
  x.contiguous = is_row_contiguous(shape, strides);
  return true;
}

}  // namespace

int64_t row_of(const Op& op, const Operand& out) {
  return as<RandomBits>(op) ? 1 : out.shape.back();
}

bool lay_out_by_rows(const Shape& space,
                     int64_t row,
                     std::vector<Operand>& in,
                     std::vector<Operand>& out) {
  size_t outer = space.size();
  int64_t length = 1;
  while (outer > 0 && length < row) length *= space[--outer];
  if (length != row || row == 0 || size_of(space) == 0) return false;
  const int64_t rows = size_of(space) / row;
  for (std::vector<Operand>* list : {&in, &out}) {
    for (Operand& x : *list) {
      if (x.shape != space || !merge_axes(outer, rows, x)) return false;
    }
  }
  return true;
}

void run_follow(const Follow& follow,
                int64_t first,
                int64_t count,
                void* rows) {
  auto part = [&](const Operand& whole) {
    Operand x = whole;
    x.shape[0] = count;
    x.data = static_cast<char*>(x.data) +
             first * x.strides[0] * int64_t(size_of(x.dtype));
    return x;
  };
  std::vector<Operand> in, out;
  in.reserve(follow.in.size());
  for (size_t i = 0; i < follow.in.size(); ++i) {
    if (i == follow.product) {
      in.push_back(follow.in[i]);
      in.back().shape[0] = count;
      in.back().data = rows;
    } else {
      in.push_back(part(follow.in[i]));
    }
  }
  for (const Operand& y : follow.out) out.push_back(part(y));
  follow.kernel->run({follow.op, in, out, out[0].shape, nullptr, 1});
}

}  // namespace treadle::runtime
