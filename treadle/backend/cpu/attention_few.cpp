// Attention of few queries, as in generating text: keys and values are read
// once, in the order in which they lie, and conversion, products and sums keep
// up with memory. Many keys are cut into pieces by their number alone; pieces
// are merged in order.
#include <cmath>

#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/attention_few.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/attention_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// What one task leaves: for each row the largest score, the sum of
// exponentials, and the weighted values; and its memory before that.
struct Part {
  float *top, *sum, *o, *q;
};
int64_t rows_of_group(const AttentionProblem& p) {
  return p.heads_per_group() * p.rows;
}
int64_t part_floats(const AttentionProblem& p) {
  return 32 + rows_of_group(p) * (padded(p.width) + padded(p.depth));
}
Part part(const AttentionProblem& p, int64_t task, char* memory) {
  float* at = reinterpret_cast<float*>(memory) + task * part_floats(p);
  Part r{at, at + 16, at + 32, nullptr};
  r.q = r.o + rows_of_group(p) * padded(p.width);
  return r;
}

template <class T>
HWY_INLINE float dot(const float* q, const T* k, int64_t n) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  Vf even = hn::Zero(d), odd = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::MulAdd(hn::LoadU(d, q + i), load(d, k + i), even);
    odd = hn::MulAdd(hn::LoadU(d, q + i + lanes), load(d, k + i + lanes), odd);
  }
  if (i + lanes <= n) {
    even = hn::MulAdd(hn::LoadU(d, q + i), load(d, k + i), even);
    i += lanes;
  }
  if (i < n) {  // q is padded with zeros
    odd = hn::MulAdd(
        hn::LoadU(d, q + i), load_first(d, k + i, size_t(n - i)), odd);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
}

// o += weights (n) @ v (n, width) for V vectors of the columns from c on.
template <int V, class T>
HWY_INLINE void add_values(
    const float* weights, const T* v, int64_t step, int64_t n, float* o) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  Vf sum[V];
  TREADLE_UNROLL for (int i = 0; i < V; ++i) {
    sum[i] = hn::LoadU(d, o + i * lanes);
  }
  for (int64_t j = 0; j < n; ++j, v += step) {
    const Vf w = hn::Set(d, weights[j]);
    TREADLE_UNROLL for (int i = 0; i < V; ++i) {
      sum[i] = hn::MulAdd(w, load(d, v + i * lanes), sum[i]);
    }
  }
  TREADLE_UNROLL for (int i = 0; i < V; ++i) {
    hn::StoreU(sum[i], d, o + i * lanes);
  }
}

template <class T>
HWY_INLINE void add_values(const float* weights,
                           const T* v,
                           int64_t step,
                           int64_t n,
                           int64_t width,
                           float* o) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t c = 0;
  for (; c + 4 * lanes <= width; c += 4 * lanes)
    add_values<4>(weights, v + c, step, n, o + c);
  for (; c + lanes <= width; c += lanes)
    add_values<1>(weights, v + c, step, n, o + c);
  if (c == width) return;
  const size_t rest = size_t(width - c);
  Vf sum = hn::LoadU(d, o + c);
  for (int64_t j = 0; j < n; ++j) {
    sum = hn::MulAdd(
        hn::Set(d, weights[j]), load_first(d, v + j * step + c, rest), sum);
  }
  hn::StoreU(sum, d, o + c);
}

struct Task {
  const AttentionForward& f;
  const AttentionProblem& p;
  int64_t batch, group;
  Part r;

  int64_t head(int64_t g) const {
    return group * p.heads_per_group() + g / p.rows;
  }
  int64_t query(int64_t g) const { return g % p.rows; }
  bool blind(int64_t g) const { return p.blind(query(g)); }

  void start(bool first) const {
    const int64_t depth = padded(p.depth);
    for (int64_t g = 0; g < rows_of_group(p); ++g) {
      float* q = r.q + g * depth;
      std::fill(q, q + depth, 0.0f);
      if (!blind(g)) {
        load_row(p.q.at(batch, head(g), query(g)),
                 p.q.dtype,
                 p.q.column,
                 p.depth,
                 p.scale * kLog2e,
                 q);
      }
      const bool sink = first && p.sinks;
      r.top[g] = sink ? p.sink(head(g)) * kLog2e : -kInf;
      r.sum[g] = sink ? 1.0f : 0.0f;
    }
    std::fill(r.o, r.o + rows_of_group(p) * padded(p.width), 0.0f);
  }

  void hide(int64_t g, int64_t j0, int64_t n, float* s) const {
    if (p.mask == AttentionMask::causal && !blind(g)) {
      for (int64_t j = std::max<int64_t>(p.seen(query(g)) - j0, 0); j < n; ++j)
        s[j] = kUnseen;
    }
    if (p.mask < AttentionMask::boolean) return;
    const F d;
    HWY_ALIGN float mask[kKeys];
    std::fill(mask, mask + kKeys, 0.0f);
    mask_row(p.added,
             p.added.at(batch, head(g), query(g)) +
                 j0 * p.added.column * int64_t(size_of(p.added.dtype)),
             n,
             mask);
    for (int64_t j = 0; j < kKeys; j += int64_t(hn::Lanes(d)))
      hn::StoreU(
          hn::Add(hn::LoadU(d, s + j), hn::LoadU(d, mask + j)), d, s + j);
  }

