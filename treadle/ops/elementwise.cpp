#include "treadle/ops/elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// One factor of the chain rule. Most rows need no product at all.
struct Partial {
  enum class Kind : uint8_t {
    zero,
    one,
    minus_one,
    conjugated,
    factor,
    when,
    unless
  };
  Kind kind;
  array value;  // the factor or the mask

  Partial(Kind k) : kind(k) {}
  Partial(array factor) : kind(Kind::factor), value(std::move(factor)) {}
  Partial(Kind k, array mask) : kind(k), value(std::move(mask)) {}

  // v times this; null for zero. A cotangent meets the conjugate of a factor.
  array times(const array& v, bool conjugate) const {
    switch (kind) {
      case Kind::zero:
        return {};
      case Kind::one:
        return v;
      case Kind::minus_one:
        return negative(v);
      case Kind::conjugated:
        return treadle::conjugate(v);
      case Kind::when:
        return select(value, v, 0);
      case Kind::unless:
        return select(value, 0, v);
      case Kind::factor:
        break;
    }
    bool flip = conjugate && is_complex(value.dtype());
    return multiply(v, flip ? treadle::conjugate(value) : value);
  }
};

// dy/d(input number arg) of a row. a is also x; unused names are the row's own.
Partial partial(Row row,
                int arg,
                const array& a,
                const array& b,
                const array& c,
                const array& y) {
  [[maybe_unused]] const array &x = a, &c_ = c;
  const Partial zero(Partial::Kind::zero), one(Partial::Kind::one),
      minus_one(Partial::Kind::minus_one),
      conjugated(Partial::Kind::conjugated);
  auto when = [](array m) {
    return Partial(Partial::Kind::when, std::move(m));
  };
  [[maybe_unused]] auto conj = [](const array& v) {
    return is_complex(v.dtype()) ? treadle::conjugate(v) : v;
  };
  auto unless = [](array m) {
    return Partial(Partial::Kind::unless, std::move(m));
  };
  switch (row) {
#define UNARY(name, rule, lane, dx, doc) \
  case Row::name:                        \
    return dx;
#define BINARY(name, rule, lane, da, db, doc) \
  case Row::name:                             \
    if (arg == 0) return da;                  \
    return db;
#define TERNARY(name, rule, lane, da, db, dc, doc) \
  case Row::name:                                  \
    if (arg == 0) return da;                       \
    if (arg == 1) return db;                       \
    return dc;
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  }
  return zero;
}

array input_or_null(const Arrays& x, size_t i) {
  return i < x.size() ? x[i] : array();
}

[[noreturn]] void wrong_dtype(Row row, Dtype got, std::string_view expected) {
  invalid(
      info(row).name,
      fmt::format(
          "dtype {} is not supported; expected {}.", name_of(got), expected));
}

std::array<OpPtr, kNumRows> make_row_ops() {
  std::array<OpPtr, kNumRows> ops;
  for (int i = 0; i < kNumRows; ++i) {
    ops[i] = immortal_op(new Elementwise(static_cast<Row>(i)));
  }
  return ops;
}

const OpPtr& row_op(Row row) {
  static const auto* ops = new std::array<OpPtr, kNumRows>(make_row_ops());
  return (*ops)[static_cast<int>(row)];
}

thread_local bool plain_numbers = false;

// True when x / v and x * (1 / v) are the same number for every x.
bool has_exact_reciprocal(double v) {
  int exponent = 0;
  return std::abs(std::frexp(v, &exponent)) == 0.5 && std::abs(exponent) < 14;
}

// A cheaper way to write `x row v`, or the null array. It gives the same number
// (but for the square root of -0.0 and -inf). A plan does not know values, so
// this is the time for it.
array simpler(Row row, const array& x, const Scalar& v, Stream s) {
  if (v.kind() == Scalar::Kind::complex || x.dtype() == bool_ ||
      plain_numbers) {
    return {};
  }
  const double number = v.real();
  const bool inexact = is_inexact(x.dtype());
  switch (row) {
    case Row::add:
      // -0.0 + 0 is 0.0.
      if (number == 0 && !inexact) return x;
      break;
    case Row::subtract:
      if (number == 0 && !std::signbit(number)) return x;
      break;
    case Row::multiply:
      if (number == 1) return x;
      break;
    case Row::divide:
      if (number == 1) return x;
      if (!is_complex(x.dtype()) && has_exact_reciprocal(number)) {
        return multiply(x, 1 / number, s);
      }
      break;
    case Row::power:
      if (number == 1) return x;
      if (number == 2) return square(x, s);
      // 1 ULP instead of 0.5, in a tenth of the time. Half types would be
      // rounded twice.
      if (number == 3 && !is_half(x.dtype()))
        return multiply(square(x, s), x, s);
      if (number == 0.5) return sqrt(x, s);
      if (number == -0.5) return rsqrt(x, s);
      if (number == -1 && inexact) return reciprocal(x, s);
      break;
    default:
      break;
  }
  return {};
}

