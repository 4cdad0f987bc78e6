#include "treadle/io/function_ops.h"

#include <cmath>
#include <limits>
#include <tuple>
#include <type_traits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/arg_reduce.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/chosen_products.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/factorize.h"
#include "treadle/ops/fft.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/norms.h"
#include "treadle/ops/pool.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/rope.h"
#include "treadle/ops/softmax.h"
#include "treadle/ops/solve.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/symmetric_root.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

using A = const Arrays&;

// --- Recording again ---------------------------------------------------------

[[noreturn]] void wrong(std::string_view op) {
  invalid(op, "the fields or inputs of a saved operation do not fit.");
}

void need(std::string_view op, A x, size_t count) {
  if (x.size() != count) wrong(op);
}

template <class T>
void need(const T&, A x, size_t count) {
  need(T::op_name, x, count);
}

// Lengths of a file may multiply to more than any memory has.
void check_size(std::string_view op, const Shape& shape, Dtype dtype) {
  bool good = true;
  for (int64_t d : shape) good = good && d >= 0;
  if (!good || !bytes_in_file(Spec{shape, dtype})) wrong(op);
}

Arrays make(const Identity& op, A x) {
  need(op, x, 1);
  return {op.stop ? stop_gradient(x[0]) : x[0]};
}
Arrays make(const Broadcast& op, A x) {
  need(op, x, 1);
  check_size(Broadcast::op_name, op.shape, x[0].dtype());
  return {broadcast_to(x[0], op.shape)};
}
Arrays make(const Reshape& op, A x) {
  need(op, x, 1);
  check_size(Reshape::op_name, op.shape, x[0].dtype());
  return {reshape(x[0], op.shape)};
}
Arrays make(const ExpandDims& op, A x) {
  need(op, x, 1);
  return {expand_dims(x[0], op.axes)};
}
Arrays make(const Squeeze& op, A x) {
  need(op, x, 1);
  return {op.axes.empty() ? x[0] : squeeze(x[0], op.axes)};
}
Arrays make(const Transpose& op, A x) {
  need(op, x, 1);
  return {transpose(x[0], op.axes)};
}

// Stored bounds count from the front; the functions read negative ones from
// the end.
Shape python_stop(std::string_view op, const array& x, Shape stop) {
  if (stop.size() != x.shape().size()) wrong(op);
  for (size_t i = 0; i < stop.size(); ++i) {
    if (stop[i] < -1) wrong(op);
    if (stop[i] < 0) stop[i] = -1 - x.shape()[i];
  }
  return stop;
}

