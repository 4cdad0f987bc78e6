#include "treadle/ops/attention.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Dtype working(Dtype t) { return is_half(t) ? float32 : t; }

// The score of a key that is not seen: finite, so that a row without any seen
// key is an even mean.
double unseen(Dtype t) {
  return t == float64 ? std::numeric_limits<double>::lowest()
                      : double(std::numeric_limits<float>::lowest());
}

// (B, H, ...) as (B, Hk, H / Hk, ...); an axis of length 1 stays one.
array by_group(const array& x, int64_t groups) {
  if (x.shape(1) == 1) return expand_dims(x, 1);
  return unflatten(x, 1, {groups, x.shape(1) / groups});
}

}  // namespace

Specs Attention::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape, rows = in[0].shape;
  out.back() = in[2].shape.back();
  rows.pop_back();
  return {{out, in[0].dtype}, {rows, working(in[0].dtype)}};
}

namespace {

// Scores that lie in memory at once where there is no kernel: a block of
// queries at a time, of which there are not too many.
constexpr int64_t kScores = 1 << 20, kMostBlocks = 64;

// Some queries, and the keys that one of them sees.
struct Block {
  int64_t first, rows, keys;
  int64_t before;  // its first query comes after that many keys
};

std::vector<Block> blocks_of(const Attention& op, const Arrays& x) {
  const Shape& q = x[0].shape();
  const int64_t rows = q[2], keys = x[1].shape(2);
  const int64_t step =
      std::max({int64_t{1},
                kScores / std::max<int64_t>(1, q[0] * q[1] * keys),
                (rows + kMostBlocks - 1) / kMostBlocks});
  std::vector<Block> blocks;
  for (int64_t i = 0; i < rows; i += step) {
    Block b{i, std::min(step, rows - i), keys, i + keys - rows};
    // A query that sees no key weighs all of them evenly.
    if (op.mask == AttentionMask::causal && (b.before >= 0 || op.has_sinks))
      b.keys = std::clamp<int64_t>(b.before + b.rows, 1, keys);
    blocks.push_back(b);
  }
  return blocks;
}

// x between two places of an axis; x itself when it is whole, or one for all.
array part(const array& x, int axis, int64_t first, int64_t count) {
  const int64_t n = x.shape(axis);
  if (n == count || n == 1) return x;
  Shape start(x.shape().size(), 0), stop = x.shape();
  start[size_t(axis)] = first;
  stop[size_t(axis)] = first + count;
  return slice(x, start, stop);
}

Arrays inputs_of(const Attention& op, const Arrays& x, const Block& b) {
  Arrays in = x;
  in[0] = part(x[0], 2, b.first, b.rows);
  for (size_t i : {1, 2}) in[i] = part(x[i], 2, 0, b.keys);
  if (op.has_mask()) in[3] = part(x[3], 2, b.first, b.rows);
  return in;
}

// The formula on the inputs of a block.
Arrays attend(const Attention& op, const Arrays& x, int64_t before) {
  const Dtype dtype = x[0].dtype(), work = working(dtype);
  const int64_t groups = x[1].shape(1);
  array q = by_group(astype(x[0], work) * op.scale, groups);
  array k = expand_dims(astype(x[1], work), 2);
  array v = expand_dims(astype(x[2], work), 2);
  array s = matmul(q, swapaxes(k, -1, -2));  // (B, Hk, H / Hk, Tq, Tk)
  if (op.mask == AttentionMask::causal) {
    array i = arange(before, before + s.shape(-2)), j = arange(s.shape(-1));
    s = select(greater_equal(expand_dims(i, 1), j), s, unseen(work));
  } else if (op.has_mask()) {
    array m = by_group(x[3], groups);
    s = op.mask == AttentionMask::boolean ? select(m, s, unseen(work))
                                          : s + astype(m, work);
  }
  array top = max(s, -1, true), sink;
  if (op.has_sinks) {
    sink = reshape(astype(x.back(), work), {1, groups, -1, 1, 1});
    top = maximum(top, sink);
  }
  top = stop_gradient(top);
  array p = exp(s - top), total = sum(p, -1, true);
  if (op.has_sinks) total = total + exp(sink - top);
  array y = flatten(matmul(p / total, v), 1, 2);
  array lse = flatten(squeeze(log(total) + top, -1), 1, 2);
  return {astype(y, dtype), lse};
}

// Attention of a block, for its derivatives.
struct AttentionOfBlock : Attention {
  int64_t before;

  AttentionOfBlock(const Attention& op, int64_t keys_before)
      : Attention(op), before(keys_before) {}
  Arrays expand(const Arrays& x) const override {
    return attend(*this, x, before);
  }
};

}  // namespace

Arrays Attention::expand(const Arrays& x) const {
  const std::vector<Block> blocks = blocks_of(*this, x);
  if (blocks.size() == 1) return attend(*this, x, blocks[0].before);
  Arrays y, lse;
  for (const Block& b : blocks) {
    Arrays out = attend(*this, inputs_of(*this, x, b), b.before);
    y.push_back(out[0]);
    lse.push_back(out[1]);
  }
  return {concatenate(y, 2), concatenate(lse, 2)};
}

