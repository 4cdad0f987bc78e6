#include "tools/gpu_smoke/reference.h"

#include <cstring>
#include <stdexcept>
#include <variant>

#include "tools/gpu_smoke/host_vm.h"

namespace treadle::gpu_smoke {
namespace {

using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using runtime::Operand;
using Code = TapeValue::Code;
using vm::Complex;

template <class To, class From>
To cast(From x) {
  if constexpr (std::is_same_v<From, Complex> && !std::is_same_v<To, Complex>) {
    return cast<To>(x.real());
  } else if constexpr (std::is_same_v<To, Complex> &&
                       !std::is_same_v<From, Complex>) {
    return Complex(double(x), 0.0);
  } else if constexpr (std::is_floating_point_v<From> &&
                       std::is_integral_v<To>) {
    // The values that the checks convert fit into 64 bits.
    return x < 0 ? To(int64_t(x)) : To(uint64_t(x));
  } else {
    return To(x);
  }
}

// A for the lane f32, B for f64.
template <class A, class B>
class Evaluator {
 public:
  using Column = std::variant<std::vector<A>,
                              std::vector<B>,
                              std::vector<int32_t>,
                              std::vector<int64_t>,
                              std::vector<uint32_t>,
                              std::vector<uint64_t>,
                              std::vector<Complex>>;

  Evaluator(const Tape& tape, const Shape& space, std::span<const Operand> in)
      : tape_(tape), space_(space), in_(in) {
    const int cut =
        tape.inner_axes > 0 ? int(space.size()) - tape.inner_axes : 0;
    for (int d = 0; d < int(space.size()); ++d)
      (d < cut ? rows_ : length_) *= space[d];
  }

  std::vector<Expected> run() {
    std::vector<Column> sums(tape_.values.size());
    outputs_.resize(tape_.outputs.size());
    for (int64_t row = 0; row < rows_; ++row) {
      values_.assign(tape_.values.size(), {});
      for (size_t i = 0; i < tape_.values.size(); ++i) step(i, row, sums[i]);
    }
    for (size_t i = 0; i < tape_.values.size(); ++i) {
      if (tape_.values[i].code == Code::reduce_column && rows_ > 0) {
        append(tape_.values[i].index, sums[i], length_);
      }
    }
    return std::move(outputs_);
  }

 private:
  static Column column_of(Lane lane, size_t n) {
    switch (lane) {
      case Lane::f32:
        return std::vector<A>(n);
      case Lane::f64:
        return std::vector<B>(n);
      case Lane::i32:
        return std::vector<int32_t>(n);
      case Lane::i64:
        return std::vector<int64_t>(n);
      case Lane::u32:
        return std::vector<uint32_t>(n);
      case Lane::u64:
        return std::vector<uint64_t>(n);
      case Lane::c64:
        break;
    }
    return std::vector<Complex>(n);
  }
  static size_t size(const Column& c) {
    return std::visit([](const auto& v) { return v.size(); }, c);
  }

  void step(size_t i, int64_t row, Column& sum) {
    const TapeValue& v = tape_.values[i];
    switch (v.code) {
      case Code::load:
        values_[i] = load(v, row);
        break;
      case Code::row:
        values_[i] = apply(v);
        break;
      case Code::convert:
        values_[i] = convert(v);
        break;
      case Code::reduce_row: {
        Column one = column_of(v.lane, 1);
        std::visit(
            [&](auto& to) {
              using T = typename std::decay_t<decltype(to)>::value_type;
              const auto& from = std::get<std::vector<T>>(values_[v.a]);
              for (int64_t j = 0; j < length_; ++j) {
                const T x = from[from.size() == 1 ? 0 : j];
                to[0] = j ? both(v.reduce, to[0], x) : x;
              }
            },
            one);
        values_[i] = one;
        break;
      }
      case Code::store: {
        const bool full = tape_.outputs[v.index].form == OutputForm::full;
        append(v.index, values_[v.a], full ? length_ : 1);
        break;
      }
      case Code::reduce_column:
        if (row == 0) sum = column_of(v.lane, length_);
        std::visit(
            [&](auto& to) {
              using T = typename std::decay_t<decltype(to)>::value_type;
              const auto& from = std::get<std::vector<T>>(values_[v.a]);
              for (int64_t j = 0; j < length_; ++j) {
                const T x = from[from.size() == 1 ? 0 : j];
                to[j] = row ? both(v.reduce, to[j], x) : x;
              }
            },
            sum);
        break;
    }
  }

  template <class T>
  static T both(ReduceKind kind, T a, T b) {
    switch (kind) {
      case ReduceKind::sum:
        return a + b;
      case ReduceKind::prod:
        return a * b;
      case ReduceKind::max:
        return vm::max(a, b);
      case ReduceKind::min:
        break;
    }
    return vm::min(a, b);
  }

