// Every value comes from its own index, so that pieces may be made anywhere.
#include "treadle/backend/cpu/create.h"

#include "treadle/backend/cpu/convert.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/ops/create.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/create.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Vectors of memory aligned to them, past the caches if asked.
template <class D, class V>
HWY_INLINE void put(D d, V v, hn::TFromD<D>* y, bool stream) {
  if (stream) {
    hn::Stream(v, d, y);
  } else {
    hn::StoreU(v, d, y);
  }
}

// y[i] = start + i step for i in [begin, end), in double and rounded once.
void floats(float* y,
            int64_t begin,
            int64_t end,
            double start,
            double step,
            bool stream) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> dh;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto from = hn::Set(dd, start), by = hn::Set(dd, step);
  const auto half = hn::Set(dd, static_cast<double>(hn::Lanes(dd)));
  auto index = hn::Iota(dd, static_cast<double>(begin));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const auto low = hn::DemoteTo(dh, hn::Add(from, hn::Mul(index, by)));
    index = hn::Add(index, half);
    const auto high = hn::DemoteTo(dh, hn::Add(from, hn::Mul(index, by)));
    index = hn::Add(index, half);
    put(d, hn::Combine(d, high, low), y + i, stream);
  }
  for (; i < end; ++i) {
    y[i] = static_cast<float>(start + static_cast<double>(i) * step);
  }
  if (stream) hwy::FlushStream();
}

// The same, wrapping around.
void integers(uint32_t* y,
              int64_t begin,
              int64_t end,
              uint32_t start,
              uint32_t step,
              bool stream) {
  const hn::ScalableTag<uint32_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto by = hn::Set(d, step * static_cast<uint32_t>(lanes));
  auto v = hn::Add(hn::Set(d, start + static_cast<uint32_t>(begin) * step),
                   hn::Mul(hn::Iota(d, 0), hn::Set(d, step)));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes, v = hn::Add(v, by)) {
    put(d, v, y + i, stream);
  }
  for (; i < end; ++i) y[i] = start + static_cast<uint32_t>(i) * step;
  if (stream) hwy::FlushStream();
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

namespace {

HWY_EXPORT(floats);
HWY_EXPORT(integers);

// A result of at least this many bytes is written past the caches.
constexpr int64_t kStreamBytes = int64_t{8} << 20;
// Pieces begin at whole vectors.
constexpr int64_t kPiece = 16;

bool is_word(Dtype t) { return t == int32 || t == uint32; }

void run(const runtime::Task& task) {
  const auto& op = static_cast<const Arange&>(task.op);
  const runtime::Operand& out = task.out[0];
  const int64_t bytes = op.count * 4;
  const bool stream =
      bytes >= kStreamBytes && reinterpret_cast<uintptr_t>(out.data) % 64 == 0;
  // As the reference converts them.
  const int64_t start = convert<int64_t>(op.start);
  const auto step = static_cast<uint32_t>(
      static_cast<uint64_t>(convert<int64_t>(op.start + op.step)) -
      static_cast<uint64_t>(start));
  parallel_for(threads_for(task.threads, bytes),
               (op.count + kPiece - 1) / kPiece,
               [&](int64_t begin, int64_t end) {
                 begin *= kPiece;
                 end = std::min(end * kPiece, op.count);
                 if (is_word(out.dtype)) {
                   HWY_DYNAMIC_DISPATCH(integers)
                   (static_cast<uint32_t*>(out.data),
                    begin,
                    end,
                    static_cast<uint32_t>(start),
                    step,
                    stream);
                 } else {
                   HWY_DYNAMIC_DISPATCH(floats)
                   (static_cast<float*>(out.data),
                    begin,
                    end,
                    op.start,
                    op.step,
                    stream);
                 }
               });
}

std::string why_not(const Op&,
                    std::span<const Spec>,
                    std::span<const Spec> out) {
  const Dtype t = out[0].dtype;
  return t == float32 || is_word(t) ? ""
                                    : "takes float32, int32 and uint32 alone";
}

}  // namespace

runtime::Kernel arange() {
  return {.name = "cpu::arange", .why_not = why_not, .run = run};
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