Arrays make(const Slice& op, A x) {
  need(op, x, 1);
  const Shape stop = python_stop(Slice::op_name, x[0], op.stop);
  return {slice(x[0], op.start, stop, op.step)};
}
Arrays make(const SliceUpdate& op, A x) {
  need(op, x, 2);
  const Shape stop = python_stop(SliceUpdate::op_name, x[0], op.stop);
  return {slice_update(x[0], x[1], op.start, stop, op.step)};
}
Arrays make(const AsType& op, A x) {
  need(op, x, 1);
  return {astype(x[0], op.dtype)};
}
Arrays make(const Contiguous& op, A x) {
  need(op, x, 1);
  return {record(Contiguous{}, {x[0]}, resolve({}))};
}
Arrays make(const Pad& op, A x) {
  need(op, x, 1);
  check_size(Pad::op_name, op.low, bool_);
  check_size(Pad::op_name, op.high, bool_);
  return {pad(x[0], op.low, op.high)};
}
Arrays make(const Concatenate& op, A x) { return {concatenate(x, op.axis)}; }
Arrays make(const BitCast& op, A x) {
  need(op, x, 1);
  return {view(x[0], op.dtype)};
}
Arrays make(const AsStrided& op, A x) {
  need(op, x, 1);
  check_size(AsStrided::op_name, op.shape, x[0].dtype());
  return {as_strided(x[0], op.shape, op.strides, op.offset)};
}
Arrays make(const Arange& op, A x) {
  need(op, x, 0);
  check_size(Arange::op_name, {op.count}, op.dtype);
  if (op.dtype == bool_ || op.dtype == complex64) {
    wrong(Arange::op_name);
  }
  return {record(Arange(op), {}, resolve({}))};
}
Arrays make(const RandomBits& op, A x) {
  need(op, x, 1);
  if (op.width != 1 && op.width != 2 && op.width != 4) {
    wrong(RandomBits::op_name);
  }
  check_size(RandomBits::op_name, op.shape, uint32);
  return {record(RandomBits(op), {x[0]}, resolve({}))};
}
Arrays make(const Take& op, A x) {
  need(op, x, 2);
  return {take(x[0], x[1], op.axis)};
}
Arrays make(const TakeAlongAxis& op, A x) {
  need(op, x, 2);
  return {take_along_axis(x[0], x[1], op.axis)};
}
Arrays make(const Scatter& op, A x) {
  need(op, x, 3);
  return {scatter(x[0], x[1], x[2], op.axis, op.mode)};
}
Arrays make(const ScatterAlongAxis& op, A x) {
  need(op, x, 3);
  return {scatter_along_axis(x[0], x[1], x[2], op.axis, op.mode)};
}
Arrays make(const Sort& op, A x) {
  need(op, x, 1);
  return {sort(x[0], -1)};
}
Arrays make(const ArgSort& op, A x) {
  need(op, x, 1);
  return {argsort(x[0], -1)};
}
Arrays make(const ArgPartition& op, A x) {
  need(op, x, 1);
  if (x[0].ndim() == 0 || op.kth < 0 || op.kth >= x[0].shape(-1))
    wrong(ArgPartition::op_name);
  return {argpartition(x[0], int(op.kth), -1)};
}
Arrays make(const SearchSorted& op, A x) {
  need(op, x, 2);
  return {searchsorted(x[0], x[1], op.right ? "right" : "left")};
}
Arrays make(const SymmetricRoot& op, A x) {
  need(op, x, 1);
  return {symmetric_root(x[0])};
}
Arrays make(const Matmul& op, A x) {
  need(op, x, 2);
  if (x[0].ndim() < 2 || x[1].ndim() < 2) wrong(Matmul::op_name);
  return {matmul(x[0], x[1])};
}
Arrays make(const Reduce& op, A x) {
  need(op, x, 1);
  switch (op.reduce) {
    case ReduceKind::sum:
      return {sum(x[0], op.axes, true)};
    case ReduceKind::prod:
      return {prod(x[0], op.axes, true)};
    case ReduceKind::max:
      return {max(x[0], op.axes, true)};
    case ReduceKind::min:
      return {min(x[0], op.axes, true)};
  }
  wrong(Reduce::op_name);
}
Arrays make(const ArgReduce& op, A x) {
  need(op, x, 1);
  return {op.reduce == ArgKind::max ? argmax(x[0], op.axis, true)
                                    : argmin(x[0], op.axis, true)};
}
Arrays make(const Cumulative& op, A x) {
  need(op, x, 1);
  auto run = [&](auto f) -> Arrays {
    return {f(x[0], op.axis, op.reverse, op.inclusive, StreamOrDevice())};
  };
  switch (op.kind_of) {
    case CumulativeKind::sum:
      return run(cumsum);
    case CumulativeKind::prod:
      return run(cumprod);
    case CumulativeKind::max:
      return run(cummax);
    case CumulativeKind::min:
      return run(cummin);
    case CumulativeKind::logsumexp:
      return run(logcumsumexp);
  }
  wrong(Cumulative::op_name);
}
Arrays make(const Softmax& op, A x) {
  need(op, x, 1);
  return {softmax(x[0], op.axes, op.precise)};
}
Arrays make(const RmsNorm& op, A x) {
  need(op, x, op.has_weight ? 2 : 1);
  return {fast::rms_norm(x[0], op.has_weight ? x[1] : array(), op.eps)};
}
Arrays make(const LayerNorm& op, A x) {
  need(op, x, 1 + size_t(op.has_weight) + size_t(op.has_bias));
  return {fast::layer_norm(x[0],
                           op.has_weight ? x[1] : array(),
                           op.has_bias ? x.back() : array(),
                           op.eps)};
}
Arrays make(const Rope& op, A x) {
  need(op, x, op.has_freqs ? 3 : 2);
  // An inverse rotation turns by the opposite angle.
  return {fast::rope(x[0],
                     op.dims,
                     op.traditional,
                     op.has_freqs ? std::nullopt : std::optional(op.base),
                     op.inverse ? -op.scale : op.scale,
                     x[1],
                     op.has_freqs ? x[2] : array())};
}
Arrays make(const Attention& op, A x) {
  need(op, x, 3 + size_t(op.has_mask()) + size_t(op.has_sinks));
  array y = fast::scaled_dot_product_attention(
      x[0],
      x[1],
      x[2],
      op.scale,
      op.has_mask()                      ? "array"
      : op.mask == AttentionMask::causal ? "causal"
                                         : "",
      op.has_mask() ? x[3] : array(),
      op.has_sinks ? x.back() : array());
  return {y, array()};  // the second output is for gradients, see can_save
}
Arrays make(const Conv& op, A x) {
  need(op, x, 2);
  const ConvGeometry& g = op.geometry;
  return {conv_general(x[0],
                       x[1],
                       g.stride,
                       g.low,
                       g.high,
                       g.kernel_dilation,
                       g.input_dilation,
                       g.groups,
                       g.flip)};
}

