#include "treadle/backend/cpu/onednn/conv.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <fmt/format.h>

#include "treadle/backend/cpu/conv_problem.h"
#include "treadle/backend/cpu/follow_bias.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/space.h"
#include "treadle/runtime/deterministic.h"
#ifdef TREADLE_HAS_ONEDNN
#include "treadle/backend/cpu/onednn/engine.h"
#endif

namespace treadle::backend::cpu {

namespace {

using runtime::Kernel;

enum class Unknown { x, w, y };

#ifdef TREADLE_HAS_ONEDNN

using namespace onednn;
using runtime::Operand;
using runtime::Task;

// The convolution that oneDNN computes: no dilated input, kernel read forwards.
// A convolution with a dilated input (and stride 1) is the transpose of one
// with a stride, so input and result change places then, and the kernel's
// direction changes.
struct Plain {
  ConvProblem p;  // input_dilation 1, no flip
  bool swapped = false;
  bool backwards = false;  // the op's weight is p's weight read backwards
  Lengths high;
};

bool all_one(const Lengths& v) { return v == Lengths{1, 1, 1}; }

Plain plain_of(const ConvProblem& p) {
  Plain q;
  q.p = p;
  q.backwards = p.flip;
  q.swapped = !all_one(p.input_dilation);
  if (q.swapped) {
    std::swap(q.p.in, q.p.out);
    std::swap(q.p.in_channels, q.p.out_channels);
    q.p.stride = p.input_dilation;
    q.p.input_dilation = {1, 1, 1};
    q.backwards = !p.flip;
  }
  for (size_t i = 0; i < 3; ++i) {
    const int64_t reach = (p.kernel[i] - 1) * p.kernel_dilation[i];
    if (q.swapped) q.p.low[i] = reach - p.low[i];
    q.high[i] =
        (q.p.out[i] - 1) * q.p.stride[i] + reach + 1 - q.p.in[i] - q.p.low[i];
  }
  q.p.flip = false;
  return q;
}

template <class O>
ConvProblem problem_of(const Op& op,
                       const Shape& a,
                       const Shape& b,
                       const Shape& out,
                       Dtype dtype) {
  return conv_problem(static_cast<const O&>(op), a, b, out, dtype);
}

template <class O>
std::string why_not(const Op& op,
                    std::span<const Spec> in,
                    std::span<const Spec> out) {
  const Dtype dtype = in[0].dtype;
  if (dtype != float32 && !is_half(dtype)) {
    return fmt::format("takes float32, bfloat16 and float16, not {}",
                       name_of(dtype));
  }
  const ConvProblem p =
      problem_of<O>(op, in[0].shape, in[1].shape, out[0].shape, dtype);
  if (p.has_no_sum()) return "";
  if (std::is_same_v<O, ConvWeightGrad> && deterministic()) {
    return "its sums depend on the number of threads";
  }
  if (!all_one(p.stride) && !all_one(p.input_dilation)) {
    return "does not take stride and input_dilation at once";
  }
  const Plain q = plain_of(p);
  for (size_t i = 0; i < 3; ++i) {
    if (q.p.low[i] < 0 || q.high[i] + q.p.stride[i] <= 0) {
      return "does not take padding that cuts off";
    }
  }
  return "";
}

// A convolution and the reordering of its weight, ready to be called.
struct ConvCall {
  Call conv, reorder;
  bool reordered = false;
  size_t weight_bytes = 0;  // in oneDNN's layout, when reordered
};

// Axes (n, channels, spatial ...) of an array that lies channels last.
MemoryDesc channels_last(const Plain& q,
                         const Lengths& spatial,
                         int64_t channels,
                         Dtype dtype) {
  const size_t first = 3 - q.p.spatial;
  Dims dims{q.p.n, channels}, strides{0, 1};
  int64_t step = channels;
  dims.append(spatial.begin() + first, spatial.end());
  strides.resize(dims.size());
  for (size_t i = 3; i-- > first;) {
    strides[i - first + 2] = step;
    step *= spatial[i];
  }
  strides[0] = step;
  return strided(dims, strides, dtype);
}

Dims weight_dims(const Plain& q) {
  Dims dims;
  if (q.p.groups > 1) dims.push_back(q.p.groups);
  dims.push_back(q.p.out_channels);
  dims.push_back(q.p.in_channels);
  dims.append(q.p.kernel.begin() + (3 - q.p.spatial), q.p.kernel.end());
  return dims;
}

// As the op's weight (O, spatial ..., C) lies, under oneDNN's order of axes.
MemoryDesc plain_weight(const Plain& q, Dtype dtype) {
  const int64_t last = q.swapped ? q.p.out_channels : q.p.in_channels;
  const int64_t first = q.swapped ? q.p.in_channels : q.p.out_channels;
  const size_t skipped = 3 - q.p.spatial;
  Dims taps(q.p.spatial);
  int64_t step = last;
  for (size_t i = 3; i-- > skipped;) {
    taps[i - skipped] = step;
    step *= q.p.kernel[i];
  }
  Dims strides;
  if (q.p.groups > 1) strides.push_back(first * step);
  strides.push_back(q.swapped ? 1 : step);
  strides.push_back(q.swapped ? step : 1);
  strides.append(taps.begin(), taps.end());
  return strided(weight_dims(q), strides, dtype);
}

enum class Pass { forward, input, weight };

PrimitiveDesc describe(const Plain& q,
                       Pass pass,
                       const MemoryDesc& x,
                       const MemoryDesc& w,
                       const MemoryDesc& bias,
                       const MemoryDesc& y) {
  const size_t first = 3 - q.p.spatial;
  auto list = [&](const Lengths& v) {
    return Dims(v.begin() + first, v.end());
  };
  Dims gaps = list(q.p.kernel_dilation);
  for (int64_t& d : gaps) --d;
  const Dims stride = list(q.p.stride), low = list(q.p.low),
             high = list(q.high);
  const Attr attr = user_scratchpad();
  PrimitiveDesc forward, desc;
  check(api::convolution_forward_primitive_desc_create(forward.out(),
                                                       engine(),
                                                       dnnl_forward_training,
                                                       dnnl_convolution_direct,
                                                       x.get(),
                                                       w.get(),
                                                       bias.get(),
                                                       y.get(),
                                                       stride.data(),
                                                       gaps.data(),
                                                       low.data(),
                                                       high.data(),
                                                       attr.get()),
        "conv");
  if (pass == Pass::forward) return forward;
  if (pass == Pass::input) {
    check(api::convolution_backward_data_primitive_desc_create(
              desc.out(),
              engine(),
              dnnl_convolution_direct,
              x.get(),
              w.get(),
              y.get(),
              stride.data(),
              gaps.data(),
              low.data(),
              high.data(),
              forward.get(),
              attr.get()),
          "conv_input_grad");
  } else {
    check(api::convolution_backward_weights_primitive_desc_create(
              desc.out(),
              engine(),
              dnnl_convolution_direct,
              x.get(),
              w.get(),
              nullptr,
              y.get(),
              stride.data(),
              gaps.data(),
              low.data(),
              high.data(),
              forward.get(),
              attr.get()),
          "conv_weight_grad");
  }
  return desc;
}

// With a bias, its address is the call's fourth.
ConvCall make(const Plain& q, Pass pass, bool biased, Dtype dtype) {
  const MemoryDesc x =
      channels_last(q, q.p.in, q.p.groups * q.p.in_channels, dtype);
  const MemoryDesc y =
      channels_last(q, q.p.out, q.p.groups * q.p.out_channels, dtype);
  const MemoryDesc plain = plain_weight(q, dtype);
  const MemoryDesc bias =
      biased ? strided({q.p.groups * q.p.out_channels}, {1}, dtype)
             : MemoryDesc();
  const PrimitiveDesc desc =
      describe(q, pass, x, any_layout(weight_dims(q), dtype), bias, y);
  const MemoryDesc w =
      layout_of(desc,
                pass == Pass::weight ? dnnl_query_diff_weights_md
                                     : dnnl_query_weights_md);
  ConvCall c;
  c.conv = Call(desc);
  const bool x_known = pass != Pass::input, y_known = pass != Pass::forward;
  c.conv.add_argument(x_known ? DNNL_ARG_SRC : DNNL_ARG_DIFF_SRC, x);
  c.conv.add_argument(
      pass == Pass::weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, w);
  c.conv.add_argument(y_known ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, y);
  c.conv.add_scratchpad(desc);
  if (biased) c.conv.add_argument(DNNL_ARG_BIAS, bias);
  c.reordered = !api::memory_desc_equal(w.get(), plain.get());
  if (c.reordered) {
    c.weight_bytes = api::memory_desc_get_size(w.get());
    c.reorder =
        pass == Pass::weight ? reorder_call(w, plain) : reorder_call(plain, w);
  }
  return c;
}

ConvCall& find(
    const Plain& q, Pass pass, bool biased, Dtype dtype, int threads) {
  static thread_local Cache<ConvCall> cache;
  Key key;
  key.add(int64_t(pass) * 2 + biased);
  key.add(int64_t(dtype));
  key.add(threads);
  key.add(int64_t(q.p.spatial) * 2 + q.swapped);
  key.add(q.p.n);
  key.add(q.p.groups);
  key.add(q.p.in_channels);
  key.add(q.p.out_channels);
  for (const Lengths* v : {&q.p.in,
                           &q.p.kernel,
                           &q.p.out,
                           &q.p.stride,
                           &q.p.low,
                           &q.p.kernel_dilation}) {
    key.add_all(*v);
  }
  return cache.get(key, [&] { return make(q, pass, biased, dtype); });
}

// The weight (O, taps, C) with its taps in reverse order.
void reverse_taps(const ConvProblem& p,
                  Dtype dtype,
                  const char* from,
                  char* to) {
  const int64_t taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  const size_t row = size_t(p.in_channels) * size_of(dtype);
  const int64_t rows = p.groups * p.out_channels;
  for (int64_t o = 0; o < rows; ++o) {
    for (int64_t k = 0; k < taps; ++k) {
      std::memcpy(to + size_t(o * taps + k) * row,
                  from + size_t(o * taps + taps - 1 - k) * row,
                  row);
    }
  }
}

Dtype compute_dtype(Dtype dtype) {
  // oneDNN's float16 has no fast weight gradient and no fast depthwise kernels.
  return dtype == bfloat16 && is_native(bfloat16) ? bfloat16 : float32;
}

size_t bytes_of(const Operand& o, Dtype dtype) {
  return size_t(treadle::size_of(o.shape)) * size_of(dtype);
}

Operand placed(const Operand& like, Dtype dtype, void* data) {
  Operand o = like;
  o.dtype = dtype;
  o.data = data;
  o.strides = row_major_strides(o.shape);
  o.contiguous = true;
  return o;
}

template <Unknown unknown>
Pass pass_of(const Plain& q) {
  return unknown == Unknown::w                  ? Pass::weight
         : (unknown == Unknown::y) != q.swapped ? Pass::forward
                                                : Pass::input;
}

// How a call does the work that follows.
struct Followed {
  const Operand* bias = nullptr;    // oneDNN adds it
  const Operand* result = nullptr;  // where a passing result may lie
};

// oneDNN's pass for gradients takes no bias.
Followed followed(const Task& task, Pass pass, bool passing) {
  Followed f;
  if (!task.follow) return f;
  if (pass == Pass::forward && passing) {
    f.bias = followed_by_bias(*task.follow);
  }
  f.result = f.bias ? task.follow->out.data() : follows_in_place(*task.follow);
  return f;
}

bool conv_follows(const Task& task) {
  const Operand& out = task.out[0];
  const ConvProblem p = problem_of<Conv>(
      task.op, task.in[0].shape, task.in[1].shape, out.shape, out.dtype);
  return !p.has_no_sum() && compute_dtype(p.dtype) == p.dtype &&
         followed(task, pass_of<Unknown::y>(plain_of(p)), true).result;
}

// The steps of one call, walked twice: with `run` false only to count the
// workspace.
template <class O, Unknown unknown>
size_t perform(const Task& task, bool run) {
  const Operand &a = task.in[0], &b = task.in[1], &out = task.out[0];
  const ConvProblem p =
      problem_of<O>(task.op, a.shape, b.shape, out.shape, out.dtype);
  if (p.has_no_sum()) {
    if (run) std::memset(out.data, 0, bytes_of(out, out.dtype));
    return 0;
  }
  const Plain q = plain_of(p);
  const Dtype dtype = compute_dtype(p.dtype);
  const Pass pass = pass_of<unknown>(q);
  const ThreadLimit limit(task.threads);
  const Followed follow = followed(task, pass, !out.data);
  ConvCall& call = find(q, pass, follow.bias != nullptr, dtype, task.threads);
  Space space(run ? task.workspace : nullptr);

  // The three arrays in the dtype of the computation, in the op's layout.
  auto place = [&](const Operand& o, bool known) -> char* {
    if (o.dtype == dtype) {
      const bool passing = !known && !o.data && follow.result;
      return static_cast<char*>(passing ? follow.result->data : o.data);
    }
    char* at = space.take(bytes_of(o, dtype));
    if (run && known) copy(o, placed(o, dtype, at), task.threads);
    return at;
  };
  char* const first = place(a, true);
  char* const second = place(b, true);
  char* const result = place(out, false);
  const Operand& weight = unknown == Unknown::w   ? out
                          : unknown == Unknown::x ? a
                                                  : b;
  char* const x = unknown == Unknown::x ? result : first;
  char* const w = unknown == Unknown::w   ? result
                  : unknown == Unknown::x ? first
                                          : second;
  char* const y = unknown == Unknown::y ? result : second;

  char* forwards = w;
  if (q.backwards) {
    forwards = space.take(bytes_of(weight, dtype));
    if (run && pass != Pass::weight) reverse_taps(p, dtype, w, forwards);
  }
  char* blocked = forwards;
  char* pad = nullptr;
  if (call.reordered) {
    blocked = space.take(call.weight_bytes);
    pad = space.take(call.reorder.scratch_bytes());
    if (run && pass != Pass::weight) {
      call.reorder.run({forwards, blocked, pad});
    }
  }
  char* const scratch = space.take(call.conv.scratch_bytes());
  char* const vector =
      space.take(follow.bias ? dense_bias_bytes(*follow.bias) : 0);
  if (!run) return space.used();

  char* const from = q.swapped ? y : x;
  char* const to = q.swapped ? x : y;
  if (follow.bias) {
    call.conv.run(
        {from, blocked, to, scratch, dense_bias(*follow.bias, vector)});
  } else {
    call.conv.run({from, blocked, to, scratch});
    if (task.follow) follow_everywhere(*task.follow, result, task.threads);
  }
  if (pass == Pass::weight) {
    if (call.reordered) call.reorder.run({blocked, forwards, pad});
    if (q.backwards) reverse_taps(p, dtype, forwards, w);
  }
  if (out.dtype != dtype) copy(placed(out, dtype, result), out, task.threads);
  return space.used();
}

bool is_small(const Task& task) {
  size_t bytes = bytes_of(task.out[0], task.out[0].dtype);
  for (const Operand& o : task.in) bytes += bytes_of(o, o.dtype);
  return bytes < size_t{256} << 10;
}

template <class O, Unknown unknown>
Kernel kernel(std::string_view name) {
  return {.name = name,
          .why_not = why_not<O>,
          .run = [](const Task& task) { perform<O, unknown>(task, true); },
          .workspace =
              [](const Task& task) {
                size_t bytes = perform<O, unknown>(task, false);
                // A small plan runs on one thread, whatever was planned.
                if (task.threads > 1 && is_small(task)) {
                  Task alone = task;
                  alone.threads = 1;
                  bytes = std::max(bytes, perform<O, unknown>(alone, false));
                }
                return bytes;
              }};
}

#else

template <class O, Unknown unknown>
Kernel kernel(std::string_view name) {
  return {.name = name,
          .why_not = [](const Op&, std::span<const Spec>, std::span<const Spec>)
              -> std::string { return "this build has no oneDNN"; }};
}

#endif

}  // namespace

Kernel onednn_conv() {
  Kernel k = kernel<Conv, Unknown::y>("onednn::conv");
#ifdef TREADLE_HAS_ONEDNN
  k.follows = conv_follows;
#endif
  return k;
}
Kernel onednn_conv_input_grad() {
  return kernel<ConvInputGrad, Unknown::x>("onednn::conv_input_grad");
}
Kernel onednn_conv_weight_grad() {
  return kernel<ConvWeightGrad, Unknown::w>("onednn::conv_weight_grad");
}

}  // namespace treadle::backend::cpu
