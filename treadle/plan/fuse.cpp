#include "treadle/plan/fuse.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::plan {

namespace {

// A tape longer than this gains nothing more and its live values leave the
// cache.
constexpr size_t kMaxGroupNodes = 160;
// How far back a node looks for a group to join; keeps planning linear.
constexpr size_t kWindow = 96;

// Set of group numbers.
class Bits {
 public:
  void set(size_t i) {
    if (i / 64 >= words_.size()) words_.resize(i / 64 + 1);
    words_[i / 64] |= uint64_t(1) << (i % 64);
  }
  bool test(size_t i) const {
    return i / 64 < words_.size() && (words_[i / 64] >> (i % 64) & 1);
  }
  // True when this grew.
  bool merge(const Bits& o) {
    if (o.words_.size() > words_.size()) words_.resize(o.words_.size());
    bool grew = false;
    for (size_t i = 0; i < o.words_.size(); ++i) {
      uint64_t w = words_[i] | o.words_[i];
      grew = grew || w != words_[i];
      words_[i] = w;
    }
    return grew;
  }

 private:
  std::vector<uint64_t> words_;
};

enum class Direction : uint8_t { none, row, column, other };

// Which way a node reduces, and the inner axes that this fixes (-1: none).
std::pair<Direction, int> direction(const Program& p, uint32_t n) {
  const Reduce* r = as<Reduce>(*p.nodes[n].node->op);
  if (!r) return {Direction::none, -1};
  int rank = int(p.spec(p.inputs_of(n)[0]).shape.size());
  int count = int(r->axes.size());
  if (r->axes.front() == rank - count) return {Direction::row, count};
  if (r->axes.back() == count - 1) return {Direction::column, rank - count};
  return {Direction::other, -1};
}

const Shape& space_of(const Program& p, uint32_t n) {
  return as<Reduce>(*p.nodes[n].node->op) ? p.spec(p.inputs_of(n)[0]).shape
                                          : p.spec(p.nodes[n].first_out).shape;
}

class Grouper {
 public:
  Grouper(const Program& p, const std::vector<PlanValue>& values)
      : p_(p), values_(values), producer_(values.size(), -1) {
    result_.group_of.assign(p.nodes.size(), -1);
  }

  Grouping run(const std::vector<uint8_t>& live) {
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      if (!live[n]) continue;
      const Node& node = *p_.nodes[n].node;
      if (node.op->kind() == OpKind::view) continue;
      place(n);
      for (uint32_t j = 0; j < node.num_outputs; ++j) {
        producer_[p_.nodes[n].first_out + j] = int32_t(n);
      }
    }
    finish();
    return std::move(result_);
  }

 private:
  struct Work {
    Group group;
    uint32_t region = 0;  // checkpoint region of its first node
    Bits ancestors;
    size_t merged_into = ~size_t(0);
    bool has_dependents = false;
  };

  uint32_t region_of(uint32_t n) const { return p_.nodes[n].node->region; }
  size_t find(size_t g) const {
    while (work_[g].merged_into != ~size_t(0)) g = work_[g].merged_into;
    return g;
  }
  int32_t group_of_value(uint32_t v) const {
    int32_t n = producer_[v];
    return n < 0 ? -1 : int32_t(find(size_t(result_.group_of[size_t(n)])));
  }
  // The value in memory or in a tape that v is, or is a view of.
  uint32_t root(uint32_t v) const {
    v = values_[v].same_as;
    while (values_[v].place == Place::view || copied(v)) {
      v = values_[values_[v].base].same_as;
    }
    return v;
  }
  // A copy made by the planner depends on its source, and is read as an
  // operand.
  bool copied(uint32_t v) const { return v >= p_.values.size(); }