// Whether Conv takes an input with these lengths, gives lengths `out`, and the
// channels divide.
bool fits(const ConvGeometry& g,
          const Shape& spatial,
          const Shape& kernel,
          const Shape& out) {
  const size_t n = spatial.size();
  for (const Shape* s :
       {&g.stride, &g.low, &g.high, &g.kernel_dilation, &g.input_dilation}) {
    if (s->size() != n) return false;
  }
  if (kernel.size() != n || out.size() != n || n < 1 || n > 3) return false;
  for (size_t i = 0; i < n; ++i) {
    constexpr int64_t kMost = int64_t(1) << 40;
    if (spatial[i] < 0 || spatial[i] > kMost || kernel[i] > kMost) return false;
    for (int64_t v : {g.stride[i], g.kernel_dilation[i], g.input_dilation[i]}) {
      if (v < 1 || v > (1 << 20)) return false;
    }
    if (std::abs(g.low[i]) > kMost || std::abs(g.high[i]) > kMost) return false;
  }
  return g.groups >= 1 && g.output(spatial, kernel) == out;
}

Shape spatial_of(const array& x) {
  return {x.shape().begin() + 1, x.shape().end() - 1};
}

bool same_kind(A x, std::initializer_list<int> ranks_as_first) {
  for (int i : ranks_as_first) {
    const array& a = x[size_t(i)];
    if (a.ndim() < 3 || a.ndim() > 5 || a.ndim() != x[0].ndim() ||
        a.dtype() != x[0].dtype()) {
      return false;
    }
  }
  return is_inexact(x[0].dtype());
}

Arrays make(const ConvInputGrad& op, A x) {
  need(op, x, 2);  // w, ct
  const ConvGeometry& g = op.geometry;
  const bool good = same_kind(x, {0, 1}) && x[1].shape(-1) == x[0].shape(0) &&
                    fits(g, op.spatial, spatial_of(x[0]), spatial_of(x[1])) &&
                    x[0].shape(0) % g.groups == 0;
  if (!good) wrong(ConvInputGrad::op_name);
  return {record(ConvInputGrad(op), {x[0], x[1]}, resolve({}))};
}
Arrays make(const ConvWeightGrad& op, A x) {
  need(op, x, 2);  // x, ct
  const ConvGeometry& g = op.geometry;
  const bool good = same_kind(x, {0, 1}) && x[0].shape(0) == x[1].shape(0) &&
                    fits(g, spatial_of(x[0]), op.spatial, spatial_of(x[1])) &&
                    x[0].shape(-1) % g.groups == 0 &&
                    x[1].shape(-1) % g.groups == 0;
  if (!good) wrong(ConvWeightGrad::op_name);
  return {record(ConvWeightGrad(op), {x[0], x[1]}, resolve({}))};
}

