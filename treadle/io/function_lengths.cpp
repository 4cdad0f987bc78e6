#include "treadle/io/function_lengths.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/io/function_ops.h"

namespace treadle {

namespace {

constexpr std::string_view kSave = "export_function";
// Lengths that multiply: of batch, time and heads, say.
constexpr size_t kMaxFactors = 3;
constexpr size_t kMaxFree = 12;

using Axis = std::pair<uint32_t, uint32_t>;

// The value of a number, as it enters formulas.
double number_of(const array& x) {
  return x.dtype() == complex64 ? 0 : x.item<double>();
}

// Equal but for lengths and numbers.
bool same_but_lengths(const SavedGraph& a, const SavedGraph& b) {
  if (a.nodes.size() != b.nodes.size() || a.outputs != b.outputs ||
      a.constants.size() != b.constants.size() ||
      a.numbers.size() != b.numbers.size()) {
    return false;
  }
  for (size_t i = 0; i < a.constants.size(); ++i) {
    const array &x = a.constants[i], &y = b.constants[i];
    if (same_array(x, y)) continue;
    // Made while tracing: the same each time?
    if (x.spec() != y.spec() || x.dtype() == complex64 ||
        x.to_vector<double>() != y.to_vector<double>()) {
      return false;
    }
  }
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    if (a.numbers[i].dtype() != b.numbers[i].dtype()) return false;
  }
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const SavedNode &m = a.nodes[i], &n = b.nodes[i];
    if (m.in != n.in || m.outputs != n.outputs || !m.loop != !n.loop) {
      return false;
    }
    if (m.loop) {
      // The number of steps may differ where the xs say it; a body's own
      // lengths may not.
      const SavedGraph &p = m.loop->body, &q = n.loop->body;
      if (m.loop->num_carry != n.loop->num_carry ||
          m.loop->reverse != n.loop->reverse ||
          (m.loop->num_xs == 0 && m.loop->length != n.loop->length) ||
          !same_but_lengths(p, q)) {
        return false;
      }
      for (size_t k = 0; k < p.nodes.size(); ++k) {
        if (p.nodes[k].op &&
            lengths_in(*p.nodes[k].op) != lengths_in(*q.nodes[k].op)) {
          return false;
        }
      }
      for (size_t k = 0; k < p.numbers.size(); ++k) {
        if (number_of(p.numbers[k]) != number_of(q.numbers[k])) return false;
      }
      continue;
    }
    Hasher h, k;
    m.op->hash_structure(h);
    n.op->hash_structure(k);
    if (h.result() != k.result() ||
        lengths_in(*m.op).size() != lengths_in(*n.op).size()) {
      return false;
    }
  }
  return true;
}

class Search {
 public:
  Search(const SavedGraph& g,
         const std::function<SavedGraph(const Specs&)>& trace)
      : g_(g), trace_(trace) {}

  Lengths run() {
    find_free();
    find_subsets();
    find_formulas();
    check();
    return std::move(out_);
  }

 private:
  // The graph with each free length at base + t step.
  std::optional<SavedGraph> at(const std::vector<FreeLength>& free,
                               const std::vector<int>& t) {
    Specs in = g_.inputs;
    for (size_t i = 0; i < free.size(); ++i) {
      for (auto [arg, axis] : free[i].axes) {
        in[arg].shape[axis] = free[i].base + t[i] * free[i].step;
      }
    }
    try {
      SavedGraph g = trace_(in);
      if (same_but_lengths(g_, g)) return g;
    } catch (const std::exception&) {
      // The function does not take it.
    }
    return {};
  }

  // A step by which the length of these axes can change, or 0.
  int64_t step_of(const std::vector<Axis>& axes, int64_t base) {
    for (int64_t step : {int64_t(1), int64_t(2), int64_t(4), base}) {
      const std::vector<FreeLength> one{{base, step, axes}};
      if (at(one, {1}) && at(one, {2})) return step;
    }
    return 0;
  }

