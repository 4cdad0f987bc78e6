#include "treadle/transforms/autocast.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"
#include "treadle/graph/record.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/chosen_products.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/pool.h"
#include "treadle/ops/scan.h"
#include "treadle/ops/split.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/checkpoint.h"

namespace treadle {

namespace {

bool takes_short(const Op& op) {
  return is_product(op) || as<Attention>(op) || as<ChosenProducts>(op) ||
         as<SegmentProducts>(op) || as<SegmentRows>(op);
}

// Rows that neither leave the range of a short type nor lose much in it.
bool follows(Row row) {
  switch (row) {
    case Row::negative:
    case Row::abs:
    case Row::sign:
    case Row::sin:
    case Row::cos:
    case Row::tanh:
    case Row::sigmoid:
    case Row::erf:
    case Row::floor:
    case Row::ceil:
    case Row::rint:
    case Row::add:
    case Row::subtract:
    case Row::multiply:
    case Row::divide:
    case Row::maximum:
    case Row::minimum:
    case Row::equal:
    case Row::not_equal:
    case Row::less:
    case Row::less_equal:
    case Row::greater:
    case Row::greater_equal:
    case Row::select:
      return true;
    default:
      return false;
  }
}

// Ops that give the short type where all that they read has it.
bool follows(const Op& op) {
  if (op.kind() == OpKind::row) {
    return follows(static_cast<const Elementwise&>(op).row);
  }
  if (const Pool* pool = as<Pool>(op)) return pool->pool == PoolKind::max;
  return as<Identity>(op) || as<Broadcast>(op) || as<Reshape>(op) ||
         as<ExpandDims>(op) || as<Squeeze>(op) || as<Transpose>(op) ||
         as<Slice>(op) || as<Split>(op) || as<Contiguous>(op) || as<Pad>(op) ||
         as<Concatenate>(op) || as<Take>(op) || as<TakeAlongAxis>(op);
}

// Views of whole arrays: what is short before them is so after.
bool passes(const Op& op) {
  return as<Broadcast>(op) || as<Reshape>(op) || as<ExpandDims>(op) ||
         as<Squeeze>(op) || as<Transpose>(op);
}

double largest(Dtype dtype) {
  return dtype == float16 ? 65504.0 : 3.3895313892515355e38;
}

// Neither lost nor infinite in the short type, unless it is so anyway.
bool fits(float number, Dtype dtype) {
  const double v = std::abs(double(number));
  const double least = dtype == float16 ? 0x1p-14 : 0x1p-126;
  return v == 0 || !std::isfinite(v) || (v >= least && v <= largest(dtype));
}

// The arrays of one recording and what they have become in the other. Bodies of
// loops and checkpoints have a rewriter of their own inside that of what is
// around them.
class Rewriter {
 public:
  Rewriter(Dtype dtype, uint64_t first_seq, Rewriter* around = nullptr)
      : dtype_(dtype), first_seq_(first_seq), around_(around) {}

  void put(const array& x, const array& now) { now_[x.output()] = now; }

  // The arrays in the dtypes in which they were recorded.
  Arrays run(const Arrays& outputs) {
    for (Node* n : recorded(outputs)) rewrite(n);
    Arrays out;
    for (const array& y : outputs) {
      out.push_back(y.null() ? y : as_recorded(y));
    }
    return out;
  }

 private:
  using Map = std::unordered_map<const Output*, array>;

  const array* find(Map Rewriter::*map, const array& x) const {
    for (const Rewriter* r = this; r; r = r->around_) {
      auto it = (r->*map).find(x.output());
      if (it != (r->*map).end()) return &it->second;
    }
    return nullptr;
  }
  // What x has become: of the same shape, but perhaps short.
  array at(const array& x) const {
    const array* now = find(&Rewriter::now_, x);
    return now ? *now : x;
  }

  array as_recorded(const array& x) {
    const array v = at(x);
    if (v.dtype() == x.dtype()) return v;
    if (const array* known = find(&Rewriter::long_, x)) return *known;
    return long_[x.output()] = astype(v, x.dtype());
  }

  array shortened(const array& x) {
    const array v = at(x);
    if (v.dtype() != float32) return v;
    if (const array* known = find(&Rewriter::short_, x)) return *known;
    Node* n = x.node();
    array y;
    if (n->scalar) {
      y = array(x.item<float>(), dtype_);
    } else if (n->op && n->seq >= first_seq_ && passes(*n->op)) {
      // A weight is converted before it is transposed, so that the product
      // still sees a transposed one.
      y = record_all(n->op, {shortened(n->inputs()[0])}, n->stream)[0];
    } else {
      y = astype(v, dtype_);
    }
    return short_[x.output()] = y;
  }