bool fits(const PoolWindows& w, const Shape& spatial, const Shape& out) {
  const size_t n = spatial.size();
  if (n < 1 || n > 3 || w.size.size() != n || w.stride.size() != n ||
      w.low.size() != n || w.high.size() != n) {
    return false;
  }
  for (size_t i = 0; i < n; ++i) {
    constexpr int64_t kMost = int64_t(1) << 40;
    if (spatial[i] < 0 || w.size[i] < 0 || w.stride[i] < 1 || w.low[i] < 0 ||
        w.high[i] < 0 || w.low[i] > kMost || w.high[i] > kMost) {
      return false;
    }
    if (w.shared(i) && (spatial[i] < 1 || w.stride[i] > (1 << 30) ||
                        w.low[i] != 0 || w.high[i] != 0)) {
      return false;
    }
  }
  return out.empty() || w.output(spatial) == out;
}

bool is_spatial(const array& x) { return x.ndim() >= 3 && x.ndim() <= 5; }
bool same_ends(const array& a, const array& b) {
  return a.ndim() == b.ndim() && a.shape(0) == b.shape(0) &&
         a.shape(-1) == b.shape(-1);
}

Arrays make(const Pool& op, A x) {
  need(op, x, 1);
  const bool good = is_spatial(x[0]) && x[0].dtype() != complex64 &&
                    (op.pool == PoolKind::max || is_floating(x[0].dtype())) &&
                    fits(op.windows, spatial_of(x[0]), {});
  if (!good) wrong(Pool::op_name);
  return {record(Pool(op), {x[0]}, resolve({}))};
}
Arrays make(const MeanPoolGrad& op, A x) {
  need(op, x, 1);
  const bool good = is_spatial(x[0]) && is_floating(x[0].dtype()) &&
                    op.spatial.size() + 2 == x[0].shape().size() &&
                    fits(op.windows, op.spatial, spatial_of(x[0]));
  if (!good) wrong(MeanPoolGrad::op_name);
  return {record(MeanPoolGrad(op), {x[0]}, resolve({}))};
}
// Inputs: x, the pooled x, then values of x's shape or of the pooled one's.
template <class T>
Arrays make_at_maxima(const T& op, A x, bool values_like_x) {
  need(op, x, 3);
  const bool good = is_spatial(x[0]) && same_ends(x[0], x[1]) &&
                    x[2].shape() == x[values_like_x ? 0 : 1].shape() &&
                    is_floating(x[0].dtype()) && x[1].dtype() == x[0].dtype() &&
                    x[2].dtype() == x[0].dtype() &&
                    fits(op.windows, spatial_of(x[0]), spatial_of(x[1]));
  if (!good) wrong(T::op_name);
  return {record(T(op), {x[0], x[1], x[2]}, resolve({}))};
}
Arrays make(const MaxPoolGrad& op, A x) { return make_at_maxima(op, x, false); }
Arrays make(const MaxPoolPick& op, A x) { return make_at_maxima(op, x, true); }

// Ops that need nothing but what they infer about: shapes and dtypes.
template <class T>
Arrays make_checked(const T& op, A x, size_t count) {
  need(op, x, count);
  return record_all(make_op(T(op)), x, resolve({}));
}
Arrays make(const ChosenProducts& op, A x) {
  check_size(op.op_name, {op.groups}, bool_);
  if (x.size() < 4) wrong(op.op_name);
  return record_all(make_op(ChosenProducts(op)), x, resolve({}));
}
Arrays make(const SegmentProducts& op, A x) { return make_checked(op, x, 3); }
Arrays make(const SegmentRows& op, A x) { return make_checked(op, x, 3); }
Arrays make(const linalg::Cholesky& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Lu& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Qr& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Svd& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Eigh& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Eig& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Inverse& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::Adjugate& op, A x) { return make_checked(op, x, 1); }
Arrays make(const linalg::TriangularSolve& op, A x) {
  return make_checked(op, x, 2);
}
Arrays make(const linalg::LuSolve& op, A x) {
  need(op, x, 4);  // a, its factors, the order of their rows, b
  Spec order{x[0].shape(), uint32};
  if (!order.shape.empty()) order.shape.pop_back();
  if (x[1].spec() != x[0].spec() || x[2].spec() != order) wrong(op.op_name);
  if (order.shape.empty() || order.shape.back() == 0) {
    return make_checked(op, x, 4);
  }
  // Whatever the file says, rows that are there.
  const array row = minimum(x[2], array(order.shape.back() - 1, uint32));
  return make_checked(op, {x[0], x[1], row, x[3]}, 4);
}
Arrays make(const fft::Fft& op, A x) {
  need(op, x, 1);
  bool good = !op.axes.empty() && op.length >= 0;
  std::vector<bool> met(x[0].shape().size(), false);
  for (int axis : op.axes) {
    good = good && axis >= 0 && axis < x[0].ndim() && !met[size_t(axis)];
    if (good) met[size_t(axis)] = true;
  }
  if (!good) wrong(op.op_name);
  return make_checked(op, x, 1);
}