  // A value of group g read by one of its own nodes through views: allowed when
  // each step is the same data in the space (a row's number, broadcast).
  bool absorbed(uint32_t v, const Group& g, int inner) const {
    v = values_[v].same_as;
    bool row = false, full_view = false;
    while (values_[v].place == Place::view || copied(v)) {
      if (copied(v)) return false;
      const Op& op = *p_.nodes[size_t(values_[v].node)].node->op;
      Form f = form_of(p_.spec(v).shape, p_.spec(g.space).shape, inner);
      if (f == Form::outside) return false;
      // The rows' numbers without the rows' axes go along a row instead.
      if (as<Broadcast>(op)) {
        const uint32_t from = values_[values_[v].base].same_as;
        if (copied(from)) return false;
        const Shape& shape = p_.spec(from).shape;
        if (shape.size() != p_.spec(v).shape.size() && size_of(shape) != 1)
          return false;
      }
      if (!as<Identity>(op)) {
        if (as<Broadcast>(op) || as<ExpandDims>(op) || as<Squeeze>(op) ||
            as<Reshape>(op)) {
          row = true;
        } else {
          full_view = true;
        }
      }
      v = values_[values_[v].base].same_as;
    }
    int32_t n = producer_[v];
    if (n >= 0 && direction(p_, uint32_t(n)).first == Direction::column)
      return false;
    if (full_view) return false;
    Form f = form_of(p_.spec(v).shape, p_.spec(g.space).shape, inner);
    return row ? f == Form::row : f != Form::outside;
  }

  // Can node n be computed in group g, and with how many inner axes (out)?
  bool fits(uint32_t n, size_t gi, int* inner_out) const {
    const Work& w = work_[gi];
    const Group& g = w.group;
    if (!g.fusible || g.nodes.size() >= kMaxGroupNodes) return false;
    // What a checkpoint computes again must not run with the forward pass;
    // readers of it may run with it.
    const uint32_t region = region_of(n);
    if (region != 0 && region != w.region) return false;
    const Shape& space = p_.spec(g.space).shape;
    auto [dir, fixes] = direction(p_, n);
    int inner = g.inner_axes;
    if (fixes >= 0) {
      if (inner >= 0 && inner != fixes) return false;
      inner = fixes;
      if (space_of(p_, n) != space) return false;
    } else {
      const Shape& shape = p_.spec(p_.nodes[n].first_out).shape;
      Form f = form_of(shape, space, inner);
      if (f == Form::outside) return false;
      if (f == Form::row && shape.empty() && int(space.size()) != inner)
        return false;
    }
    for (uint32_t v : p_.inputs_of(n)) {
      uint32_t u = root(v);
      int32_t h = group_of_value(u);
      if (h == int32_t(gi)) {
        if (!absorbed(v, g, inner)) return false;
        continue;
      }
      if (h >= 0 && work_[size_t(h)].ancestors.test(gi)) return false;
      const Shape& shape = p_.spec(values_[v].same_as).shape;
      if (!shape.empty() && form_of(shape, space, inner) == Form::outside)
        return false;
      if (dir != Direction::none && shape != space) return false;
    }
    *inner_out = inner;
    return true;
  }

  void add_ancestors(size_t g, const Bits& more) {
    if (!work_[g].ancestors.merge(more) || !work_[g].has_dependents) return;
    for (size_t h = 0; h < work_.size(); ++h) {
      if (h != g && work_[h].merged_into == ~size_t(0) &&
          work_[h].ancestors.test(g)) {
        work_[h].ancestors.merge(work_[g].ancestors);
      }
    }
  }

  Bits ancestors_of_inputs(uint32_t n, size_t own) {
    Bits b;
    for (uint32_t v : p_.inputs_of(n)) {
      int32_t h = group_of_value(root(v));
      if (h < 0 || size_t(h) == own) continue;
      work_[size_t(h)].has_dependents = true;
      b.set(size_t(h));
      b.merge(work_[size_t(h)].ancestors);
    }
    return b;
  }

  void join(uint32_t n, size_t g, int inner) {
    work_[g].group.nodes.push_back(n);
    work_[g].group.inner_axes = inner;
    result_.group_of[n] = int32_t(g);
    add_ancestors(g, ancestors_of_inputs(n, g));
  }

