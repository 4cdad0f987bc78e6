#include "treadle/ops/einsum_order.h"

#include <algorithm>
#include <bit>
#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"

namespace treadle::einsum_detail {

namespace {

bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
int number_of(char c) { return c <= 'Z' ? c - 'A' : c - 'a' + 26; }
std::string name_of_subscript(int s) {
  if (s >= kLetters) return "...";
  return std::string(1, char(s < 26 ? 'A' + s : 'a' + s - 26));
}

// The place of an ellipsis in a list of subscripts.
constexpr int kEllipsis = -1;

class Parser {
 public:
  Parser(std::string_view op, const std::string& text, const Arrays& x)
      : op_(op), text_(text), x_(x) {}

  Terms parse() {
    std::string t;
    for (char c : text_) {
      if (c != ' ') t += c;
    }
    const size_t arrow = t.find("->");
    const std::string left = t.substr(0, arrow);
    size_t from = 0;
    for (;;) {
      const size_t comma = left.find(',', from);
      lists_.push_back(list(left.substr(from, comma - from)));
      if (comma == std::string::npos) break;
      from = comma + 1;
    }
    if (x_.size() != lists_.size()) {
      wrong(fmt::format("got {} operands for {} lists of subscripts.",
                        x_.size(),
                        lists_.size()));
    }
    for (size_t i = 0; i < x_.size(); ++i) count_ellipsis(i);
    Terms terms;
    std::fill(std::begin(terms.length), std::end(terms.length), 1);
    for (size_t i = 0; i < x_.size(); ++i) add_operand(i, &terms);
    terms.result = arrow == std::string::npos ? implicit(terms)
                                              : result(t.substr(arrow + 2));
    const Set known = set_of_all(terms);
    Set seen = 0;
    for (int s : terms.result) {
      if (!(known & bit(s)) && s < kLetters) {
        wrong(fmt::format("the result has '{}', which no operand has.",
                          name_of_subscript(s)));
      }
      if (seen & bit(s)) {
        wrong(fmt::format("the result has '{}' twice.", name_of_subscript(s)));
      }
      seen |= bit(s);
    }
    return terms;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    invalid(op_, fmt::format("'{}': {}", text_, what));
  }

  Subscripts list(const std::string& t) const {
    Subscripts out;
    for (size_t i = 0; i < t.size(); ++i) {
      if (t.compare(i, 3, "...") == 0) {
        if (std::count(out.begin(), out.end(), kEllipsis))
          wrong("'...' occurs twice in one list.");
        out.push_back(kEllipsis);
        i += 2;
      } else if (is_letter(t[i])) {
        out.push_back(number_of(t[i]));
      } else {
        wrong(
            fmt::format("got '{}'; expected letters, '...', ',' and one "
                        "'->'.",
                        t[i]));
      }
    }
    return out;
  }

  // The axes that "..." stands for in operand i.
  int hidden(size_t i) const {
    const Subscripts& s = lists_[i];
    const bool any = std::count(s.begin(), s.end(), kEllipsis) > 0;
    return any ? x_[i].ndim() - int(s.size()) + 1 : 0;
  }

  void count_ellipsis(size_t i) {
    const Subscripts& s = lists_[i];
    const bool any = std::count(s.begin(), s.end(), kEllipsis) > 0;
    const int letters = int(s.size()) - any;
    if (any ? x_[i].ndim() < letters : x_[i].ndim() != letters) {
      wrong(fmt::format("{} subscripts for operand {}, {}.",
                        letters,
                        i,
                        to_string(x_[i].spec())));
    }
    ellipsis_ = std::max(ellipsis_, hidden(i));
    if (ellipsis_ > kSubscripts - kLetters) {
      wrong(fmt::format("'...' stands for {} axes; expected at most {}.",
                        ellipsis_,
                        kSubscripts - kLetters));
    }
  }

  // "..." as the last `count` of all its axes: they are aligned as in
  // broadcasting.
  void append_ellipsis(int count, Subscripts* to) const {
    for (int k = ellipsis_ - count; k < ellipsis_; ++k)
      to->push_back(kLetters + k);
  }