  // Is short wherever what it meets is: a number, a bias.
  bool yields(const array& x) const {
    Node* n = x.node();
    if (n->scalar) return fits(x.item<float>(), dtype_);
    if (x.ndim() == 0) return true;
    return n->op && as<Broadcast>(*n->op) && is_given(n->inputs()[0]);
  }

  // Was there before the function was called: a parameter. What stands for it
  // in the body of a compiled function is one too, whenever that was traced.
  bool is_given(array x) const {
    for (const Rewriter* r = this; r; r = r->around_) {
      if (x.node()->seq < r->first_seq_) continue;
      const auto it = r->stands_for_.find(x.output());
      if (it == r->stands_for_.end()) return false;
      x = it->second;
    }
    return true;
  }

  // Nodes of this recording that `outputs` depend on, in program order. What a
  // checkpoint has computed is behind its body, not its results.
  std::vector<Node*> recorded(const Arrays& outputs) const {
    std::unordered_set<const Node*> seen, needed;
    const std::vector<Node*> all = nodes_behind(outputs, [&](const array& a) {
      const Node* n = a.node();
      return !now_.count(a.output()) && n->seq >= first_seq_ && n->op &&
             seen.insert(n).second;
    });
    for (const array& y : outputs) {
      if (!y.null()) needed.insert(y.node());
    }
    std::vector<Node*> found;
    for (auto n = all.rbegin(); n != all.rend(); ++n) {
      if (!needed.count(*n)) continue;
      found.push_back(*n);
      const auto checkpoint = checkpoint_of(*(*n)->op);
      const auto in = (*n)->inputs();
      const size_t read =
          checkpoint ? checkpoint->body->inputs.size() : in.size();
      for (const array& x : in.first(read)) needed.insert(x.node());
    }
    std::reverse(found.begin(), found.end());
    return found;
  }

  void rewrite(Node* n) {
    StreamScope stream(n->stream);
    RegionScope region(n->region != 0 ? n->region : current_region());
    std::optional<ModuleScope> module;
    if (n->module_path) module.emplace(n->module_path);
    const Op& op = *n->op;
    if (const Scan* scan = as<Scan>(op)) {
      if (rewrite_scan(n, *scan)) return;
    } else if (auto checkpoint = checkpoint_of(op)) {
      return rewrite_checkpoint(n, *checkpoint);
    } else if (op.kind() == OpKind::region && op.graph()) {
      return rewrite_call(n, *op.graph());
    }
    Arrays in = inputs_of(n);
    bool changed = false;
    for (size_t i = 0; i < in.size(); ++i) {
      changed = changed || in[i].output() != n->inputs()[i].output();
    }
    if (!changed) return;
    if (as<AsType>(op) && in[0].dtype() == n->output(0).spec.dtype) {
      now_[&n->output(0)] = in[0];
      return;
    }
    give(n, record_all(n->op, std::move(in), n->stream));
  }

  void give(Node* n, const Arrays& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      now_[&n->output(i)] = values[i];
    }
  }

  Arrays inputs_of(Node* n) {
    const Op& op = *n->op;
    const auto recorded = n->inputs();
    Arrays in;
    if (takes_short(op) && recorded[0].dtype() == float32) {
      for (const array& x : recorded) in.push_back(shortened(x));
      const Attention* attention = as<Attention>(op);
      if (attention && attention->mask == AttentionMask::additive &&
          at(recorded[3]).dtype() == float32) {
        // The lowest float32 would be infinite, and a row without any key NaN.
        in[3] = astype(maximum(at(recorded[3]), -largest(dtype_)), dtype_);
      }
      return in;
    }
    if (as<AsType>(op)) return {at(recorded[0])};
    bool any_short = false, all_short = follows(op);
    for (const array& x : recorded) {
      if (x.dtype() != float32) continue;
      const bool is_short = at(x).dtype() != float32;
      any_short = any_short || is_short;
      all_short = all_short && (is_short || yields(x));
    }
    for (const array& x : recorded) {
      const bool shorten = any_short && all_short && x.dtype() == float32;
      in.push_back(shorten ? shortened(x) : as_recorded(x));
    }
    return in;
  }