Arrays make(const Elementwise& op, A x) {
  need(op.name(), x, size_t(info(op.row).arity));
  const std::vector<Term> terms(x.begin(), x.end());
  return {apply_row(op.row, terms)};
}

// --- The list ----------------------------------------------------------------

template <class... T>
struct List {};

using Saved = List<Identity,
                   Broadcast,
                   Reshape,
                   ExpandDims,
                   Squeeze,
                   Transpose,
                   Slice,
                   SliceUpdate,
                   AsType,
                   Contiguous,
                   Pad,
                   Concatenate,
                   BitCast,
                   AsStrided,
                   Arange,
                   RandomBits,
                   Take,
                   TakeAlongAxis,
                   Scatter,
                   ScatterAlongAxis,
                   Sort,
                   ArgSort,
                   ArgPartition,
                   SearchSorted,
                   SymmetricRoot,
                   Matmul,
                   ChosenProducts,
                   SegmentProducts,
                   SegmentRows,
                   Reduce,
                   ArgReduce,
                   Cumulative,
                   Softmax,
                   RmsNorm,
                   LayerNorm,
                   Rope,
                   Attention,
                   Conv,
                   ConvInputGrad,
                   ConvWeightGrad,
                   Pool,
                   MeanPoolGrad,
                   MaxPoolGrad,
                   MaxPoolPick,
                   linalg::Cholesky,
                   linalg::Lu,
                   linalg::Qr,
                   linalg::Svd,
                   linalg::Eigh,
                   linalg::Eig,
                   linalg::Inverse,
                   linalg::Adjugate,
                   linalg::TriangularSolve,
                   linalg::LuSolve,
                   fft::Fft>;

// f of the op as what it is; false for an op that is not in the list.
template <class F, class... T>
bool visit(const Op& op, const F& f, List<T...>) {
  auto one = [&]<class U>(std::type_identity<U>) {
    const U* u = as<U>(op);
    if (u) f(*u);
    return u != nullptr;
  };
  return (one(std::type_identity<T>()) || ...);
}
template <class F>
bool visit(const Op& op, const F& f) {
  return visit(op, f, Saved());
}
// f of a default op of a name.
template <class F, class... T>
bool visit_named(std::string_view name, const F& f, List<T...>) {
  auto one = [&]<class U>(std::type_identity<U>) {
    if (U::op_name != name) return false;
    f(U());
    return true;
  };
  return (one(std::type_identity<T>()) || ...);
}

// The fields of an op that is not const, which its own functions give as const.
template <class T>
auto& own(const T& field) {
  return const_cast<T&>(field);
}

// --- Fields ------------------------------------------------------------------

// How many values an enumeration has.
template <class E>
constexpr int kCount = 0;
template <>
constexpr int kCount<Dtype> = int(Dtype::complex64) + 1;
template <>
constexpr int kCount<ReduceKind> = 4;
template <>
constexpr int kCount<ScatterMode> = 5;
template <>
constexpr int kCount<CumulativeKind> = 5;
template <>
constexpr int kCount<ArgKind> = 2;
template <>
constexpr int kCount<AttentionMask> = 4;
template <>
constexpr int kCount<PoolKind> = 2;
template <>
constexpr int kCount<linalg::Svd::Parts> = 3;
template <>
constexpr int kCount<linalg::Inverse::Kind> = 3;
template <>
constexpr int kCount<fft::Fft::Kind> = 3;

template <class T>
void put(FileWriter& w, const T& v) {
  if constexpr (std::is_floating_point_v<T>) {
    w.number(double(v));
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    w.number(static_cast<int64_t>(v));
  } else {
    w.number(uint64_t(v.size()));
    for (const auto& e : v) put(w, e);
  }
}

