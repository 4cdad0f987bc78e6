#include "treadle/ops/einsum.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/einsum_order.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

using namespace einsum_detail;

// An operand with the subscripts of its axes, none twice, none of length 1.
struct Labelled {
  array x;
  Subscripts axes;
};

int place(const Subscripts& axes, int s) {
  return int(std::find(axes.begin(), axes.end(), s) - axes.begin());
}

Subscripts only(const Subscripts& axes, Set wanted) {
  Subscripts out;
  for (int s : axes) {
    if (wanted & bit(s)) out.push_back(s);
  }
  return out;
}

class Contraction {
 public:
  Contraction(const Terms& terms, StreamOrDevice s) : terms_(terms), s_(s) {}

  // Axes of length 1 dropped, diagonals taken.
  Labelled start(const array& x, const Subscripts& subscripts) const {
    Labelled t{x, {}};
    Axes ones;
    for (size_t i = 0; i < subscripts.size(); ++i) {
      if (x.shape(int(i)) == 1) {
        ones.push_back(int(i));
      } else {
        t.axes.push_back(subscripts[i]);
      }
    }
    if (!ones.empty()) t.x = squeeze(t.x, ones, s_);
    for (size_t i = 0; i < t.axes.size(); ++i) {
      for (size_t j = i + 1; j < t.axes.size(); ++j) {
        if (t.axes[i] != t.axes[j]) continue;
        // The diagonal's axis comes last.
        const int subscript = t.axes[i];
        t.x = diagonal(t.x, 0, int(i), int(j), s_);
        t.axes.erase(t.axes.begin() + int64_t(j));
        t.axes.erase(t.axes.begin() + int64_t(i));
        t.axes.push_back(subscript);
        return start(t.x, t.axes);
      }
    }
    return t;
  }

  // Summed over all axes but those in `kept`.
  Labelled reduced(const Labelled& t, Set kept) const {
    Axes over;
    for (size_t i = 0; i < t.axes.size(); ++i) {
      if (!(kept & bit(t.axes[i]))) over.push_back(int(i));
    }
    if (over.empty()) return t;
    return {sum(t.x, over, false, s_), only(t.axes, kept)};
  }

  Labelled contracted(Labelled a,
                      Labelled b,
                      Set kept,
                      const Subscripts* order) const {
    // What one of them alone has, and nobody else, is summed before.
    a = reduced(a, kept | set_of(b.axes));
    b = reduced(b, kept | set_of(a.axes));
    const Set both = set_of(a.axes) & set_of(b.axes), inner = both & ~kept;
    if (!inner) return multiplied(a, b);
    if (!is_inexact(promote_types(a.x.dtype(), b.x.dtype()))) {
      return reduced(multiplied(a, b), kept);
    }
    // The free axes of the left operand come first in the product.
    if (order && begins_with(b, *order, both)) std::swap(a, b);
    const Subscripts batch = only(a.axes, both & kept);
    const Subscripts rows = only(a.axes, ~both), columns = only(b.axes, ~both);
    // In the order of the larger one, which is then more likely to stay.
    const Subscripts summed =
        only(a.x.size() >= b.x.size() ? a.axes : b.axes, inner);
    array y = matmul(matrices(a, batch, rows, summed),
                     matrices(b, batch, summed, columns),
                     s_);
    Labelled t{y, batch};
    t.axes.insert(t.axes.end(), rows.begin(), rows.end());
    t.axes.insert(t.axes.end(), columns.begin(), columns.end());
    t.x = reshape(y, shape_of(t.axes), s_);
    return t;
  }

  // With axes in the order of the result, and those of length 1.
  array finished(const Labelled& t) const {
    Subscripts present;
    Axes ones;
    for (size_t i = 0; i < terms_.result.size(); ++i) {
      if (terms_.length[terms_.result[i]] == 1) {
        ones.push_back(int(i));
      } else {
        present.push_back(terms_.result[i]);
      }
    }
    array y = arranged(t, present);
    return ones.empty() ? y : expand_dims(y, ones, s_);
  }

 private:
  static bool begins_with(const Labelled& t,
                          const Subscripts& order,
                          Set both) {
    for (int s : order) {
      if (!(both & bit(s))) return (set_of(t.axes) & bit(s)) != 0;
    }
    return false;
  }