// The larger real part goes first, so that nothing overflows.
array complex_logaddexp(const array& a, const array& b, Stream s) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const array first = greater(real(a, s), real(b, s), s);
  const array top = select(first, a, b, s), low = select(first, b, a, s);
  const array y = add(top, log1p(exp(subtract(low, top, s), s), s), s);
  const array alone =
      logical_or(equal(real(low, s), -inf, s), equal(real(top, s), inf, s), s);
  return select(alone, top, y, s);
}

}  // namespace

PlainNumbers::PlainNumbers() : outer_(std::exchange(plain_numbers, true)) {}
PlainNumbers::~PlainNumbers() { plain_numbers = outer_; }

Dtype operand_dtype(Row row, Dtype promoted) {
  switch (info(row).rule) {
    case Rule::same:
      if (row == Row::negative && promoted == bool_) {
        wrong_dtype(row, promoted, "a number; use logical_not for bool");
      }
      return promoted;
    case Rule::real:
      if (is_complex(promoted)) wrong_dtype(row, promoted, "a real type");
      return promoted;
    case Rule::float_like:
      return at_least_float(promoted);
    case Rule::real_float:
      if (is_complex(promoted)) wrong_dtype(row, promoted, "a real type");
      return at_least_float(promoted);
    case Rule::magnitude:
    case Rule::compare:
    case Rule::choose:
      return promoted;
    case Rule::logical:
      return bool_;
    case Rule::integer:
      if (is_inexact(promoted)) {
        wrong_dtype(row, promoted, "integers or bool");
      }
      // A bool has no bits to move.
      if (promoted == bool_ &&
          (row == Row::left_shift || row == Row::right_shift)) {
        return uint8;
      }
      return promoted;
  }
  return promoted;
}

Dtype result_dtype(Row row, Dtype operand) {
  switch (info(row).rule) {
    case Rule::magnitude:
      return operand == complex64 ? float32 : operand;
    case Rule::compare:
    case Rule::logical:
      return bool_;
    default:
      return operand;
  }
}

Specs Elementwise::infer(std::span<const Spec> in) const {
  const Spec* shaped = &in[0];
  for (const Spec& s : in) {
    if (!s.shape.empty()) shaped = &s;
  }
  for (const Spec& s : in) {
    if (!s.shape.empty() && s.shape != shaped->shape) {
      invalid(name(),
              fmt::format("shapes {} and {} differ.",
                          treadle::to_string(s.shape),
                          treadle::to_string(shaped->shape)));
    }
  }
  return {Spec{shaped->shape, result_dtype(row, in.back().dtype)}};
}

bool Elementwise::same_as(const Op& other) const {
  const Elementwise* o = as<Elementwise>(other);
  return o && o->row == row;
}

Arrays Elementwise::jvp(const Arrays& x,
                        const Arrays& y,
                        const Arrays& t,
                        Argnums args) const {
  array sum;
  for (size_t i = 0; i < args.size(); ++i) {
    if (t[i].null()) continue;
    array v =
        partial(
            row, args[i], x[0], input_or_null(x, 1), input_or_null(x, 2), y[0])
            .times(t[i], false);
    if (v.null()) continue;
    sum = sum.null() ? v : add(sum, v);
  }
  // abs of a complex number: only the part along x changes the modulus.
  if (!sum.null() && is_complex(sum.dtype()) && !is_complex(y[0].dtype())) {
    invalid(name(), "has no forward derivative for complex64.");
  }
  if (!sum.null() && sum.shape() != y[0].shape()) {
    sum = broadcast_to(sum, y[0].shape());
  }
  return {sum};
}