template <class T>
void get(FileReader& r, T& v) {
  if constexpr (std::is_floating_point_v<T>) {
    v = T(r.number<double>());
  } else if constexpr (std::is_enum_v<T>) {
    static_assert(kCount<T> > 0);
    const auto n = r.number<int64_t>();
    if (n < 0 || n >= kCount<T>) r.bad("has a choice that is not known.");
    v = static_cast<T>(n);
  } else if constexpr (std::is_same_v<T, bool>) {
    v = r.number<int64_t>() != 0;
  } else if constexpr (std::is_arithmetic_v<T>) {
    const auto n = r.number<int64_t>();
    if (n < std::numeric_limits<T>::min() || n > std::numeric_limits<T>::max())
      r.bad("has a number out of its range.");
    v = T(n);
  } else {
    const auto n = r.count(r.number<uint64_t>(), sizeof(int64_t));
    if (n > 64) r.bad("has a list of more than 64 numbers.");
    v.resize(size_t(n));
    for (auto& e : v) get(r, e);
  }
}

// f of each number among the lengths and positions of an op.
template <class T, class F>
void each_length(const T& op, const F& f) {
  auto field = [&](auto& v) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(v)>>) {
      f(own(v));
    } else {
      for (auto& e : own(v)) f(e);
    }
  };
  std::apply([&](const auto&... v) { (field(v), ...); }, op.sizes());
}

}  // namespace

// --- The interface -----------------------------------------------------------

bool can_save(const Op& op) {
  if (as<Elementwise>(op)) return true;
  return visit(op, [](const auto&) {});
}

void write_op(FileWriter& w, const Op& op) {
  if (const auto* row = as<Elementwise>(op)) {
    w.text(row->name());
    return;
  }
  visit(op, [&]<class T>(const T& t) {
    w.text(T::op_name);
    auto all = [&](const auto&... v) { (put(w, v), ...); };
    std::apply(all, t.fields());
    std::apply(all, t.sizes());
  });
}

OpPtr read_op(FileReader& r) {
  const std::string name = r.text();
  for (int i = 0; i < kNumRows; ++i) {
    if (kRows[i].name == name) return OpPtr(new Elementwise(Row(i)));
  }
  OpPtr op;
  const bool known = visit_named(
      name,
      [&]<class T>(T t) {
        auto all = [&](const auto&... v) { (get(r, own(v)), ...); };
        std::apply(all, t.fields());
        std::apply(all, t.sizes());
        op = make_op(std::move(t));
      },
      Saved());
  if (!known) {
    r.bad(fmt::format(
        "holds the operation '{}', which this version does not know.", name));
  }
  return op;
}

Arrays record_again(const Op& op, const Arrays& in) {
  if (const auto* row = as<Elementwise>(op)) return make(*row, in);
  Arrays out;
  visit(op, [&](const auto& t) { out = make(t, in); });
  return out;
}

std::vector<double> lengths_in(const Op& op) {
  std::vector<double> out;
  visit(op, [&](const auto& t) {
    each_length(t, [&](auto& v) { out.push_back(double(v)); });
  });
  return out;
}

OpPtr with_lengths(const Op& op, const std::vector<double>& lengths) {
  OpPtr out;
  visit(op, [&]<class T>(const T& t) {
    T changed = t;
    size_t next = 0;
    each_length(changed, [&](auto& v) {
      const double to = lengths[next++];
      if constexpr (std::is_integral_v<std::remove_reference_t<decltype(v)>>) {
        if (to != std::floor(to) || std::abs(to) > 9e15) {
          invalid(T::op_name, "a length of the arguments does not fit.");
        }
        v = static_cast<std::remove_reference_t<decltype(v)>>(to);
      } else {
        v = to;
      }
    });
    out = make_op(std::move(changed));
  });
  return out;
}

std::vector<std::string> field_texts(const Op& op) {
  std::vector<std::string> out;
  visit(op, [&](const auto& t) {
    auto all = [&](const auto&... v) { (out.push_back(fields::text(v)), ...); };
    std::apply(all, t.fields());
    std::apply(all, t.sizes());
  });
  return out;
}

}  // namespace treadle