Arrays Attention::vjp(const Arrays& x,
                      const Arrays& y,
                      const Arrays& ct,
                      Argnums args) const {
  // The second output is for the gradient alone and has none of its own.
  if (!ct[1].null()) return vjp_by_expansion(*this, x, ct, args);
  Arrays out(args.size());
  if (ct[0].null()) return out;
  Arrays in = x;
  in.insert(in.end(), {y[0], y[1], ct[0]});
  // What an added mask gets is recorded alone: the kernel gives the others.
  const bool alone = mask == AttentionMask::additive && x[0].dtype() != float64;
  for (const bool of_mask : {false, true}) {
    AttentionGrad op;
    op.scale = scale;
    op.mask = mask;
    op.has_sinks = has_sinks;
    std::vector<size_t> places;
    for (size_t i = 0; i < args.size(); ++i) {
      if (!is_floating(x[size_t(args[i])].dtype())) continue;  // boolean mask
      if (of_mask != (alone && args[i] == 3)) continue;
      op.wrt.push_back(args[i]);
      places.push_back(i);
    }
    if (places.empty()) continue;
    Arrays g = record_all(make_op(op), in, resolve({}));
    for (size_t i = 0; i < places.size(); ++i) out[places[i]] = g[i];
  }
  return out;
}

namespace {

constexpr size_t kNone = size_t(-1);

// The op over a batch whose mapped axis joins the examples. Input `mask` may
// stay one for all, input `sinks` is one for all (kNone: none).
template <class T>
Mapped join_examples(const T& op,
                     const Arrays& x,
                     std::span<const int> axes,
                     size_t mask,
                     size_t sinks) {
  int64_t n = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) n = x[i].shape(axes[i]);
  }
  const int64_t examples = x[0].shape(axes[0] == 0 ? 1 : 0);
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    if (i == sinks) {
      in.push_back(x[i]);
      continue;
    }
    array a = axes[i] == kNotMapped ? expand_dims(x[i], 0)
                                    : moveaxis(x[i], axes[i], 0);
    if (i != mask || a.shape(0) * a.shape(1) != 1) {
      Shape all = a.shape();
      all[0] = n;
      all[1] = examples;
      a = broadcast_to(a, all);
    }
    in.push_back(flatten(a, 0, 1));
  }
  Mapped m{record_all(make_op(T(op)), in, resolve({})), {}};
  for (array& y : m.outputs) y = unflatten(y, 0, {n, examples});
  m.axes.assign(m.outputs.size(), 0);
  return m;
}

size_t mask_input(const Attention& op) { return op.has_mask() ? 3 : kNone; }
size_t sinks_input(const Attention& op) {
  return !op.has_sinks ? kNone : op.has_mask() ? 4 : 3;
}

}  // namespace

Mapped Attention::vmap(const Arrays& x, std::span<const int> axes) const {
  const size_t sinks = sinks_input(*this);
  if (sinks != kNone && axes[sinks] != kNotMapped)
    return vmap_by_expansion(*this, x, axes);
  return join_examples(*this, x, axes, mask_input(*this), sinks);
}

Mapped AttentionGrad::vmap(const Arrays& x, std::span<const int> axes) const {
  // What mask and sinks get is summed over examples, but not over the batch.
  const size_t sinks = sinks_input(forward());
  const bool summed = !wrt.empty() && wrt.back() >= 3;
  if (summed || (sinks != kNone && axes[sinks] != kNotMapped))
    return vmap_by_expansion(*this, x, axes);
  return join_examples(*this, x, axes, mask_input(forward()), sinks);
}

Attention AttentionGrad::forward() const {
  Attention op;
  op.scale = scale;
  op.mask = mask;
  op.has_sinks = has_sinks;
  return op;
}

Specs AttentionGrad::infer(std::span<const Spec> in) const {
  Specs out;
  for (int i : wrt) out.push_back(in[size_t(i)]);
  return out;
}

Arrays AttentionGrad::expand(const Arrays& x) const {
  const Attention op = forward();
  const Arrays all(x.begin(), x.end() - 3);
  const int64_t keys = all[1].shape(2);
  const std::vector<Block> blocks = blocks_of(op, all);
  std::vector<Arrays> parts(wrt.size());
  for (const Block& b : blocks) {
    // The weights of a block are computed anew, and gone before the next:
    // merged with those of the forward pass they would all be kept.
    RegionScope region(blocks.size() == 1 ? current_region() : new_region());
    const array ct = part(x.back(), 2, b.first, b.rows);
    Arrays g = vjp_by_expansion(AttentionOfBlock(op, b.before),
                                inputs_of(op, all, b),
                                {ct, array()},
                                {wrt.begin(), wrt.end()});
    for (size_t i = 0; i < wrt.size(); ++i) {
      const bool by_key = wrt[i] == 1 || wrt[i] == 2;
      const bool by_query =
          wrt[i] == 0 || (wrt[i] == 3 && op.has_mask() && all[3].shape(2) > 1);
      if (by_key && b.keys < keys)
        g[i] = pad(g[i], {0, 0, 0, 0}, {0, 0, keys - b.keys, 0});
      if (by_query || parts[i].empty()) {
        parts[i].push_back(g[i]);
      } else {
        parts[i][0] = parts[i][0] + g[i];
      }
    }
  }
  Arrays out;
  for (Arrays& p : parts)
    out.push_back(p.size() == 1 ? p[0] : concatenate(p, 2));
  return out;
}