  // The loop recorded anew over the rewritten body; false when something reads
  // what it keeps for its derivative, which only this recording has.
  bool rewrite_scan(Node* n, const Scan& op) {
    const Graph& body = *op.body;
    const size_t results = n->num_outputs - op.num_residuals;
    for (size_t i = results; i < n->num_outputs; ++i) {
      if (n->output(i).refs.load(std::memory_order_relaxed) > 0) return false;
    }
    const auto in = n->inputs();
    const size_t num_read = op.num_carry + op.num_xs;
    Rewriter inside(dtype_, body.first_seq, this);
    for (size_t i = num_read; i < in.size(); ++i) {
      inside.put(body.inputs[i], at(in[i]));
    }
    const Arrays outputs(body.outputs.begin(),
                         body.outputs.begin() + long(results));
    shorten_captures(body, outputs, in.subspan(num_read), &inside);
    Arrays carry, xs;
    for (size_t i = 0; i < op.num_carry; ++i) {
      carry.push_back(as_recorded(in[i]));
    }
    for (size_t i = op.num_carry; i < num_read; ++i) xs.push_back(at(in[i]));
    auto [last, ys] = scan(
        [&](const Arrays& c, const Arrays& x) {
          for (size_t i = 0; i < num_read; ++i) {
            inside.put(body.inputs[i],
                       i < op.num_carry ? c[i] : x[i - op.num_carry]);
          }
          const Arrays y = inside.run(outputs);
          const auto middle = y.begin() + long(op.num_carry);
          return ScanStep{{y.begin(), middle}, {middle, y.end()}};
        },
        carry,
        xs,
        {op.length, op.reverse});
    last.insert(last.end(), ys.begin(), ys.end());
    give(n, last);
    return true;
  }

  // Weights that a loop's products read are converted before the loop.
  void shorten_captures(const Graph& body,
                        const Arrays& outputs,
                        std::span<const array> captures,
                        Rewriter* inside) {
    const size_t first = body.inputs.size() - captures.size();
    for (Node* n : inside->recorded(outputs)) {
      if (!takes_short(*n->op)) continue;
      for (const array& x : n->inputs()) {
        const array* root = &x;
        while (root->node()->op && root->node()->seq >= body.first_seq &&
               passes(*root->node()->op)) {
          root = &root->node()->inputs()[0];
        }
        for (size_t i = 0; i < captures.size(); ++i) {
          if (root->output() != body.inputs[first + i].output() ||
              root->dtype() != float32) {
            continue;
          }
          inside->short_[root->output()] = shortened(captures[i]);
        }
      }
    }
  }

  // What a compiled function has traced, in the place of its call.
  void rewrite_call(Node* n, const Graph& body) {
    Rewriter inside(dtype_, body.first_seq, this);
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      inside.put(body.inputs[i], at(n->inputs()[i]));
      inside.stands_for_[body.inputs[i].output()] = n->inputs()[i];
    }
    give(n, inside.run(body.outputs));
  }

  void rewrite_checkpoint(Node* n, const CheckpointParts& parts) {
    const Graph& body = *parts.body;
    Arrays arguments;
    for (size_t i = 0; i < parts.num_arguments; ++i) {
      arguments.push_back(at(n->inputs()[i]));
    }
    give(n, checkpoint([&](const Arrays& x) {
           Rewriter inside(dtype_, body.first_seq, this);
           for (size_t i = 0; i < x.size(); ++i) {
             inside.put(body.inputs[i], x[i]);
           }
           return inside.run(body.outputs);
         })(arguments));
  }

  Dtype dtype_;
  uint64_t first_seq_;
  Rewriter* around_;
  Map now_, long_, short_;
  Map stands_for_;  // inputs of a compiled function: its arguments
};

}  // namespace

ArraysFn autocast(ArraysFn f, AutocastOptions options) {
  if (!is_half(options.dtype)) {
    invalid("autocast",
            fmt::format("the dtype is {}; expected bfloat16 or float16.",
                        name_of(options.dtype)));
  }
  return [f = std::move(f), o = std::move(options)](const Arrays& args) {
    const uint64_t first_seq = next_seq();
    Arrays results = f(args);
    const size_t own = results.size();
    if (o.outputs.get) {
      for (array& x : o.outputs.get()) results.push_back(std::move(x));
    }
    results = Rewriter(o.dtype, first_seq).run(results);
    if (o.outputs.set) {
      o.outputs.set({results.begin() + long(own), results.end()});
    }
    results.resize(own);
    return results;
  };
}

}  // namespace treadle
