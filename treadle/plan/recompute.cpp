#include "treadle/plan/recompute.h"

#include <algorithm>

#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::plan {

namespace {

// More rows than these are never worth a value, and a tape must stay short.
constexpr size_t kMaxRows = 24;
constexpr size_t kMaxGroupNodes = 160;
// A value with more readers is left alone.
constexpr size_t kMaxReaders = 16;

// In additions on a tile in the first cache, which take about as long as a byte
// from memory.
int cost_of(const Op& op, Dtype dtype) {
  constexpr int kCheap = 1, kDivision = 5, kFunction = 16;
  if (is_complex(dtype)) return kFunction;
  if (as<AsType>(op)) return kCheap;
  switch (static_cast<const Elementwise&>(op).row) {
    case Row::negative:
    case Row::abs:
    case Row::square:
    case Row::conjugate:
    case Row::logical_not:
    case Row::bitwise_invert:
    case Row::add:
    case Row::subtract:
    case Row::multiply:
    case Row::maximum:
    case Row::minimum:
    case Row::equal:
    case Row::not_equal:
    case Row::less:
    case Row::less_equal:
    case Row::greater:
    case Row::greater_equal:
    case Row::logical_and:
    case Row::logical_or:
    case Row::bitwise_and:
    case Row::bitwise_or:
    case Row::bitwise_xor:
    case Row::left_shift:
    case Row::right_shift:
    case Row::select:
      return kCheap;
    case Row::sign:
    case Row::sqrt:
    case Row::rsqrt:
    case Row::reciprocal:
    case Row::divide:
    case Row::floor:
    case Row::ceil:
    case Row::rint:
      return kDivision;
    default:
      return kFunction;
  }
}

class Chooser {
 public:
  Chooser(const Program& p,
          const std::vector<PlanValue>& values,
          const Grouping& grouping,
          std::vector<uint8_t>& needed)
      : p_(p), values_(values), grouping_(grouping), needed_(needed) {}

  void run() {
    find_readers();
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      if (grouping_.group_of[n] >= 0) consider(n);
    }
  }

 private:
  // Groups that read a value other than the one that makes it.
  struct Readers {
    bool only_tapes = true;  // each reads the value itself, none a view of it
    std::vector<uint32_t> groups;
  };
  // What it takes to compute a value again.
  struct Recipe {
    std::vector<uint32_t> nodes, sources;  // sources: values in memory
  };

  uint32_t same(uint32_t v) const { return values_[v].same_as; }
  uint32_t root(uint32_t v) const {
    v = same(v);
    while (values_[v].place == Place::view) v = same(values_[v].base);
    return v;
  }
  bool is_copy(uint32_t v) const { return v >= p_.values.size(); }
  const Group& group(uint32_t g) const { return grouping_.groups[g]; }
  static bool has(const std::vector<uint32_t>& list, uint32_t v) {
    return std::find(list.begin(), list.end(), v) != list.end();
  }
  const Shape& space(uint32_t g) const { return p_.spec(group(g).space).shape; }
  int64_t bytes(uint32_t v) const { return int64_t(size_of(p_.spec(v).dtype)); }