  void add_operand(size_t i, Terms* terms) const {
    Subscripts out;
    for (int s : lists_[i]) {
      if (s == kEllipsis) {
        append_ellipsis(hidden(i), &out);
      } else {
        out.push_back(s);
      }
    }
    for (size_t axis = 0; axis < out.size(); ++axis) {
      int64_t& known = terms->length[out[axis]];
      const int64_t n = x_[i].shape(int(axis));
      if (n == 1 || n == known) continue;
      if (known != 1) {
        wrong(
            fmt::format("'{}' has length {} in operand {}, but {} before; "
                        "expected equal lengths or 1.",
                        name_of_subscript(out[axis]),
                        n,
                        i,
                        known));
      }
      known = n;
    }
    terms->operands.push_back(std::move(out));
  }

  Subscripts implicit(const Terms& terms) const {
    int times[kLetters] = {};
    for (const Subscripts& s : terms.operands) {
      for (int k : s) {
        if (k < kLetters) ++times[k];
      }
    }
    Subscripts out;
    append_ellipsis(ellipsis_, &out);
    for (int k = 0; k < kLetters; ++k) {
      if (times[k] == 1) out.push_back(k);
    }
    return out;
  }

  Subscripts result(const std::string& t) const {
    Subscripts out;
    for (int s : list(t)) {
      if (s == kEllipsis) {
        append_ellipsis(ellipsis_, &out);
      } else {
        out.push_back(s);
      }
    }
    return out;
  }

  static Set set_of_all(const Terms& terms) {
    Set all = 0;
    for (const Subscripts& s : terms.operands) all |= set_of(s);
    return all;
  }

  std::string_view op_;
  const std::string& text_;
  const Arrays& x_;
  std::vector<Subscripts> lists_;
  int ellipsis_ = 0;  // the most axes that "..." stands for
};

// Sets of subscripts and what contracting them costs.
class Costs {
 public:
  explicit Costs(const Terms& terms) : terms_(terms) {}
  double size(Set s) const {
    double n = 1;
    for (; s; s &= s - 1) n *= double(terms_.length[std::countr_zero(s)]);
    return n;
  }
  // Of `count` operands with subscripts `all`, of which `kept` remain.
  double of(Set all, Set kept, size_t count) const {
    const double products = double(std::max<size_t>(1, count - 1));
    return size(all) * (products + ((all & ~kept) ? 1 : 0));
  }

 private:
  const Terms& terms_;
};

// Operands that are being contracted, numbered for good; results get the next
// numbers. Turns pairs of numbers into a path.
class PathWriter {
 public:
  explicit PathWriter(size_t n) : next_(int(n)) {
    for (int i = 0; i < next_; ++i) alive_.push_back(i);
  }
  int contract(int a, int b, Path* path) {
    auto place = [&](int x) {
      return int(std::find(alive_.begin(), alive_.end(), x) - alive_.begin());
    };
    int i = place(a), j = place(b);
    if (i > j) std::swap(i, j);
    path->push_back({i, j});
    alive_.erase(alive_.begin() + j);
    alive_.erase(alive_.begin() + i);
    alive_.push_back(next_);
    return next_++;
  }

 private:
  std::vector<int> alive_;
  int next_;
};

// The cheapest tree over every subset of the operands, from small subsets to
// large ones.
class Exhaustive {
 public:
  Exhaustive(const Terms& terms, const Costs& costs)
      : count_(terms.operands.size()),
        subsets_(size_t{1} << count_),
        all_(subsets_),
        kept_(subsets_),
        cost_(subsets_, std::numeric_limits<double>::infinity()),
        left_(subsets_) {
    for (size_t s = 1; s < subsets_; ++s) {
      const size_t first = size_t(std::countr_zero(s));
      all_[s] = all_[s & (s - 1)] | set_of(terms.operands[first]);
    }
    const Set result = set_of(terms.result);
    for (size_t s = 1; s < subsets_; ++s)
      kept_[s] = all_[s] & (all_[(subsets_ - 1) & ~s] | result);
    for (size_t s = 1; s < subsets_; ++s) {
      if (std::has_single_bit(s)) {
        cost_[s] = 0;
        continue;
      }
      // Each way to part it in two; the first operand stays on the left.
      const size_t rest = s & (s - 1);
      for (size_t right = rest; right; right = (right - 1) & rest) {
        const size_t left = s & ~right;
        const double c = cost_[left] + cost_[right] +
                         costs.of(inside(left) | inside(right), kept_[s], 2);
        if (c < cost_[s]) {
          cost_[s] = c;
          left_[s] = left;
        }
      }
    }
  }