  Column load(const TapeValue& v, int64_t row) {
    const Operand& x = in_[v.index];
    const int64_t n = v.uniform ? 1 : length_;
    Column c = column_of(v.lane, n);
    for (int64_t j = 0; j < n; ++j) {
      int64_t flat = row * length_ + j, at = 0;
      for (int d = int(space_.size()) - 1; d >= 0; --d) {
        at += flat % space_[d] * x.strides[d];
        flat /= space_[d];
      }
      visit_dtype(x.dtype, [&]<class T>() {
        T e;
        std::memcpy(&e,
                    static_cast<const char*>(x.data) + at * int64_t(sizeof(T)),
                    sizeof(T));
        std::visit(
            [&](auto& to) {
              using L = typename std::decay_t<decltype(to)>::value_type;
              if constexpr (std::is_same_v<T, complex64_t>) {
                to[j] = cast<L>(Complex(e));
              } else if constexpr (std::is_same_v<T, float16_t> ||
                                   std::is_same_v<T, bfloat16_t>) {
                to[j] = cast<L>(float(e));
              } else {
                to[j] = cast<L>(e);
              }
            },
            c);
      });
    }
    return c;
  }

  Column convert(const TapeValue& v) {
    return std::visit(
        [&](const auto& from) {
          Column c = column_of(v.lane, from.size());
          visit_dtype(v.dtype, [&]<class T>() {
            std::visit(
                [&](auto& to) {
                  using L = typename std::decay_t<decltype(to)>::value_type;
                  for (size_t j = 0; j < from.size(); ++j) {
                    if constexpr (std::is_same_v<T, bool>) {
                      to[j] = L(from[j] != std::decay_t<decltype(from[j])>(0));
                    } else if constexpr (std::is_same_v<T, float16_t> ||
                                         std::is_same_v<T, bfloat16_t>) {
                      to[j] = cast<L>(float(T(cast<float>(from[j]))));
                    } else if constexpr (std::is_same_v<T, complex64_t>) {
                      to[j] = cast<L>(cast<Complex>(from[j]));
                    } else {
                      to[j] = cast<L>(cast<T>(from[j]));
                    }
                  }
                },
                c);
          });
          return c;
        },
        values_[v.a]);
  }

  Column apply(const TapeValue& v) {
    const int arity = info(v.row).arity;
    const bool chooses = info(v.row).rule == Rule::choose;
    // The lane of the row is that of its last input: select's first is bool.
    const Column& typed = values_[arity == 3 ? v.b : v.a];
    Column result;
    std::visit(
        [&](const auto& of_lane) {
          using T = typename std::decay_t<decltype(of_lane)>::value_type;
          auto at = [&]<class E>(uint16_t value, E, size_t j) -> E {
            const auto& c = std::get<std::vector<E>>(values_[value]);
            return c[c.size() == 1 ? 0 : j];
          };
          size_t n = size(values_[v.a]);
          if (arity > 1) n = std::max(n, size(values_[v.b]));
          if (arity > 2) n = std::max(n, size(values_[v.c]));
          Column c = column_of(v.lane, n);
          bool done = false;
          auto fill = [&](auto&& one) {
            std::visit(
                [&](auto& to) {
                  using L = typename std::decay_t<decltype(to)>::value_type;
                  for (size_t j = 0; j < n; ++j) to[j] = cast<L>(one(j));
                },
                c);
            done = true;
          };
          switch (v.row) {
#define UNARY(name, rule, lane, dx, doc)     \
  case Row::name:                            \
    if constexpr (requires(T x) { lane; }) { \
      fill([&](size_t j) {                   \
        const T x = at(v.a, T{}, j);         \
        return lane;                         \
      });                                    \
    }                                        \
    break;
#define BINARY(name, rule, lane, da, db, doc)             \
  case Row::name:                                         \
    if constexpr (requires(T a, T b) { lane; }) {         \
      fill([&](size_t j) {                                \
        const T a = at(v.a, T{}, j), b = at(v.b, T{}, j); \
        return lane;                                      \
      });                                                 \
    }                                                     \
    break;
#define TERNARY(name, rule, lane, da, db, dc, doc)            \
  case Row::name:                                             \
    if constexpr (requires(uint32_t a, T b, T c) { lane; }) { \
      if (!chooses) break;                                    \
      fill([&](size_t j) {                                    \
        const uint32_t a = at(v.a, uint32_t{}, j);            \
        const T b = at(v.b, T{}, j), c = at(v.c, T{}, j);     \
        return lane;                                          \
      });                                                     \
    }                                                         \
    break;
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
          }
          if (!done)
            throw std::logic_error("no reference for this row and lane");
          result = std::move(c);
        },
        typed);
    return result;
  }

  void append(size_t output, const Column& c, int64_t n) {
    std::visit(
        [&](const auto& from) {
          for (int64_t j = 0; j < n; ++j) {
            const auto x = from[from.size() == 1 ? 0 : j];
            if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Complex>) {
              outputs_[output].emplace_back(x.real(), x.imag());
            } else {
              outputs_[output].emplace_back((long double)x, 0.0L);
            }
          }
        },
        c);
  }

  const Tape& tape_;
  const Shape& space_;
  std::span<const Operand> in_;
  int64_t rows_ = 1, length_ = 1;
  std::vector<Column> values_;
  std::vector<Expected> outputs_;
};

}  // namespace

std::vector<Expected> evaluate(const Tape& tape,
                               const Shape& space,
                               std::span<const Operand> in,
                               Precision precision) {
  if (precision == Precision::lanes)
    return Evaluator<float, double>(tape, space, in).run();
  return Evaluator<double, long double>(tape, space, in).run();
}

}  // namespace treadle::gpu_smoke