  void find_readers() {
    readers_.resize(values_.size());
    loads_.resize(grouping_.groups.size());
    again_.resize(grouping_.groups.size());
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      const int32_t g = grouping_.group_of[n];
      if (g < 0) continue;
      for (uint32_t v : p_.inputs_of(n)) read(uint32_t(g), same(v));
    }
    // The source of a copy is read by it.
    for (uint32_t v = uint32_t(p_.values.size()); v < values_.size(); ++v) {
      readers_[root(values_[v].spec)].only_tapes = false;
    }
  }

  void read(uint32_t g, uint32_t v) {
    const uint32_t r = root(v);
    if (values_[r].place == Place::memory && !is_copy(r) && group(g).fusible &&
        grouping_.group_of[size_t(values_[r].node)] == int32_t(g)) {
      return;
    }
    if (!group(g).fusible) {
      readers_[r].only_tapes = false;
      return;
    }
    loads_[g].push_back(v);
    if (values_[r].place == Place::memory || !p_.spec(r).shape.empty()) {
      add_reader(r, g, r != v);
    }
  }

  // The rows and sources that give v, over a space; false: there are none.
  bool collect(uint32_t v, const Shape& space, Recipe* out) const {
    v = same(v);
    if (is_copy(v)) return false;
    const Shape& shape = p_.spec(v).shape;
    if (shape != space && !shape.empty()) return false;
    const uint32_t r = root(v);
    if (is_copy(r)) return false;
    if (values_[r].place == Place::leaf || needed_[r]) {
      if (!has(out->sources, v)) out->sources.push_back(v);
      return true;
    }
    if (r != v || shape.empty()) return false;
    return collect_node(uint32_t(values_[v].node), space, out);
  }
  bool collect_node(uint32_t n, const Shape& space, Recipe* out) const {
    if (has(out->nodes, n)) return true;
    const Op& op = *p_.nodes[n].node->op;
    if (op.kind() != OpKind::row && !as<AsType>(op)) return false;
    if (out->nodes.size() == kMaxRows) return false;
    out->nodes.push_back(n);
    for (uint32_t v : p_.inputs_of(n)) {
      if (!collect(v, space, out)) return false;
    }
    return true;
  }

  // The same number for many elements: reading it costs nothing.
  bool repeats(uint32_t v) const {
    if (p_.spec(v).shape.empty()) return true;
    while (values_[v].place == Place::view) {
      if (as<Broadcast>(*p_.nodes[size_t(values_[v].node)].node->op)) {
        return true;
      }
      v = same(values_[v].base);
    }
    return false;
  }

  void consider(uint32_t n) {
    const uint32_t v = p_.nodes[n].first_out;
    const Op& op = *p_.nodes[n].node->op;
    const uint32_t own = uint32_t(grouping_.group_of[n]);
    if (!group(own).fusible || !needed_[v] || values_[v].owned ||
        (op.kind() != OpKind::row && !as<AsType>(op))) {
      return;
    }
    const Readers& readers = readers_[v];
    const Shape& shape = p_.spec(v).shape;
    if (!readers.only_tapes || readers.groups.empty() || shape.empty() ||
        shape != space(own)) {
      return;
    }
    Recipe recipe;
    if (!collect_node(n, shape, &recipe)) return;
    // Narrow numbers are converted on the way.
    const Dtype dtype = p_.spec(v).dtype;
    const int64_t each = bytes(v) + (size_of(dtype) < 4 ? 1 : 0);
    int64_t gain = each;
    for (uint32_t g : readers.groups) {
      if (space(g) != shape) return;
      gain += each;
      size_t more = 0;
      for (uint32_t m : recipe.nodes) {
        if (has(again_[g], m)) continue;
        ++more;
        gain -= cost_of(*p_.nodes[m].node->op,
                        p_.spec(p_.nodes[m].first_out).dtype);
      }
      for (uint32_t s : recipe.sources) {
        if (has(loads_[g], s) || repeats(s)) continue;
        if (values_[root(s)].place == Place::leaf &&
            updated_between(root(s), own, readers.groups)) {
          return;
        }
        gain -= bytes(s);
      }
      if (group(g).nodes.size() + again_[g].size() + more > kMaxGroupNodes) {
        return;
      }
    }
    if (gain <= 0) return;
    needed_[v] = 0;
    for (uint32_t g : readers.groups) {
      std::erase(loads_[g], v);
      for (uint32_t m : recipe.nodes) {
        if (!has(again_[g], m)) again_[g].push_back(m);
      }
      for (uint32_t s : recipe.sources) {
        if (has(loads_[g], s)) continue;
        loads_[g].push_back(s);
        add_reader(root(s), g, s != root(s));
      }
    }
  }

  // A leaf that others read in the meantime may be updated in place by one of
  // them, if it is not read any more.
  bool updated_between(uint32_t leaf,
                       uint32_t maker,
                       const std::vector<uint32_t>& after) const {
    const std::vector<uint32_t>& groups = readers_[leaf].groups;
    return groups.size() == kMaxReaders ||
           std::any_of(groups.begin(), groups.end(), [&](uint32_t g) {
             return g > maker && !has(after, g);
           });
  }

  void add_reader(uint32_t r, uint32_t g, bool through_view) {
    Readers& readers = readers_[r];
    if (through_view) readers.only_tapes = false;
    if (readers.groups.size() == kMaxReaders) {
      readers.only_tapes = false;
    } else if (!has(readers.groups, g)) {
      readers.groups.push_back(g);
    }
  }

  const Program& p_;
  const std::vector<PlanValue>& values_;
  const Grouping& grouping_;
  std::vector<uint8_t>& needed_;
  std::vector<Readers> readers_;              // by value
  std::vector<std::vector<uint32_t>> loads_;  // by group: values
  std::vector<std::vector<uint32_t>> again_;  // by group: nodes
};

}  // namespace

void choose_recomputed(const Program& program,
                       const std::vector<PlanValue>& values,
                       const Grouping& grouping,
                       std::vector<uint8_t>& needed) {
  Chooser(program, values, grouping, needed).run();
}

}  // namespace treadle::plan
