#include "treadle/backend/cpu/matmul_problem.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/move.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;

Factor unsettled_factor_of(const Operand& x) {
  const size_t rank = x.shape.size();
  Factor f;
  f.data = x.data;
  f.dtype = x.dtype;
  f.rows = x.shape[rank - 2];
  f.columns = x.shape[rank - 1];
  f.row_step = x.strides[rank - 2];
  f.column_step = x.strides[rank - 1];
  f.batch.append(x.strides.begin(), x.strides.end() - 2);
  return f;
}

void settle(Factor* f) {
  // An axis of length 1 is never stepped along, so its step is free.
  if (f->columns == 1) f->column_step = f->row_step == 1 ? f->rows : 1;
  if (f->rows == 1) f->row_step = f->column_step == 1 ? f->columns : 1;
  if (f->columns == 1 && f->rows == 1) f->row_step = f->column_step = 1;
  if (f->column_step == 1 && f->row_step >= f->columns) {
    f->order = Factor::Order::rows;
  } else if (f->row_step == 1 && f->column_step >= f->rows) {
    f->order = Factor::Order::columns;
  } else {
    f->order = Factor::Order::scattered;
  }
}

}  // namespace

Factor factor_of(const Operand& x) {
  Factor f = unsettled_factor_of(x);
  settle(&f);
  return f;
}

int64_t Factor::copy_size(const Shape& batch_shape) const {
  int64_t size = rows * columns;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch[i] != 0) size *= batch_shape[i];
  }
  return size;
}

Product product_of(const runtime::Task& task) {
  Product p;
  p.a = unsettled_factor_of(task.in[0]);
  p.b = unsettled_factor_of(task.in[1]);
  p.c = task.out[0].data;
  p.dtype = task.out[0].dtype;
  p.m = p.a.rows;
  p.k = p.a.columns;
  p.n = p.b.columns;
  const Shape& shape = task.in[0].shape;
  if (shape.size() > 2) {
    p.batch.append(shape.begin(), shape.end() - 2);
    Strides batch[] = {p.a.batch, p.b.batch};
    collapse(p.batch, batch);
    p.a.batch = batch[0];
    p.b.batch = batch[1];
    const bool one_matrix = !p.batch.empty() && p.b.batch.back() == 0 &&
                            p.a.batch.back() == p.m * p.a.row_step;
    if (one_matrix) {
      p.m *= p.batch.back();
      p.a.rows = p.m;
      p.batch.pop_back();
      p.a.batch.pop_back();
      p.b.batch.pop_back();
    }
  }
  settle(&p.a);
  settle(&p.b);
  return p;
}

Factor copied_layout(const Factor& f, const Shape& batch, Dtype dtype) {
  Factor g = f;
  g.data = nullptr;
  g.dtype = dtype;
  g.row_step = f.columns;
  g.column_step = 1;
  int64_t step = f.rows * f.columns;
  for (size_t i = batch.size(); i-- > 0;) {
    if (f.batch[i] == 0) continue;
    g.batch[i] = step;
    step *= batch[i];
  }
  settle(&g);
  return g;
}

Factor copied(
    const Factor& f, const Shape& batch, Dtype dtype, void* to, int threads) {
  Factor g = copied_layout(f, batch, dtype);
  g.data = to;
  Operand from, copy;
  for (size_t i = 0; i < batch.size(); ++i) {
    from.shape.push_back(f.batch[i] == 0 ? 1 : batch[i]);
  }
  from.shape.push_back(f.rows);
  from.shape.push_back(f.columns);
  copy.shape = from.shape;
  from.data = const_cast<void*>(f.data);
  from.dtype = f.dtype;
  from.strides = f.batch;
  from.strides.push_back(f.row_step);
  from.strides.push_back(f.column_step);
  from.contiguous = false;
  copy.data = to;
  copy.dtype = dtype;
  copy.strides = row_major_strides(copy.shape);
  cpu::copy(from, copy, threads);
  return g;
}

Product rows_of(const Product& p, int64_t first, int64_t count) {
  const int64_t size = int64_t(size_of(p.dtype));
  Product q = p;
  q.m = q.a.rows = count;
  q.a.data = static_cast<const char*>(p.a.data) + first * p.a.row_step * size;
  if (p.c) q.c = static_cast<char*>(p.c) + first * p.n * size;
  return q;
}

bool is_nested(const Factor& f, const Shape& batch) {
  std::vector<std::pair<int64_t, int64_t>> axes;  // step, length
  auto add = [&](int64_t step, int64_t length) {
    if (length != 1 && step != 0) axes.push_back({step, length});
  };
  for (size_t i = 0; i < batch.size(); ++i) add(f.batch[i], batch[i]);
  add(f.row_step, f.rows);
  add(f.column_step, f.columns);
  std::sort(axes.begin(), axes.end());
  int64_t reach = 1;
  for (auto [step, length] : axes) {
    if (step < reach) return false;
    reach = step * length;
  }
  return f.order != Factor::Order::scattered;
}

int64_t batch_offset(const Factor& f, const Shape& batch, int64_t index) {
  int64_t offset = 0;
  for (size_t i = batch.size(); i-- > 0;) {
    offset += index % batch[i] * f.batch[i];
    index /= batch[i];
  }
  return offset;
}

}  // namespace treadle::backend::cpu