  void find_free() {
    std::map<int64_t, std::vector<Axis>> together;
    for (uint32_t arg = 0; arg < g_.inputs.size(); ++arg) {
      const Shape& shape = g_.inputs[arg].shape;
      for (uint32_t axis = 0; axis < shape.size(); ++axis) {
        const int64_t base = shape[axis];
        if (base < 2) continue;
        const std::vector<Axis> one{{arg, axis}};
        const int64_t step = step_of(one, base);
        if (step) {
          out_.free.push_back({base, step, one});
        } else {
          together[base].push_back({arg, axis});
        }
      }
    }
    for (const auto& [base, axes] : together) {
      if (axes.size() < 2) continue;
      const int64_t step = step_of(axes, base);
      if (step) out_.free.push_back({base, step, axes});
    }
    if (out_.free.size() > kMaxFree) {
      invalid(kSave,
              fmt::format("shapeless: {} lengths vary freely; expected at most "
                          "{}.",
                          out_.free.size(),
                          kMaxFree));
    }
  }

  void find_subsets() {
    out_.subsets = {{}};
    for (size_t from = 0, size = 1; size <= kMaxFactors; ++size) {
      const size_t end = out_.subsets.size();
      for (; from < end; ++from) {
        const std::vector<uint32_t> s = out_.subsets[from];
        for (uint32_t i = s.empty() ? 0 : s.back() + 1; i < out_.free.size();
             ++i) {
          std::vector<uint32_t> wider = s;
          wider.push_back(i);
          out_.subsets.push_back(std::move(wider));
        }
      }
    }
  }

  [[noreturn]] void no_formula() {
    invalid(kSave,
            "shapeless: a length or a number in the function depends on the "
            "lengths of its arguments in a way that a file cannot express; "
            "export it for each length.");
  }

  // The values of a place at the corners, one for each subset: by Moebius
  // inversion the coefficients.
  std::vector<double> coefficients(std::vector<double> corners) const {
    for (size_t s = 0; s < out_.subsets.size(); ++s) {
      for (size_t k = 0; k < s; ++k) {
        const auto &part = out_.subsets[k], &whole = out_.subsets[s];
        if (std::includes(
                whole.begin(), whole.end(), part.begin(), part.end())) {
          corners[s] -= corners[k];
        }
      }
    }
    return corners;
  }

  void find_formulas() {
    std::vector<SavedGraph> corners;
    for (const auto& s : out_.subsets) {
      std::vector<int> t(out_.free.size(), 0);
      for (uint32_t i : s) t[i] = 1;
      auto g = at(out_.free, t);
      if (!g) no_formula();
      corners.push_back(std::move(*g));
    }
    auto add = [&](std::vector<LengthFormula>& to,
                   uint32_t place,
                   uint32_t position,
                   auto value) {
      std::vector<double> v;
      v.reserve(corners.size());
      for (const SavedGraph& g : corners) v.push_back(value(g));
      if (std::all_of(v.begin(), v.end(), [&](double x) {
            return x == v[0] || (std::isnan(x) && std::isnan(v[0]));
          })) {
        return;
      }
      to.push_back({place, position, false, coefficients(v)});
    };
    for (uint32_t i = 0; i < g_.nodes.size(); ++i) {
      if (!g_.nodes[i].op) continue;
      const size_t n = lengths_in(*g_.nodes[i].op).size();
      for (uint32_t k = 0; k < n; ++k) {
        add(out_.nodes, i, k, [&](const SavedGraph& g) {
          return lengths_in(*g.nodes[i].op)[k];
        });
      }
    }
    for (uint32_t i = 0; i < g_.numbers.size(); ++i) {
      auto value = [&](const SavedGraph& g) { return number_of(g.numbers[i]); };
      add(out_.numbers, i, 0, value);
      if (out_.numbers.empty() || out_.numbers.back().place != i) continue;
      if (!is_inexact(g_.numbers[i].dtype())) continue;
      // A count, or the reciprocal of one, which was rounded.
      auto nearest = [&](bool inverse) {
        std::vector<double> v;
        for (const SavedGraph& g : corners) {
          const double x = inverse ? 1 / value(g) : value(g);
          const double n = std::round(x);
          if (!(std::abs(x - n) < 1e-3 * std::abs(n))) return false;
          v.push_back(n);
        }
        out_.numbers.back().coefficients = coefficients(v);
        out_.numbers.back().inverse = inverse;
        return true;
      };
      if (!nearest(false) && !nearest(true)) no_formula();
    }
  }

