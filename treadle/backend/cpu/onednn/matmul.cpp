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

MemoryDesc describe(const Factor& f, const Shape& batch) {
  const Dense d = factor(f, batch);
  return strided(d.dims, d.strides, f.dtype);
}

MemoryDesc describe_result(const Product& p) {
  Shape shape = p.batch;
  shape.push_back(p.m);
  shape.push_back(p.n);
  const Strides strides = row_major_strides(shape);
  return strided(Dims(shape.begin(), shape.end()),
                 Dims(strides.begin(), strides.end()),
                 p.dtype);
}

MemoryDesc describe_bias(const Product& p) {
  if (!p.biased) return {};
  Dims dims(p.batch.size() + 1, 1), strides(p.batch.size() + 1, p.n);
  dims.push_back(p.n);
  strides.push_back(1);
  return strided(dims, strides, p.dtype);
}

PrimitiveDesc describe(const Product& p, const MemoryDesc& b) {
  const MemoryDesc a = describe(p.a, p.batch), c = describe_result(p),
                   bias = describe_bias(p);
  const Attr attr = user_scratchpad();
  PrimitiveDesc desc;
  check(api::matmul_primitive_desc_create(desc.out(),
                                          engine(),
                                          a.get(),
                                          b.get(),
                                          bias.get(),
                                          c.get(),
                                          attr.get()),
        "matmul");
  return desc;
}

Call call_of(const Product& p, const PrimitiveDesc& desc, const MemoryDesc& b) {
  Call call(desc);
  call.add_argument(DNNL_ARG_SRC, describe(p.a, p.batch));
  call.add_argument(DNNL_ARG_WEIGHTS, b);
  call.add_argument(DNNL_ARG_DST, describe_result(p));
  call.add_scratchpad(desc);
  if (p.biased) call.add_argument(DNNL_ARG_BIAS, describe_bias(p));
  return call;
}

void run(Call& call, const Product& p, const void* b, void* scratch) {
  if (p.biased) {
    call.run({p.a.data, b, p.c, scratch, p.bias});
  } else {
    call.run({p.a.data, b, p.c, scratch});
  }
}

Call make(const Product& p) {
  const MemoryDesc b = describe(p.b, p.batch);
  return call_of(p, describe(p, b), b);
}

void add(Key* key, const Factor& f) {
  key->add(int64_t(f.order));
  key->add(f.lead());
  key->add_all(f.batch);
}

Key key_of(const Product& p) {
  Key key;
  key.add(int64_t(p.dtype));
  key.add(p.m);
  key.add(p.n);
  key.add(p.k);
  key.add(p.biased);
  key.add_all(p.batch);
  add(&key, p.a);
  add(&key, p.b);
  return key;
}

Call& find(const Product& p, int threads) {
  static thread_local Cache<Call> cache;
  Key key = key_of(p);
  key.add(threads);
  return cache.get(key, [&] { return make(p); });
}

// The product of a block's rows, with b in the order that suits it best.
struct Packed {
  MemoryDesc layout;
  Call run;
  size_t bytes = 0;
};

Packed make_packed(const Product& p) {
  const PrimitiveDesc desc = describe(p, any_layout({p.k, p.n}, p.dtype));
  const MemoryDesc plain = describe(p.b, p.batch);
  Packed made;
  made.layout = layout_of(desc, dnnl_query_weights_md);
  if (api::memory_desc_equal(made.layout.get(), plain.get())) return made;
  made.bytes = api::memory_desc_get_size(made.layout.get());
  made.run = call_of(p, desc, made.layout);
  return made;
}

Packed& find_packed(const Product& block, int inside) {
  static thread_local Cache<Packed> cache;
  Key key = key_of(block);
  key.add(inside);
  return cache.get(key, [&] {
    const ThreadLimit limit(inside);
    return make_packed(block);
  });
}

Call& find_packing(const Product& block, int inside, int threads) {
  static thread_local Cache<Call> cache;
  Key key = key_of(block);
  key.add(inside);
  key.add(threads);
  return cache.get(key, [&] {
    return reorder_call(describe(block.b, block.batch),
                        find_packed(block, inside).layout);
  });
}

// Rows that are fewer than a block's.
Call& find_rest(const Product& rows, const Product& block, int inside) {
  static thread_local Cache<Call> cache;
  Key key = key_of(rows);
  key.add(block.m);
  key.add(inside);
  return cache.get(key, [&] {
    const MemoryDesc& b = find_packed(block, inside).layout;
    return call_of(rows, describe(rows, b), b);
  });
}

}  // namespace

size_t matmul_scratch_bytes(const Product& p, int threads) {
  const ThreadLimit limit(threads);
  return find(p, threads).scratch_bytes();
}

void matmul(const Product& p, void* scratch, int threads) {
  const ThreadLimit limit(threads);
  run(find(p, threads), p, p.b.data, scratch);
}

size_t packed_bytes(const Product& block, int inside) {
  return find_packed(block, inside).bytes;
}

size_t pack_scratch_bytes(const Product& block, int inside, int threads) {
  const ThreadLimit limit(threads);
  return find_packing(block, inside, threads).scratch_bytes();
}

void pack(const Product& block,
          int inside,
          void* packed,
          void* scratch,
          int threads) {
  const ThreadLimit limit(threads);
  find_packing(block, inside, threads).run({block.b.data, packed, scratch});
}

size_t block_scratch_bytes(const Product& rows,
                           const Product& block,
                           int inside) {
  const ThreadLimit limit(inside);
  return (rows.m == block.m ? find_packed(block, inside).run
                            : find_rest(rows, block, inside))
      .scratch_bytes();
}

void matmul_block(const Product& rows,
                  const Product& block,
                  int inside,
                  const void* packed,
                  void* scratch) {
  const ThreadLimit limit(inside);
  Call& call = rows.m == block.m ? find_packed(block, inside).run
                                 : find_rest(rows, block, inside);
  run(call, rows, packed, scratch);
}

}  // namespace treadle::backend::cpu::onednn

#endif
