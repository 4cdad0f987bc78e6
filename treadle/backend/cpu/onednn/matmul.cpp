#include "treadle/backend/cpu/onednn/matmul.h"

#ifdef TREADLE_HAS_ONEDNN

#include "treadle/backend/cpu/onednn/engine.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu::onednn {

namespace {

struct Dense {
  Dims dims, strides;
};

// A batch axis along which the factor repeats has length 1.
Dense factor(const Factor& f, const Shape& batch) {
  Dense d;
  for (size_t i = 0; i < batch.size(); ++i) {
    d.dims.push_back(f.batch[i] == 0 ? 1 : batch[i]);
    d.strides.push_back(f.batch[i] == 0 ? f.copy_size(batch) : f.batch[i]);
  }
  d.dims.push_back(f.rows);
  d.dims.push_back(f.columns);
  d.strides.push_back(f.row_step);
  d.strides.push_back(f.column_step);
  return d;
}

Call make(const Product& p) {
  const Dense a = factor(p.a, p.batch), b = factor(p.b, p.batch);
  Shape shape = p.batch;
  shape.push_back(p.m);
  shape.push_back(p.n);
  const Strides c_strides = row_major_strides(shape);
  const MemoryDesc a_desc = strided(a.dims, a.strides, p.a.dtype);
  const MemoryDesc b_desc = strided(b.dims, b.strides, p.b.dtype);
  const MemoryDesc c_desc = strided(Dims(shape.begin(), shape.end()),
                                    Dims(c_strides.begin(), c_strides.end()),
                                    p.dtype);
  const Attr attr = user_scratchpad();
  PrimitiveDesc desc;
  check(api::matmul_primitive_desc_create(desc.out(),
                                          engine(),
                                          a_desc.get(),
                                          b_desc.get(),
                                          nullptr,
                                          c_desc.get(),
                                          attr.get()),
        "matmul");
  Call call(desc);
  call.add_argument(DNNL_ARG_SRC, a_desc);
  call.add_argument(DNNL_ARG_WEIGHTS, b_desc);
  call.add_argument(DNNL_ARG_DST, c_desc);
  call.add_scratchpad(desc);
  return call;
}

void add(Key* key, const Factor& f) {
  key->add(int64_t(f.order));
  key->add(f.lead());
  key->add_all(f.batch);
}

Call& find(const Product& p, int threads) {
  static thread_local Cache<Call> cache;
  Key key;
  key.add(int64_t(p.dtype));
  key.add(threads);
  key.add(p.m);
  key.add(p.n);
  key.add(p.k);
  key.add_all(p.batch);
  add(&key, p.a);
  add(&key, p.b);
  return cache.get(key, [&] { return make(p); });
}

}  // namespace

size_t matmul_scratch_bytes(const Product& p, int threads) {
  const ThreadLimit limit(threads);
  return find(p, threads).scratch_bytes();
}

void matmul(const Product& p, void* scratch, int threads) {
  const ThreadLimit limit(threads);
  find(p, threads).run({p.a.data, p.b.data, p.c, scratch});
}

}  // namespace treadle::backend::cpu::onednn

#endif