  // Formulas hold for lengths that were not used to find them.
  void check() {
    const std::vector<int> two(out_.free.size(), 2);
    const auto g = at(out_.free, two);
    if (!g) no_formula();
    const Replacements r = lengths_for(g_, out_, g->inputs);
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (!g_.nodes[i].op) continue;
      const auto want = lengths_in(*g->nodes[i].op);
      if (want !=
          (r.lengths[i].empty() ? lengths_in(*g_.nodes[i].op) : r.lengths[i])) {
        no_formula();
      }
    }
    for (size_t i = 0; i < g_.numbers.size(); ++i) {
      const array& x = r.numbers[i].null() ? g_.numbers[i] : r.numbers[i];
      const double got = number_of(x), want = number_of(g->numbers[i]);
      if (got != want && !(std::isnan(got) && std::isnan(want))) no_formula();
    }
  }

  const SavedGraph& g_;
  const std::function<SavedGraph(const Specs&)>& trace_;
  Lengths out_;
};

}  // namespace

Lengths find_lengths(const SavedGraph& g,
                     const std::function<SavedGraph(const Specs&)>& trace) {
  return Search(g, trace).run();
}

bool takes(const SavedGraph& g, const Lengths& lengths, const Specs& in) {
  if (in.size() != g.inputs.size()) return false;
  Specs allowed = g.inputs;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].dtype != g.inputs[i].dtype ||
        in[i].shape.size() != g.inputs[i].shape.size()) {
      return false;
    }
  }
  for (const FreeLength& f : lengths.free) {
    const auto [first_arg, first_axis] = f.axes[0];
    const int64_t n = in[first_arg].shape[first_axis];
    if (n < 1) return false;
    for (auto [arg, axis] : f.axes) allowed[arg].shape[axis] = n;
  }
  return in == allowed;
}

Replacements lengths_for(const SavedGraph& g,
                         const Lengths& lengths,
                         const Specs& in) {
  std::vector<double> t;
  for (const FreeLength& f : lengths.free) {
    const auto [arg, axis] = f.axes[0];
    t.push_back(double(in[arg].shape[axis] - f.base) / double(f.step));
  }
  auto value = [&](const LengthFormula& f) {
    double sum = 0;
    for (size_t s = 0; s < lengths.subsets.size(); ++s) {
      double term = f.coefficients[s];
      for (uint32_t i : lengths.subsets[s]) term *= t[i];
      sum += term;
    }
    // Sums of quarters and the like are exact; others are integers but for
    // rounding.
    const double near = std::round(sum);
    return std::abs(sum - near) < 1e-6 ? near : sum;
  };
  Replacements r;
  r.lengths.resize(g.nodes.size());
  r.numbers.resize(g.numbers.size());
  for (const LengthFormula& f : lengths.nodes) {
    auto& of_node = r.lengths[f.place];
    if (of_node.empty()) of_node = lengths_in(*g.nodes[f.place].op);
    of_node[f.position] = value(f);
  }
  for (const LengthFormula& f : lengths.numbers) {
    const Dtype dtype = g.numbers[f.place].dtype();
    const double v = f.inverse ? 1 / value(f) : value(f);
    if (!is_inexact(dtype) && !(std::abs(v) < 9e15)) {
      invalid("import_function", "a number of the arguments does not fit.");
    }
    r.numbers[f.place] = is_inexact(dtype) ? array(Scalar(v), dtype)
                                           : array(Scalar(int64_t(v)), dtype);
  }
  return r;
}