  // The arrays of its space's shape that a group reads from memory, sorted.
  std::vector<uint32_t> streams(size_t g) const {
    const Group& group = work_[g].group;
    std::vector<uint32_t> found;
    for (uint32_t n : group.nodes) {
      for (uint32_t v : p_.inputs_of(n)) {
        const uint32_t u = root(v);
        if (group_of_value(u) != int32_t(g) &&
            p_.spec(values_[v].same_as).shape == p_.spec(group.space).shape) {
          found.push_back(u);
        }
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  // Whether one tape for both groups would save no pass over an array. They
  // can run side by side, and the hardware follows few runs of memory at once.
  bool apart(size_t g, size_t h) const {
    const auto a = streams(g), b = streams(h);
    if (a.empty() || b.empty()) return false;
    std::vector<uint32_t> shared;
    std::set_intersection(
        a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(shared));
    if (!shared.empty()) return false;
    // An array that one makes and the other one reads is shared, too.
    const auto made_by = [&](const std::vector<uint32_t>& read, size_t maker) {
      return std::any_of(read.begin(), read.end(), [&](uint32_t v) {
        return group_of_value(v) == int32_t(maker);
      });
    };
    return !made_by(a, h) && !made_by(b, g);
  }

  // Whether node n reads what group h has reduced.
  bool reads_sum(uint32_t n, size_t h) const {
    const Shape& space = p_.spec(work_[h].group.space).shape;
    const auto inputs = p_.inputs_of(n);
    return std::any_of(inputs.begin(), inputs.end(), [&](uint32_t v) {
      const uint32_t u = root(v);
      return group_of_value(u) == int32_t(h) && p_.spec(u).shape != space;
    });
  }

  // Whether h is one node that makes numbers for the rows of g from an array in
  // memory, and could be a node of g.
  bool rows_of(size_t h, size_t g) const {
    const Group& b = work_[h].group;
    if (work_[g].group.inner_axes < 0 || b.nodes.size() != 1 || !b.fusible ||
        work_[h].ancestors.test(g)) {
      return false;
    }
    const uint32_t n = b.nodes[0];
    const auto inputs = p_.inputs_of(n);
    int inner = -1;
    return direction(p_, n).first == Direction::none &&
           std::any_of(inputs.begin(),
                       inputs.end(),
                       [&](uint32_t v) {
                         const uint32_t u = root(v);
                         return producer_[u] < 0 && !p_.spec(u).shape.empty();
                       }) &&
           fits(n, g, &inner) && inner == work_[g].group.inner_axes;
  }

  // The producer that has reduced what n reads, if n can be a node of it
  // together with all that the others make for n; else -1. An average of a
  // row's sum with an older one is a case: the older one's part is a group of
  // its own, which would take the average out of the sum's tape.
  int32_t home_of(uint32_t n, const std::vector<size_t>& producers) const {
    for (size_t g : producers) {
      int inner = -1;
      if (producers.size() > 1 && reads_sum(n, g) && fits(n, g, &inner) &&
          p_.spec(p_.nodes[n].first_out).shape !=
              p_.spec(work_[g].group.space).shape &&
          std::all_of(producers.begin(), producers.end(), [&](size_t h) {
            return h == g || p_.spec(work_[h].group.space).shape.empty() ||
                   rows_of(h, g);
          })) {
        return int32_t(g);
      }
    }
    return -1;
  }

  // Moves the nodes of h into g, when neither depends on the other. Both have
  // one space, or h makes numbers for g's rows.
  void try_merge(size_t g, size_t h, bool rows = false) {
    Work &a = work_[g], &b = work_[h];
    if (!b.group.fusible || a.ancestors.test(h) == false) return;
    if (a.region != b.region) return;
    int ka = a.group.inner_axes, kb = b.group.inner_axes;
    if (ka >= 0 && kb >= 0 && ka != kb) return;
    if (a.group.nodes.size() + b.group.nodes.size() > kMaxGroupNodes) return;
    if (p_.spec(a.group.space).shape != p_.spec(b.group.space).shape) {
      if (!rows || !rows_of(h, g)) return;
    } else if (apart(g, h)) {
      return;
    }
    int inner = std::max(ka, kb);
    // Every edge from h into g must stay inside, and no path may leave and
    // return.
    for (size_t x = 0; x < work_.size(); ++x) {
      if (x == g || x == h || work_[x].merged_into != ~size_t(0)) continue;
      if (work_[x].ancestors.test(h) && a.ancestors.test(x)) return;
      if (work_[x].ancestors.test(g) && b.ancestors.test(x)) return;
    }
    if (b.ancestors.test(g)) return;
    for (uint32_t n : a.group.nodes) {
      for (uint32_t v : p_.inputs_of(n)) {
        if (group_of_value(root(v)) == int32_t(h) &&
            !absorbed(v, a.group, inner))
          return;
      }
    }
    for (uint32_t n : b.group.nodes) result_.group_of[n] = int32_t(g);
    a.group.nodes.insert(
        a.group.nodes.end(), b.group.nodes.begin(), b.group.nodes.end());
    a.group.inner_axes = inner;
    b.merged_into = g;
    a.has_dependents = a.has_dependents || b.has_dependents;
    Bits more = b.ancestors;
    for (size_t x = 0; x < work_.size(); ++x) {
      if (x != g && work_[x].merged_into == ~size_t(0) &&
          work_[x].ancestors.test(h)) {
        work_[x].ancestors.set(g);
        work_[x].ancestors.merge(a.ancestors);
      }
    }
    add_ancestors(g, more);
  }

  void place(uint32_t n) {
    if (!plan::fusible(*p_.nodes[n].node->op) ||
        direction(p_, n).first == Direction::other) {
      start(n, false);
      return;
    }
    std::vector<size_t> producers;
    for (uint32_t v : p_.inputs_of(n)) {
      int32_t h = group_of_value(root(v));
      if (h >= 0 && work_[size_t(h)].group.fusible)
        producers.push_back(size_t(h));
    }
    std::sort(producers.begin(), producers.end(), std::greater<>());
    producers.erase(std::unique(producers.begin(), producers.end()),
                    producers.end());
    int inner = -1;
    size_t oldest = work_.size() > kWindow ? work_.size() - kWindow : 0;
    const Shape& shape = p_.spec(p_.nodes[n].first_out).shape;
    if (const int32_t home = home_of(n, producers); home >= int32_t(oldest)) {
      fits(n, size_t(home), &inner);
      join(n, size_t(home), inner);
      for (size_t h : producers) {
        if (find(h) != find(size_t(home))) {
          try_merge(find(size_t(home)), find(h), true);
        }
      }
      remember_readers(n);
      return;
    }
    for (size_t g : producers) {
      if (g < oldest || !fits(n, g, &inner)) continue;
      // Sums of tapes that stay apart meet in a third one: the two can run side
      // by side.
      if (shape != p_.spec(work_[g].group.space).shape &&
          std::any_of(producers.begin(), producers.end(), [&](size_t h) {
            return h != g && reads_sum(n, h) && apart(g, h);
          })) {
        continue;
      }
      join(n, g, inner);
      for (size_t h : producers) {
        if (find(h) != find(g)) try_merge(find(g), find(h));
      }
      remember_readers(n);
      return;
    }
    // No producer takes it: a group that reads the same memory saves the pass.
    for (uint32_t v : p_.inputs_of(n)) {
      uint32_t u = values_[v].same_as;
      auto it = last_reader_.find(u);
      if (it == last_reader_.end() || p_.spec(u).shape.empty()) continue;
      size_t g = find(it->second);
      if (g < oldest || !fits(n, g, &inner)) continue;
      if (space_of(p_, n) != p_.spec(work_[g].group.space).shape) continue;
      join(n, g, inner);
      remember_readers(n);
      return;
    }
    start(n, true);
    remember_readers(n);
  }

  void remember_readers(uint32_t n) {
    for (uint32_t v : p_.inputs_of(n)) {
      last_reader_[values_[v].same_as] = size_t(result_.group_of[n]);
    }
  }

  void start(uint32_t n, bool fusible) {
    Work w;
    w.region = region_of(n);
    w.group.fusible = fusible;
    w.group.nodes = {n};
    if (fusible) {
      w.group.space = as<Reduce>(*p_.nodes[n].node->op)
                          ? values_[p_.inputs_of(n)[0]].same_as
                          : p_.nodes[n].first_out;
      w.group.inner_axes = direction(p_, n).second;
    }
    size_t g = work_.size();
    w.ancestors = ancestors_of_inputs(n, g);
    work_.push_back(std::move(w));
    result_.group_of[n] = int32_t(g);
  }

  // Drops merged groups and sorts the rest so that each follows what it reads;
  // among ready ones the one whose last node was recorded first runs first.
  void finish() {
    std::vector<int32_t> renumber(work_.size(), -1);
    std::vector<std::pair<uint32_t, size_t>> order;
    for (size_t g = 0; g < work_.size(); ++g) {
      if (work_[g].merged_into != ~size_t(0)) continue;
      std::sort(work_[g].group.nodes.begin(), work_[g].group.nodes.end());
      order.emplace_back(work_[g].group.nodes.back(), g);
    }
    std::sort(order.begin(), order.end());
    std::vector<uint8_t> done(work_.size(), 0);
    // Depth first over direct inputs, in that order.
    std::vector<size_t> stack;
    for (auto [last, start] : order) {
      stack.push_back(start);
      while (!stack.empty()) {
        size_t g = stack.back();
        if (done[g] == 2) {
          stack.pop_back();
          continue;
        }
        bool ready = true;
        for (uint32_t n : work_[g].group.nodes) {
          for (uint32_t v : p_.inputs_of(n)) {
            int32_t h = group_of_value(root(v));
            if (h < 0 || size_t(h) == g || done[size_t(h)] == 2) continue;
            if (done[size_t(h)] == 1)
              throw std::logic_error("plan: cycle of groups");
            stack.push_back(size_t(h));
            ready = false;
            break;
          }
          if (!ready) break;
        }
        if (!ready) {
          done[g] = 1;
          continue;
        }
        done[g] = 2;
        renumber[g] = int32_t(result_.groups.size());
        result_.groups.push_back(work_[g].group);
        stack.pop_back();
      }
    }
    for (int32_t& g : result_.group_of) {
      if (g >= 0) g = renumber[find(size_t(g))];
    }
    hoist_updates();
  }

  // A group whose results are all wanted frees arena memory by running early,
  // and takes none: an optimizer's update of a parameter runs just after the
  // parameter's gradient. It still follows every other reader of the arrays
  // that it may overwrite.
  void hoist_updates() {
    size_t count = result_.groups.size();
    std::vector<uint8_t> read_elsewhere(p_.values.size(), 0);
    std::unordered_map<uint32_t, std::vector<size_t>> leaf_readers;
    std::vector<int32_t> last_producer(count, -1);
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      int32_t g = result_.group_of[n];
      if (g < 0) continue;
      for (uint32_t v : p_.inputs_of(n)) {
        uint32_t u = root(v);
        int32_t made =
            producer_[u] < 0 ? -1 : result_.group_of[size_t(producer_[u])];
        if (made < 0) {
          auto& readers = leaf_readers[u];
          if (readers.empty() || readers.back() != size_t(g))
            readers.push_back(size_t(g));
        } else if (made != g) {
          read_elsewhere[u] = 1;
          last_producer[size_t(g)] = std::max(last_producer[size_t(g)], made);
        }
      }
    }
    auto only_results = [&](const Group& group) {
      if (!group.fusible) return false;
      for (uint32_t n : group.nodes) {
        uint32_t v = p_.nodes[n].first_out;
        if (read_elsewhere[v] && !values_[v].wanted) return false;
      }
      return true;
    };
    std::vector<size_t> key(count), order(count);
    for (size_t g = 0; g < count; ++g) {
      order[g] = key[g] = g;
      const Group& group = result_.groups[g];
      if (last_producer[g] < 0 || !only_results(group)) continue;
      size_t earliest = key[size_t(last_producer[g])];
      for (uint32_t n : group.nodes) {
        for (uint32_t v : p_.inputs_of(n)) {
          uint32_t u = root(v);
          int32_t made =
              producer_[u] < 0 ? -1 : result_.group_of[size_t(producer_[u])];
          if (made >= 0) {
            if (size_t(made) != g)
              earliest = std::max(earliest, key[size_t(made)]);
          } else if (p_.spec(u).shape == p_.spec(group.space).shape) {
            for (size_t reader : leaf_readers[u]) {
              if (reader != g) earliest = std::max(earliest, reader);
            }
          }
        }
      }
      key[g] = std::min(g, earliest);
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return key[a] < key[b];
    });
    std::vector<Group> sorted;
    std::vector<int32_t> renumber(count);
    for (size_t g : order) {
      renumber[g] = int32_t(sorted.size());
      sorted.push_back(std::move(result_.groups[g]));
    }
    result_.groups = std::move(sorted);
    for (int32_t& g : result_.group_of) {
      if (g >= 0) g = renumber[size_t(g)];
    }
  }

  const Program& p_;
  const std::vector<PlanValue>& values_;
  std::vector<int32_t> producer_;
  std::vector<Work> work_;
  std::unordered_map<uint32_t, size_t> last_reader_;
  Grouping result_;
};

}  // namespace

Form form_of(const Shape& shape, const Shape& space, int inner_axes) {
  if (shape == space) return Form::full;
  if (shape.empty()) return Form::row;
  if (inner_axes < 0) return Form::outside;
  size_t outer = space.size() - size_t(inner_axes);
  if (shape.size() != outer && shape.size() != space.size())
    return Form::outside;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != (i < outer ? space[i] : 1)) return Form::outside;
  }
  return Form::row;
}

bool fusible(const Op& op) {
  return op.kind() == OpKind::row || as<AsType>(op) || as<Reduce>(op);
}

Grouping group_nodes(const Program& program,
                     const std::vector<PlanValue>& values,
                     const std::vector<uint8_t>& live) {
  return Grouper(program, values).run(live);
}

}  // namespace treadle::plan
