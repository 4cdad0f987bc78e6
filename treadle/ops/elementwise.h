// Elementwise operations, generated from elementwise.def, and the operators on
// arrays.
#pragma once

#include <span>
#include <string_view>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/graph/record.h"
#include "treadle/ops/rules.h"

namespace treadle {

// An argument of an elementwise function: an array, or a number that takes the
// dtype of the arrays it meets. Refers to the array: for arguments only.
class Term {
 public:
  Term(const array& a) : array_(&a) {}
  template <class T>
  requires std::is_arithmetic_v<T> Term(T v) : scalar_(v) {}
  Term(complex64_t v) : scalar_(v) {}
  Term(const Scalar& v) : scalar_(v) {}

  bool is_array() const { return array_ != nullptr; }
  const array& as_array() const { return *array_; }
  const Scalar& scalar() const { return scalar_; }

 private:
  const array* array_ = nullptr;
  Scalar scalar_ = 0;
};

// The rows, in the order of elementwise.def.
enum class Row : uint8_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

// How a row's dtypes follow from its inputs; elementwise.def explains each.
enum class Rule : uint8_t {
  same,
  real,
  float_like,
  real_float,
  magnitude,
  compare,
  logical,
  integer,
  choose,
};

struct RowInfo {
  std::string_view name;
  Rule rule;
  int arity;
  std::string_view lane;  // the text of the lane expression
  std::string_view doc;
};

inline constexpr RowInfo kRows[] = {
#define UNARY(name, rule, lane, dx, doc) {#name, Rule::rule, 1, #lane, doc},
#define BINARY(name, rule, lane, da, db, doc) \
  {#name, Rule::rule, 2, #lane, doc},
#define TERNARY(name, rule, lane, da, db, dc, doc) \
  {#name, Rule::rule, 3, #lane, doc},
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};
inline constexpr int kNumRows = int(std::size(kRows));

constexpr const RowInfo& info(Row row) { return kRows[static_cast<int>(row)]; }

// The dtype that the inputs of a row are converted to, and that of its result,
// for inputs that meet in `promoted`. choose: of the last two inputs.
Dtype operand_dtype(Row row, Dtype promoted);
Dtype result_dtype(Row row, Dtype operand);

// The op of a row: its inputs have equal shapes, except that any may be a
// scalar (shape ()).
class Elementwise : public Op {
 public:
  Elementwise() = default;
  explicit Elementwise(Row r) : row(r) {}
  Row row = Row::negative;

  std::string_view name() const override { return info(row).name; }
  OpKind kind() const override { return OpKind::row; }
  TREADLE_RULES
  void hash_structure(Hasher& h) const override { h.add(uint64_t(row) + 1); }
  bool hash_sizes(Hasher&) const override { return false; }
  bool same_as(const Op& other) const override;
  std::string describe() const override { return ""; }
};

// A row by its number: promotes, broadcasts, records. Throws
// std::invalid_argument when the shapes do not broadcast or the row does not
// take the dtype.
array apply_row(Row row, std::span<const Term> args, StreamOrDevice s = {});

// While it lives, on this thread, what is recorded does not depend on the
// values of numbers: x / 8 stays a quotient. For traces of which other lengths,
// and numbers made of them, are to be told apart from all else.
class PlainNumbers {
 public:
  PlainNumbers();
  ~PlainNumbers();
  PlainNumbers(const PlainNumbers&) = delete;
  PlainNumbers& operator=(const PlainNumbers&) = delete;

 private:
  bool outer_;
};

// One function a row: exp(x), add(a, b), select(c, a, b) ...
#define UNARY(name, ...)                                          \
  inline array name(const Term& x, StreamOrDevice s = {}) {       \
    return apply_row(Row::name, std::span<const Term>(&x, 1), s); \
  }
#define BINARY(name, ...)                                                  \
  inline array name(const Term& a, const Term& b, StreamOrDevice s = {}) { \
    const Term args[] = {a, b};                                            \
    return apply_row(Row::name, args, s);                                  \
  }
#define TERNARY(name, ...)                                                  \
  inline array name(                                                        \
      const Term& a, const Term& b, const Term& c, StreamOrDevice s = {}) { \
    const Term args[] = {a, b, c};                                          \
    return apply_row(Row::name, args, s);                                   \
  }
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

// b where condition, c elsewhere: MLX's name for select.
inline array where(const Term& condition,
                   const Term& b,
                   const Term& c,
                   StreamOrDevice s = {}) {
  return select(condition, b, c, s);
}

#define TREADLE_OPERATOR(op, name)                                          \
  inline array operator op(const array& a, const array& b) {                \
    return name(a, b);                                                      \
  }                                                                         \
  template <class T>                                                        \
  requires std::is_arithmetic_v<T> array operator op(const array& a, T b) { \
    return name(a, b);                                                      \
  }                                                                         \
  template <class T>                                                        \
  requires std::is_arithmetic_v<T> array operator op(T a, const array& b) { \
    return name(a, b);                                                      \
  }
TREADLE_OPERATOR(+, add)
TREADLE_OPERATOR(-, subtract)
TREADLE_OPERATOR(*, multiply)
TREADLE_OPERATOR(/, divide)
TREADLE_OPERATOR(%, remainder)
TREADLE_OPERATOR(==, equal)
TREADLE_OPERATOR(!=, not_equal)
TREADLE_OPERATOR(<, less)
TREADLE_OPERATOR(<=, less_equal)
TREADLE_OPERATOR(>, greater)
TREADLE_OPERATOR(>=, greater_equal)
TREADLE_OPERATOR(&&, logical_and)
TREADLE_OPERATOR(||, logical_or)
TREADLE_OPERATOR(&, bitwise_and)
TREADLE_OPERATOR(|, bitwise_or)
TREADLE_OPERATOR(^, bitwise_xor)
TREADLE_OPERATOR(<<, left_shift)
TREADLE_OPERATOR(>>, right_shift)
#undef TREADLE_OPERATOR

inline array operator-(const array& x) { return negative(x); }
inline array operator!(const array& x) { return logical_not(x); }
inline array operator~(const array& x) { return bitwise_invert(x); }
inline array& operator+=(array& a, const Term& b) { return a = add(a, b); }
inline array& operator-=(array& a, const Term& b) { return a = subtract(a, b); }
inline array& operator*=(array& a, const Term& b) { return a = multiply(a, b); }
inline array& operator/=(array& a, const Term& b) { return a = divide(a, b); }

}  // namespace treadle