namespace fast {

namespace {

constexpr std::string_view kName = Attention::op_name;

void check_shapes(const array& q, const array& k, const array& v) {
  auto bad = [&](std::string_view what) {
    invalid(kName,
            fmt::format("{}: got q {}, k {}, v {}; expected (B, H, Tq, D), "
                        "(B, Hk, Tk, D), (B, Hk, Tk, Dv) with H a multiple of "
                        "Hk.",
                        what,
                        to_string(q.shape()),
                        to_string(k.shape()),
                        to_string(v.shape())));
  };
  if (q.ndim() != 4 || k.ndim() != 4 || v.ndim() != 4)
    bad("an input has not four axes");
  if (k.shape(0) != q.shape(0) || v.shape(0) != q.shape(0))
    bad("the batches differ");
  if (q.shape(3) != k.shape(3)) bad("queries and keys have other sizes");
  if (k.shape(1) != v.shape(1)) bad("keys and values have other heads");
  if (k.shape(2) != v.shape(2)) bad("keys and values have other lengths");
  if (k.shape(1) == 0 ? q.shape(1) != 0 : q.shape(1) % k.shape(1) != 0)
    bad("the heads do not divide");
}

void check_promotes(std::string_view what, const array& x, Dtype dtype) {
  if (promote_types(x.dtype(), dtype) == dtype) return;
  invalid(kName,
          fmt::format("the {} are {}; expected a dtype that promotes to the "
                      "result's, {}.",
                      what,
                      to_string(x.spec()),
                      name_of(dtype)));
}

// A mask of four axes, each of length 1 or that of the scores.
array full_mask(const array& mask, const Shape& scores, StreamOrDevice s) {
  if (mask.ndim() > 4 ||
      broadcast_shapes(kName, mask.shape(), scores) != scores) {
    invalid(kName,
            fmt::format("the mask is {}; expected a shape that broadcasts to "
                        "{}.",
                        to_string(mask.spec()),
                        to_string(scores)));
  }
  Shape shape(size_t(4 - mask.ndim()), 1);
  for (int64_t n : mask.shape()) shape.push_back(n);
  return mask.ndim() == 4 ? mask : reshape(mask, shape, s);
}

AttentionMask mode_of(std::string_view word, const array& mask) {
  if (word != "" && word != "causal" && word != "array") {
    invalid(
        kName,
        fmt::format("the mask is '{}'; expected 'causal' or an array.", word));
  }
  if (word == "causal") {
    if (!mask.null())
      invalid(kName, "got 'causal' and a mask; expected one of them.");
    return AttentionMask::causal;
  }
  if (mask.null()) {
    if (word == "array") invalid(kName, "got no mask; expected an array.");
    return AttentionMask::none;
  }
  return mask.dtype() == bool_ ? AttentionMask::boolean
                               : AttentionMask::additive;
}

}  // namespace

array scaled_dot_product_attention(const array& q,
                                   const array& k,
                                   const array& v,
                                   double scale,
                                   std::string_view mask_mode,
                                   const array& mask,
                                   const array& sinks,
                                   StreamOrDevice s) {
  check_shapes(q, k, v);
  const Dtype dtype =
      promote_types(promote_types(q.dtype(), k.dtype()), v.dtype());
  if (!is_floating(dtype)) {
    invalid(kName,
            fmt::format("the result would be {}; expected a floating dtype.",
                        name_of(dtype)));
  }
  Attention op;
  op.scale = scale;
  op.mask = mode_of(mask_mode, mask);
  op.has_sinks = !sinks.null();
  Arrays in{astype(q, dtype, s), astype(k, dtype, s), astype(v, dtype, s)};
  if (op.has_mask()) {
    check_promotes("mask's elements", mask, dtype);
    Shape scores = q.shape();
    scores.back() = k.shape(2);
    array m = full_mask(mask, scores, s);
    in.push_back(m.dtype() == bool_ ? m : astype(m, dtype, s));
  }
  if (op.has_sinks) {
    check_promotes("sinks", sinks, dtype);
    if (sinks.shape() != Shape{q.shape(1)}) {
      invalid(kName,
              fmt::format("the sinks are {}; expected one for each head, {}.",
                          to_string(sinks.spec()),
                          to_string(Shape{q.shape(1)})));
    }
    in.push_back(astype(sinks, dtype, s));
  }
  Shape out = q.shape();
  out.back() = v.shape(3);
  // No key, or no element: there is nothing to take the maximum of.
  if (size_of(out) == 0 || k.shape(2) == 0) return zeros(out, dtype, s);
  return record(make_op(op), in, resolve(s));
}

}  // namespace fast
}  // namespace treadle