namespace {

void write_formulas(FileWriter& w, const std::vector<LengthFormula>& v) {
  w.number(uint64_t(v.size()));
  for (const LengthFormula& f : v) {
    w.number(f.place);
    w.number(f.position);
    w.number(uint64_t(f.inverse));
    for (double c : f.coefficients) w.number(c);
  }
}

// `count(place)`: how many positions there are at a place.
template <class F>
std::vector<LengthFormula> read_formulas(FileReader& r,
                                         size_t subsets,
                                         size_t places,
                                         const F& count) {
  std::vector<LengthFormula> v;
  for (uint64_t n = r.count(r.number<uint64_t>(), 16); n > 0; --n) {
    LengthFormula f;
    f.place = r.number<uint32_t>();
    f.position = r.number<uint32_t>();
    f.inverse = r.number<uint64_t>() != 0;
    if (f.place >= places || f.position >= count(f.place)) {
      r.bad("has a formula for a length that is not there.");
    }
    for (size_t i = 0; i < subsets; ++i) {
      f.coefficients.push_back(r.number<double>());
      if (!(std::abs(f.coefficients.back()) < 1e15)) {
        r.bad("has a formula with a number out of its range.");
      }
    }
    v.push_back(std::move(f));
  }
  return v;
}

}  // namespace

void write_lengths(FileWriter& w, const Lengths& lengths) {
  w.number(uint64_t(lengths.free.size()));
  for (const FreeLength& f : lengths.free) {
    w.number(f.base);
    w.number(f.step);
    w.number(uint64_t(f.axes.size()));
    for (auto [arg, axis] : f.axes) {
      w.number(arg);
      w.number(axis);
    }
  }
  w.number(uint64_t(lengths.subsets.size()));
  for (const auto& s : lengths.subsets) {
    w.number(uint64_t(s.size()));
    for (uint32_t i : s) w.number(i);
  }
  write_formulas(w, lengths.nodes);
  write_formulas(w, lengths.numbers);
}

Lengths read_lengths(FileReader& r, const SavedGraph& g) {
  Lengths l;
  for (uint64_t n = r.count(r.number<uint64_t>(), 24); n > 0; --n) {
    FreeLength f;
    f.base = r.number<int64_t>();
    f.step = r.number<int64_t>();
    for (uint64_t k = r.count(r.number<uint64_t>(), 8); k > 0; --k) {
      const auto arg = r.number<uint32_t>(), axis = r.number<uint32_t>();
      if (arg >= g.inputs.size() || axis >= g.inputs[arg].shape.size()) {
        r.bad("has a free length of an axis that is not there.");
      }
      f.axes.emplace_back(arg, axis);
    }
    if (f.step < 1 || f.base < 1 || f.axes.empty()) {
      r.bad("has a free length that is none.");
    }
    l.free.push_back(std::move(f));
  }
  for (uint64_t n = r.count(r.number<uint64_t>(), 8); n > 0; --n) {
    std::vector<uint32_t> s;
    for (uint64_t k = r.count(r.number<uint64_t>(), 4); k > 0; --k) {
      s.push_back(r.number<uint32_t>());
      if (s.back() >= l.free.size()) r.bad("has a length that is not there.");
    }
    l.subsets.push_back(std::move(s));
  }
  l.nodes = read_formulas(r, l.subsets.size(), g.nodes.size(), [&](uint32_t i) {
    return g.nodes[i].op ? lengths_in(*g.nodes[i].op).size() : 0;
  });
  l.numbers =
      read_formulas(r, l.subsets.size(), g.numbers.size(), [](uint32_t) {
        return size_t(1);
      });
  return l;
}

}  // namespace treadle