  // Scores (n, the rest -inf) become weights; sums so far shrink.
  void soften(int64_t g, float* s) const {
    const F d;
    const int64_t lanes = int64_t(hn::Lanes(d)), width = padded(p.width);
    Vf most = hn::LoadU(d, s);
    for (int64_t j = lanes; j < kKeys; j += lanes)
      most = hn::Max(most, hn::LoadU(d, s + j));
    const float top = std::max(r.top[g], hn::GetLane(hn::MaxOfLanes(d, most)));
    const Vf by = hn::Set(d, top == -kInf ? 0.0f : top);
    const float factor =
        hn::GetLane(exp2(d, hn::Sub(hn::Set(d, r.top[g]), by)));
    Vf sum = hn::Zero(d);
    for (int64_t j = 0; j < kKeys; j += lanes) {
      const Vf w = exp2(d, hn::Sub(hn::LoadU(d, s + j), by));
      sum = hn::Add(sum, w);
      hn::StoreU(w, d, s + j);
    }
    r.sum[g] = r.sum[g] * factor + hn::GetLane(hn::SumOfLanes(d, sum));
    r.top[g] = top;
    if (factor == 1) return;
    for (int64_t j = 0; j < width; j += lanes) {
      float* o = r.o + g * width + j;
      hn::StoreU(hn::Mul(hn::LoadU(d, o), hn::Set(d, factor)), d, o);
    }
  }

  template <class T>
  void keys(int64_t first, int64_t last) const {
    const int64_t depth = padded(p.depth), width = padded(p.width);
    HWY_ALIGN float s[kKeys];
    for (int64_t j0 = first; j0 < last; j0 += kKeys) {
      const int64_t n = std::min(kKeys, last - j0);
      const T* k = reinterpret_cast<const T*>(p.k.at(batch, group, j0));
      const T* v = reinterpret_cast<const T*>(p.v.at(batch, group, j0));
      for (int64_t g = 0; g < rows_of_group(p); ++g) {
        for (int64_t j = 0; j < n; ++j)
          s[j] = dot(r.q + g * depth, k + j * p.k.row, p.depth);
        std::fill(s + n, s + kKeys, -kInf);
        hide(g, j0, n, s);
        soften(g, s);
        add_values(s, v, p.v.row, n, p.width, r.o + g * width);
      }
    }
  }
};

Task task_of(const AttentionForward& f, int64_t place, const Part& part) {
  return {f, f.p, place / f.p.groups, place % f.p.groups, part};
}

int64_t bytes(const AttentionProblem& p) {
  return p.batches * p.groups * attention_pieces(p) * part_floats(p) * 4;
}

void run(const AttentionForward& f, int64_t task, char* memory) {
  const AttentionProblem& p = f.p;
  const int64_t pieces = attention_pieces(p), piece = task % pieces;
  const int64_t length = (p.keys + pieces - 1) / pieces;
  const int64_t first = std::min(piece * length, p.keys),
                last = std::min(first + length, p.keys);
  const Task t = task_of(f, task / pieces, part(p, task, memory));
  t.start(piece == 0);
  switch (p.dtype) {
    case Dtype::float16:
      return t.keys<float16_t>(first, last);
    case Dtype::bfloat16:
      return t.keys<bfloat16_t>(first, last);
    default:
      return t.keys<float>(first, last);
  }
}

// The pieces of one group together, into the result.
void merge(const AttentionForward& f, int64_t place, char* memory) {
  const AttentionProblem& p = f.p;
  const int64_t pieces = attention_pieces(p), width = padded(p.width);
  const Part all = part(p, place * pieces, memory);
  const Task t = task_of(f, place, all);
  for (int64_t g = 0; g < rows_of_group(p); ++g) {
    float top = all.top[g];
    for (int64_t i = 1; i < pieces; ++i)
      top = std::max(top, part(p, place * pieces + i, memory).top[g]);
    const bool none = top == -kInf;
    float sum = 0;
    for (int64_t i = 0; i < pieces; ++i) {
      const Part r = part(p, place * pieces + i, memory);
      const float by = none ? 0.0f : std::exp2(r.top[g] - top);
      sum += r.sum[g] * by;
      for (int64_t j = 0; j < width; ++j) {
        float& o = all.o[g * width + j];
        o = (i == 0 ? 0.0f : o) + r.o[g * width + j] * by;
      }
    }
    const int64_t at = (t.batch * p.heads + t.head(g)) * p.rows + t.query(g);
    if (f.out) {
      store_row(all.o + g * width,
                p.width,
                none ? kNan : 1.0f / sum,
                p.dtype,
                f.out + at * p.width * int64_t(size_of(p.dtype)));
    }
    if (f.lse) {
      f.lse[at] = t.blind(g) || top == kUnseen ? kBlind
                  : none                       ? kNan
                                               : (top + std::log2(sum)) * kLn2;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(bytes);
HWY_EXPORT(run);
HWY_EXPORT(merge);

bool attention_has_few_rows(const AttentionProblem& p) {
  return p.heads_per_group() * p.rows <= 8 && p.k.column == 1 &&
         p.v.column == 1;
}
int64_t attention_few_bytes(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(bytes)(p);
}
void attention_few_task(const AttentionForward& f, int64_t task, char* memory) {
  HWY_DYNAMIC_DISPATCH(run)(f, task, memory);
}
void attention_few_merge(const AttentionForward& f,
                         int64_t place,
                         char* memory) {
  HWY_DYNAMIC_DISPATCH(merge)(f, place, memory);
}

}  // namespace treadle::backend::cpu
#endif