  Shape shape_of(const Subscripts& axes) const {
    Shape out;
    for (int s : axes) out.push_back(terms_.length[s]);
    return out;
  }
  int64_t size_of_axes(const Subscripts& axes) const {
    return treadle::size_of(shape_of(axes));
  }

  array arranged(const Labelled& t, const Subscripts& order) const {
    if (t.axes == order) return t.x;
    Axes axes;
    for (int s : order) axes.push_back(place(t.axes, s));
    return transpose(t.x, axes, s_);
  }

  // (batch, first, second) as matrices. Where the second group lies before the
  // first, its axes are merged in that order and turned after, which costs no
  // copy.
  array matrices(const Labelled& t,
                 const Subscripts& batch,
                 const Subscripts& first,
                 const Subscripts& second) const {
    const bool turned = !first.empty() && !second.empty() &&
                        place(t.axes, second[0]) < place(t.axes, first[0]);
    const Subscripts &one = turned ? second : first,
                     &two = turned ? first : second;
    Subscripts order = batch;
    order.insert(order.end(), one.begin(), one.end());
    order.insert(order.end(), two.begin(), two.end());
    array y = arranged(t, order);
    if (batch.size() > 1 || one.size() != 1 || two.size() != 1) {
      Shape shape{size_of_axes(one), size_of_axes(two)};
      if (!batch.empty()) shape.insert(shape.begin(), size_of_axes(batch));
      y = reshape(y, shape, s_);
    }
    return turned ? swapaxes(y, -1, -2, s_) : y;
  }

  // Elementwise: the axes of a, then those that b alone has.
  Labelled multiplied(const Labelled& a, const Labelled& b) const {
    Labelled out{array(), a.axes};
    const Subscripts more = only(b.axes, ~set_of(a.axes));
    out.axes.insert(out.axes.end(), more.begin(), more.end());
    auto stretched = [&](const Labelled& t) {
      array y = arranged(t, only(out.axes, set_of(t.axes)));
      Axes missing;
      for (size_t i = 0; i < out.axes.size(); ++i) {
        if (!(set_of(t.axes) & bit(out.axes[i]))) missing.push_back(int(i));
      }
      return missing.empty() ? y : expand_dims(y, missing, s_);
    };
    out.x = multiply(stretched(a), stretched(b), s_);
    return out;
  }

  const Terms& terms_;
  StreamOrDevice s_;
};

}  // namespace

array einsum(const std::string& subscripts,
             const Arrays& operands,
             StreamOrDevice s) {
  const Terms terms = parse("einsum", subscripts, operands);
  const Contraction c(terms, s);
  std::vector<Labelled> alive;
  for (size_t i = 0; i < operands.size(); ++i)
    alive.push_back(c.start(operands[i], terms.operands[i]));
  const Set result = set_of(terms.result);
  for (const std::vector<int>& step : best_order(terms).path) {
    std::vector<Labelled> taken;
    for (size_t k = step.size(); k-- > 0;) {
      taken.insert(taken.begin(), alive[size_t(step[k])]);
      alive.erase(alive.begin() + step[k]);
    }
    Set kept = result;
    for (const Labelled& t : alive) kept |= set_of(t.axes);
    alive.push_back(
        taken.size() == 1
            ? c.reduced(taken[0], kept)
            : c.contracted(taken[0],
                           taken[1],
                           kept,
                           alive.empty() ? &terms.result : nullptr));
  }
  return c.finished(alive[0]);
}

std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const Arrays& operands) {
  const Terms terms = parse("einsum_path", subscripts, operands);
  const Order order = best_order(terms);
  Set all = 0;
  for (const Subscripts& s : terms.operands) all |= set_of(s);
  return {order.path,
          fmt::format("  Complete contraction:  {}\n"
                      "         Naive scaling:  {}\n"
                      "     Optimized scaling:  {}\n"
                      "      Naive FLOP count:  {:.0f}\n"
                      "  Optimized FLOP count:  {:.0f}\n",
                      subscripts,
                      std::popcount(all),
                      order.scaling,
                      naive_cost(terms),
                      order.multiplications)};
}

}  // namespace treadle
