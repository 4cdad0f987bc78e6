#include "treadle/plan/program.h"

#include <algorithm>
#include <bit>

namespace treadle::plan {

namespace {

uint64_t hash_of(const Shape& s) {
  Hasher h;
  for (int64_t d : s) h.add(uint64_t(d));
  return h.result().lo;
}

// Numbers distinct shapes by first appearance: by comparison while there are
// few, by a hash table beyond.
class ShapeNumbers {
 public:
  void clear() {
    shapes_.clear();
    table_.clear();
    last_ = 0;
  }
  uint32_t number(const Shape& s) {
    if (last_ < shapes_.size() && *shapes_[last_] == s) return last_;
    if (shapes_.size() < kFew) {
      for (uint32_t i = 0; i < shapes_.size(); ++i) {
        if (*shapes_[i] == s) return last_ = i;
      }
      shapes_.push_back(&s);
      return last_ = uint32_t(shapes_.size() - 1);
    }
    if (table_.size() < shapes_.size() * 2) grow(shapes_.size() * 4);
    size_t mask = table_.size() - 1;
    for (size_t i = hash_of(s) & mask;; i = (i + 1) & mask) {
      if (table_[i] == 0) {
        shapes_.push_back(&s);
        last_ = uint32_t(shapes_.size() - 1);
        table_[i] = last_ + 1;
        return last_;
      }
      if (*shapes_[table_[i] - 1] == s) return last_ = table_[i] - 1;
    }
  }
  const std::vector<const Shape*>& shapes() const { return shapes_; }

 private:
  static constexpr size_t kFew = 8;

  void grow(size_t n) {
    n = std::bit_ceil(n);
    table_.assign(n, 0);
    for (uint32_t k = 0; k < shapes_.size(); ++k) {
      size_t i = hash_of(*shapes_[k]) & (n - 1);
      while (table_[i]) i = (i + 1) & (n - 1);
      table_[i] = k + 1;
    }
  }
  std::vector<const Shape*> shapes_;
  std::vector<uint32_t> table_;
  uint32_t last_ = 0;
};

}  // namespace

Hash128 structure_key(const Program& p) {
  Hasher h;
  thread_local ShapeNumbers shapes;  // keeps its capacity
  shapes.clear();
  std::vector<std::pair<Hash128, uint32_t>> size_fields;
  auto add_value = [&](uint32_t v) {
    const Output& o = *p.values[v];
    h.add(uint64_t(o.spec.dtype) | uint64_t(p.wanted[v]) << 8 |
          uint64_t(shapes.number(o.spec.shape)) << 16);
  };
  h.add(p.leaves.size());
  for (uint32_t v = 0; v < p.leaves.size(); ++v) {
    add_value(v);
    h.add(uint64_t(p.leaves[v]->contiguous()) |
          uint64_t(p.leaves[v]->node->scalar) << 1);
  }
  // Checkpoint regions are numbered by first appearance: every step makes new
  // ones.
  std::vector<uint32_t> regions{0};
  auto region_number = [&](uint32_t region) {
    auto it = std::find(regions.rbegin(), regions.rend(), region);
    if (it != regions.rend()) return uint64_t(regions.rend() - it);
    regions.push_back(region);
    return uint64_t(regions.size());
  };
  Specs in;
  for (size_t n = 0; n < p.nodes.size(); ++n) {
    Node* node = p.nodes[n].node;
    const Op& op = *node->op;
    op.hash_structure(h);
    h.add(region_number(node->region));
    auto inputs = p.inputs_of(n);
    for (uint32_t v : inputs) h.add(v);
    for (uint32_t j = 0; j < node->num_outputs; ++j)
      add_value(p.nodes[n].first_out + j);
    if (op.kind() == OpKind::row) continue;
    in.clear();
    for (uint32_t v : inputs) in.push_back(p.spec(v));
    op.hash_facts(h, in);
    Hasher sizes;
    if (op.hash_sizes(sizes)) {
      Hash128 key = sizes.result();
      auto it = std::find_if(size_fields.begin(),
                             size_fields.end(),
                             [&](const auto& e) { return e.first == key; });
      if (it == size_fields.end()) {
        size_fields.emplace_back(key, uint32_t(size_fields.size()));
        it = size_fields.end() - 1;
      }
      h.add(it->second);
    }
  }
  for (const Shape* s : shapes.shapes()) {
    uint64_t ones = 0, empty = 0;
    for (size_t i = 0; i < s->size(); ++i) {
      ones |= uint64_t((*s)[i] == 1) << (i % 56);
      empty |= uint64_t((*s)[i] == 0);
    }
    h.add(s->size() << 57 | empty << 56 | ones);
  }
  return h.result();
}

Hash128 size_key(const Program& p) {
  Hasher h;
  for (Output* o : p.leaves) {
    for (int64_t d : o->spec.shape) h.add(uint64_t(d));
    h.add(uint64_t(o->layout.offset));
    for (int64_t d : o->layout.strides) h.add(uint64_t(d));
  }
  for (const Program::Step& step : p.nodes) {
    if (step.node->op->kind() == OpKind::row)
      continue;  // follows from its inputs
    step.node->op->hash_sizes(h);
  }
  return h.result();
}

}  // namespace treadle::plan