Arrays Elementwise::vjp(const Arrays& x,
                        const Arrays& y,
                        const Arrays& ct,
                        Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  for (size_t i = 0; i < args.size(); ++i) {
    const array& in = x[size_t(args[i])];
    if (!is_inexact(in.dtype())) continue;
    array g =
        partial(
            row, args[i], x[0], input_or_null(x, 1), input_or_null(x, 2), y[0])
            .times(ct[0], true);
    if (g.null()) continue;
    if (in.ndim() == 0 && g.ndim() > 0) g = treadle::sum(g);
    out[i] = g;
  }
  return out;
}

Mapped Elementwise::vmap(const Arrays& x, std::span<const int> axes) const {
  int ndim = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    ndim = std::max(ndim, x[i].ndim() - (axes[i] != kNotMapped));
  }
  Arrays moved;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] == kNotMapped) {
      moved.push_back(x[i]);
      continue;
    }
    array v = moveaxis(x[i], axes[i], 0);
    while (v.ndim() < ndim + 1) v = expand_dims(v, 1);
    moved.push_back(v);
  }
  std::vector<Term> terms(moved.begin(), moved.end());
  return {{apply_row(row, terms)}, {0}};
}

array apply_row(Row row, std::span<const Term> args, StreamOrDevice stream) {
  Stream s = resolve(stream);
  const bool choose = info(row).rule == Rule::choose;
  // The dtype in which the arguments meet: first of the arrays, then the weak
  // numbers adjust it by their kind.
  const Scalar* weak = nullptr;
  Dtype promoted = bool_;
  bool any_array = false;
  for (size_t i = choose ? 1 : 0; i < args.size(); ++i) {
    if (!args[i].is_array()) continue;
    const array& a = args[i].as_array();
    if (a.null()) invalid(info(row).name, "an argument is the null array.");
    promoted = any_array ? promote_types(promoted, a.dtype()) : a.dtype();
    any_array = true;
  }
  for (size_t i = choose ? 1 : 0; i < args.size(); ++i) {
    if (args[i].is_array()) continue;
    weak = &args[i].scalar();
    promoted = any_array ? weak->dtype_with(promoted)
                         : promote_types(promoted, weak->default_dtype());
  }
  if (row == Row::bitwise_invert && promoted == bool_) row = Row::logical_not;
  if (is_complex(promoted)) {
    if (row == Row::floor_divide) row = Row::divide;  // as in MLX
    if (row == Row::logaddexp) {
      const auto whole = [&](const Term& t) {
        return t.is_array() ? astype(t.as_array(), promoted, s)
                            : array(t.scalar(), promoted);
      };
      return complex_logaddexp(whole(args[0]), whole(args[1]), s);
    }
  }
  Dtype operand = operand_dtype(row, promoted);

  if (weak && args.size() == 2 && any_array) {
    const bool number_first = !args[0].is_array();
    const array& x = args[number_first ? 1 : 0].as_array();
    if (x.dtype() == operand && (!number_first || row == Row::multiply)) {
      array y = simpler(row, x, *weak, s);
      if (!y.null()) return y;
    }
  }

  std::array<array, 3> in;
  const Shape* shape = nullptr;
  bool equal_shapes = true;
  for (size_t i = 0; i < args.size(); ++i) {
    Dtype want = choose && i == 0 ? bool_ : operand;
    if (args[i].is_array()) {
      const array& a = args[i].as_array();
      in[i] = a.dtype() == want ? a : astype(a, want, s);
      if (a.ndim() > 0) {
        if (shape && *shape != a.shape()) equal_shapes = false;
        if (!shape || a.ndim() > int(shape->size())) shape = &a.shape();
      }
    } else {
      const Scalar& number = args[i].scalar();
      if (!number.fits(want)) {
        invalid(info(row).name,
                fmt::format("the number {} does not fit in {}.",
                            number.to_string(),
                            name_of(want)));
      }
      in[i] = array(number, want);
    }
  }
  Spec out{shape ? *shape : Shape{}, result_dtype(row, operand)};
  if (!equal_shapes) {
    for (size_t i = 0; i < args.size(); ++i) {
      out.shape = broadcast_shapes(info(row).name, out.shape, in[i].shape());
    }
    for (size_t i = 0; i < args.size(); ++i) {
      if (in[i].ndim() > 0) in[i] = broadcast_to(in[i], out.shape, s);
    }
  }
  return record_checked(row_op(row),
                        std::move(out),
                        std::span<const array>(in.data(), args.size()),
                        s);
}

}  // namespace treadle
