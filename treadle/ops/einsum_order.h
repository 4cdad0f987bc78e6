// einsum before any array is touched: what the subscripts mean, and in which
// order to contract. For the sources of einsum only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle::einsum_detail {

// Subscripts are numbers below 64: 'A' to 'Z', 'a' to 'z', then the axes that
// "..." stands for. Sets of them are bits of one word.
using Subscripts = std::vector<int>;
using Set = uint64_t;
inline constexpr int kLetters = 52, kSubscripts = 64;

inline Set bit(int subscript) { return Set{1} << subscript; }
Set set_of(const Subscripts& s);

struct Terms {
  std::vector<Subscripts> operands;  // one for each axis
  Subscripts result;
  int64_t length[kSubscripts];  // of each subscript; 1 where all are 1
};

// Throws std::invalid_argument, naming `op`.
Terms parse(std::string_view op, const std::string& text, const Arrays& x);

// One contraction: one or two positions, ascending.
using Path = std::vector<std::vector<int>>;
struct Order {
  Path path;
  double multiplications = 0;  // and additions
  int scaling = 0;             // the most subscripts of a contraction
};
Order best_order(const Terms& terms);

// Multiplications and additions of all operands in one sum.
double naive_cost(const Terms& terms);

}  // namespace treadle::einsum_detail