  Path path() const {
    Path out;
    PathWriter writer(count_);
    write(subsets_ - 1, &writer, &out);
    return out;
  }

 private:
  // What a subset has when it is contracted: an operand itself all it came
  // with.
  Set inside(size_t s) const {
    return std::has_single_bit(s) ? all_[s] : kept_[s];
  }
  int write(size_t s, PathWriter* writer, Path* out) const {
    if (std::has_single_bit(s)) return std::countr_zero(s);
    const int a = write(left_[s], writer, out);
    const int b = write(s & ~left_[s], writer, out);
    return writer->contract(a, b, out);
  }

  size_t count_, subsets_;
  std::vector<Set> all_, kept_;
  std::vector<double> cost_;
  std::vector<size_t> left_;
};

// The pair next whose result is the smallest, beside what it replaces.
Path greedy(const Terms& terms, const Costs& costs) {
  Path path;
  std::vector<Set> alive;
  for (const Subscripts& s : terms.operands) alive.push_back(set_of(s));
  const Set result = set_of(terms.result);
  while (alive.size() > 1) {
    double best = std::numeric_limits<double>::infinity(), best_cost = best;
    size_t a = 0, b = 1;
    Set best_kept = 0;
    for (size_t i = 0; i < alive.size(); ++i) {
      for (size_t j = i + 1; j < alive.size(); ++j) {
        Set others = result;
        for (size_t k = 0; k < alive.size(); ++k) {
          if (k != i && k != j) others |= alive[k];
        }
        const Set all = alive[i] | alive[j], kept = all & others;
        const double grows =
            costs.size(kept) - costs.size(alive[i]) - costs.size(alive[j]);
        const double cost = costs.of(all, kept, 2);
        if (grows < best || (grows == best && cost < best_cost)) {
          best = grows;
          best_cost = cost;
          a = i;
          b = j;
          best_kept = kept;
        }
      }
    }
    path.push_back({int(a), int(b)});
    alive.erase(alive.begin() + int64_t(b));
    alive.erase(alive.begin() + int64_t(a));
    alive.push_back(best_kept);
  }
  return path;
}

// What following a path costs.
void count(const Terms& terms, const Costs& costs, Order* order) {
  std::vector<Set> alive;
  for (const Subscripts& s : terms.operands) alive.push_back(set_of(s));
  const Set result = set_of(terms.result);
  for (const std::vector<int>& step : order->path) {
    Set all = 0, others = result;
    for (size_t k = step.size(); k-- > 0;) {
      all |= alive[size_t(step[k])];
      alive.erase(alive.begin() + step[k]);
    }
    for (Set s : alive) others |= s;
    order->multiplications += costs.of(all, all & others, step.size());
    order->scaling = std::max(order->scaling, std::popcount(all));
    alive.push_back(all & others);
  }
}

}  // namespace

Set set_of(const Subscripts& subscripts) {
  Set out = 0;
  for (int s : subscripts) out |= bit(s);
  return out;
}

Terms parse(std::string_view op, const std::string& text, const Arrays& x) {
  return Parser(op, text, x).parse();
}

Order best_order(const Terms& terms) {
  // 3^10 partitions take a millisecond.
  constexpr size_t kFew = 10;
  const Costs costs(terms);
  Order order;
  const size_t n = terms.operands.size();
  if (n == 1) {
    order.path = {{0}};
  } else {
    order.path =
        n <= kFew ? Exhaustive(terms, costs).path() : greedy(terms, costs);
  }
  count(terms, costs, &order);
  return order;
}

double naive_cost(const Terms& terms) {
  Set all = 0;
  for (const Subscripts& s : terms.operands) all |= set_of(s);
  return Costs(terms).of(all, set_of(terms.result), terms.operands.size());
}

}  // namespace treadle::einsum_detail
