#include "treadle/runtime/instance.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/follow.h"

namespace treadle::runtime {

namespace {

using plan::Place;
using plan::Plan;
using plan::PlanStep;
using plan::Program;

// Offsets in one block of memory, handed out and given back in step order.
class ArenaPlan {
 public:
  int64_t take(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= bytes &&
          (best == free_.end() || it->second < best->second))
        best = it;
    }
    if (best != free_.end()) {
      auto [at, size] = *best;
      free_.erase(best);
      if (size > bytes) free_[at + int64_t(bytes)] = size - bytes;
      return at;
    }
    // Grow, from a free tail if there is one.
    int64_t at = int64_t(end_);
    if (!free_.empty()) {
      auto last = std::prev(free_.end());
      if (last->first + int64_t(last->second) == int64_t(end_)) {
        at = last->first;
        free_.erase(last);
      }
    }
    end_ = size_t(at) + bytes;
    return at;
  }
  void give(int64_t at, size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    auto [it, fresh] = free_.emplace(at, bytes);
    auto next = std::next(it);
    if (next != free_.end() && it->first + int64_t(it->second) == next->first) {
      it->second += next->second;
      free_.erase(next);
    }
    if (it != free_.begin()) {
      auto before = std::prev(it);
      if (before->first + int64_t(before->second) == it->first) {
        before->second += it->second;
        free_.erase(it);
      }
    }
  }
  size_t end() const { return end_; }

 private:
  std::map<int64_t, size_t> free_;  // offset -> bytes
  size_t end_ = 0;
};

class Builder {
 public:
  Builder(std::shared_ptr<const Plan> plan,
          const Program& p,
          Device::Type device)
      : p_(p),
        table_(kernel_table(device)),
        threads_(backend(device).threads()),
        made_(std::make_shared<Instance>()) {
    made_->plan = std::move(plan);
  }

  std::shared_ptr<Instance> run() {
    find_layouts();
    for (uint32_t s = 0; s < plan().steps.size(); ++s) add(s);
    find_independent();
    place();
    return made_;
  }

 private:
  const Plan& plan() const { return *made_->plan; }
  const Spec& spec(uint32_t v) const { return p_.spec(plan().values[v].spec); }
  size_t bytes(uint32_t v) const {
    return size_t(size_of(spec(v).shape)) * size_of(spec(v).dtype);
  }

  void find_layouts() {
    size_t n = plan().values.size();
    made_->layouts.resize(n);
    made_->roots.resize(n);
    made_->arena_at.assign(n, -1);
    done_.assign(n, 0);
    for (uint32_t v = 0; v < n; ++v) resolve(v);
  }

  // A view follows its base, which may be numbered later (a planner's copy).
  void resolve(uint32_t v) {
    if (done_[v]) return;
    done_[v] = 1;
    uint32_t same = plan().values[v].same_as;
    if (same != v) {
      resolve(same);
      made_->layouts[v] = made_->layouts[same];
      made_->roots[v] = made_->roots[same];
      return;
    }
    const plan::PlanValue& value = plan().values[v];
    if (value.place == Place::view) {
      uint32_t base = value.base;
      resolve(base);
      const Op& op = *p_.nodes[size_t(value.node)].node->op;
      made_->roots[v] = made_->roots[base];
      if (!op.view(
              spec(base), made_->layouts[base], spec(v), &made_->layouts[v])) {
        throw std::logic_error(
            fmt::format("plan: [{}] cannot view its input", op.name()));
      }
      return;
    }
    made_->roots[v] = v;
    made_->layouts[v] = value.place == Place::leaf && v < p_.leaves.size()
                            ? p_.leaves[v]->layout
                            : Layout{row_major_strides(spec(v).shape), 0};
  }

  Operand operand(uint32_t v) const {
    Operand o;
    o.dtype = spec(v).dtype;
    o.shape = spec(v).shape;
    o.strides = made_->layouts[v].strides;
    o.contiguous = is_row_contiguous(o.shape, o.strides);
    return o;
  }
  Instance::Address address(uint32_t v) const {
    return {made_->roots[v],
            made_->layouts[v].offset * int64_t(size_of(spec(v).dtype))};
  }

  void add(uint32_t s) {
    const PlanStep& step = plan().steps[s];
    Instance::Call call;
    call.step = call.first_step = s;
    if (step.kind == PlanStep::Kind::fused) {
      fill_fused(step, call);
      if (step.follows && join(step, call)) return;
    } else {
      static const OpPtr copy = make_op(Contiguous{});
      call.op = step.kind == PlanStep::Kind::copy
                    ? copy
                    : p_.nodes[size_t(step.node)].node->op;
      for (uint32_t v : step.in) {
        call.in.push_back(operand(v));
        call.in_at.push_back(address(v));
      }
      for (uint32_t v : step.out) {
        call.out.push_back(operand(v));
        call.out_at.push_back(address(v));
      }
      Specs in, out;
      for (uint32_t v : step.in) in.push_back(spec(v));
      for (uint32_t v : step.out) out.push_back(spec(v));
      choose_kernel(call, in, out);
      if (!call.kernel->strided) make_contiguous(s, call);
    }
    for (const Operand& o : call.in) made_->touched_bytes += reach(o);
    for (const Operand& o : call.out) made_->touched_bytes += reach(o);
    made_->calls.push_back(std::move(call));
  }

  // Gives the work of a call to the one before it, if its kernel takes it.
  bool join(const PlanStep& step, Instance::Call& call) {
    Instance::Call& before = made_->calls.back();
    if (before.step + 1 != call.step || !before.kernel->follows) return false;
    auto f = std::make_unique<Instance::Following>();
    f->in = call.in;
    f->out = call.out;
    const int64_t row = row_of(*before.op, before.out[0]);
    if (!lay_out_by_rows(call.space, row, f->in, f->out)) {
      return false;
    }
    f->kernel = call.kernel;
    f->op = call.op;
    f->in_at = call.in_at;
    f->out_at = call.out_at;
    f->product = step.product;
    const Follow follow{f->kernel, *f->op, f->in, f->out, f->product};
    const Task task{.op = *before.op,
                    .in = before.in,
                    .out = before.out,
                    .space = before.space,
                    .threads = threads_,
                    .follow = &follow};
    if (!before.kernel->follows(task)) return false;
    before.following = std::move(f);
    for (size_t i = 0; i < call.in.size(); ++i) {
      if (i != step.product) made_->touched_bytes += reach(call.in[i]);
    }
    for (const Operand& o : call.out) made_->touched_bytes += reach(o);
    // Its copies belong to the same step now: memory is given back after it.
    for (size_t c = made_->calls.size(); c-- > 0;) {
      Instance::Call& part = made_->calls[c];
      if (part.step + 1 != call.step) break;
      part.step = call.step;
    }
    return true;
  }

  static size_t reach(const Operand& o) {
    size_t n = size_of(o.dtype);
    for (size_t i = 0; i < o.shape.size(); ++i) {
      if (o.strides[i] != 0) n *= size_t(o.shape[i]);
    }
    return n;
  }

  void choose_kernel(Instance::Call& call,
                     std::span<const Spec> in,
                     std::span<const Spec> out) {
    std::string why;
    call.kernel = table_.find(*call.op, in, out, &why);
    if (!call.kernel) {
      unsupported(call.op->name(),
                  why.empty() ? "no kernel." : "no kernel: " + why);
    }
  }

  // Operands of a tape are laid out over its space, broadcast axes with stride
  // 0.
  void fill_fused(const PlanStep& step, Instance::Call& call) {
    call.op = step.fused;
    const plan::Tape& tape = static_cast<const plan::Fused&>(*step.fused).tape;
    const Shape& space = spec(step.space).shape;
    size_t outer = space.size() - size_t(tape.inner_axes);
    call.space = space;
    for (uint32_t v : step.in) {
      Operand o = operand(v);
      if (o.shape != space) {
        Strides strides(space.size(), 0);
        for (size_t i = 0; i < std::min(outer, o.shape.size()); ++i)
          strides[i] = o.strides[i];
        o.strides = strides;
        o.shape = space;
        o.contiguous = is_row_contiguous(space, strides);
      }
      call.in.push_back(std::move(o));
      call.in_at.push_back(address(v));
    }
    for (size_t j = 0; j < step.out.size(); ++j) {
      Operand o = operand(step.out[j]);
      switch (tape.outputs[j].form) {
        case plan::OutputForm::full:
          o.shape = space;
          break;
        case plan::OutputForm::row:
          o.shape = Shape(space.begin(), space.begin() + outer);
          break;
        case plan::OutputForm::column:
          o.shape = Shape(space.begin() + outer, space.end());
          break;
      }
      o.strides = row_major_strides(o.shape);
      call.out.push_back(std::move(o));
      call.out_at.push_back(address(step.out[j]));
    }
    Specs none;
    choose_kernel(call, none, none);
  }

  // Copies of strided operands for kernels that need row order; they live for
  // this call only.
  void make_contiguous(uint32_t s, Instance::Call& call) {
    for (size_t i = 0; i < call.in.size(); ++i) {
      if (call.in[i].contiguous) continue;
      uint32_t temp = uint32_t(made_->roots.size());
      made_->roots.push_back(temp);
      made_->arena_at.push_back(-1);
      Operand to = call.in[i];
      to.strides = row_major_strides(to.shape);
      to.contiguous = true;
      Instance::Call copy;
      copy.step = copy.first_step = s;
      copy.op = make_op(Contiguous{});
      copy.in = {call.in[i]};
      copy.in_at = {call.in_at[i]};
      copy.out = {to};
      copy.out_at = {{temp, 0}};
      Spec spec{to.shape, to.dtype};
      choose_kernel(copy, {&spec, 1}, {&spec, 1});
      temps_.emplace_back(temp, size_t(size_of(to.shape)) * size_of(to.dtype));
      made_->calls.push_back(std::move(copy));
      call.in[i] = std::move(to);
      call.in_at[i] = {temp, 0};
    }
  }

  // An output that may lie in an input's memory.
  struct Pair {
    const Operand &in, &out;
    const Instance::Address &from, &to;
  };
  static bool takes_over(const Pair& p) {
    return p.in.contiguous && p.in.dtype == p.out.dtype &&
           p.in.shape == p.out.shape && p.from.offset == 0;
  }

  // No other input lies in the memory of input i, or, for a tape, another one
  // is read at the same places at the same time.
  static bool read_alone(const auto& call, uint32_t i) {
    const bool tape = as<plan::Fused>(*call.op);
    for (uint32_t k = 0; k < call.in.size(); ++k) {
      if (k == i || call.in_at[k].value != call.in_at[i].value) continue;
      if (!tape || call.in_at[k].offset != call.in_at[i].offset ||
          call.in[k].strides != call.in[i].strides) {
        return false;
      }
    }
    return true;
  }

  std::vector<Pair> in_place_pairs(const Instance::Call& call) const {
    std::vector<Pair> pairs;
    auto add = [&](const auto& c, uint32_t j, uint32_t i) {
      const Pair p{c.in[i], c.out[j], c.in_at[i], c.out_at[j]};
      if (takes_over(p) && read_alone(c, i)) pairs.push_back(p);
    };
    const PlanStep& step = plan().steps[call.step];
    if (call.following) {
      for (auto [j, i] : step.in_place) {
        if (i == step.product) continue;
        // Not what the product is made of: rows are read after others are
        // written.
        const uint32_t root = call.following->in_at[i].value;
        if (std::none_of(call.in_at.begin(),
                         call.in_at.end(),
                         [&](const auto& at) { return at.value == root; })) {
          add(*call.following, j, i);
        }
      }
    } else if (as<plan::Fused>(*call.op)) {
      for (auto [j, i] : step.in_place) add(call, j, i);
    } else if (call.kernel->in_place) {
      add(call, 0, 0);
    }
    return pairs;
  }

  // Which neighbours may run together: none reads or overwrites what another
  // one reads or writes.
  void find_independent() {
    constexpr uint32_t kMost = 256;
    constexpr size_t kLeastBytes = 64 << 10;  // for less, one thread is enough
    std::vector<size_t> read(made_->roots.size(), 0), written = read;
    size_t group = 0;  // marks what belongs to the present one
    Instance::Call* first = nullptr;
    size_t bytes = 0;
    const auto close = [&] {
      if (first && bytes < kLeastBytes) first->together = 1;
    };
    for (Instance::Call& call : made_->calls) {
      const bool able = call.kernel->run_many && !call.following;
      bool joins = able && first && first->together < kMost &&
                   call.kernel->run_many == first->kernel->run_many;
      for (const auto& at : call.in_at) {
        joins = joins && written[at.value] != group;
      }
      for (const auto& at : call.out_at) {
        joins = joins && written[at.value] != group && read[at.value] != group;
      }
      if (joins) {
        for (const Pair& p : in_place_pairs(call)) {
          joins = joins && read[p.from.value] != group;
        }
      }
      if (joins) {
        ++first->together;
      } else {
        close();
        first = able ? &call : nullptr;
        bytes = 0;
        ++group;
      }
      for (const Operand& o : call.in) bytes += reach(o);
      for (const Operand& o : call.out) bytes += reach(o);
      for (const auto& at : call.in_at) read[at.value] = group;
      for (const auto& at : call.out_at) written[at.value] = group;
    }
    close();
  }

  void place() {
    ArenaPlan arena;
    std::vector<size_t> size(made_->roots.size(), 0);
    for (auto [temp, n] : temps_) size[temp] = n;
    std::vector<uint8_t> taken(made_->roots.size(), 0);
    std::vector<std::vector<uint32_t>> dies(plan().steps.size());
    for (uint32_t v = 0; v < plan().values.size(); ++v) {
      const plan::PlanValue& value = plan().values[v];
      if (value.same_as != v || value.place != Place::memory) continue;
      size[v] = bytes(v);
      if (value.owned) {
        made_->owned.emplace_back(v, size[v]);
      } else {
        dies[value.last_use].push_back(v);
      }
    }
    // A leaf that a wanted view lies in must stay as it is.
    for (uint32_t v = 0; v < plan().values.size(); ++v) {
      if (plan().values[v].wanted) taken[made_->roots[v]] = 1;
    }
    // What lies in the arena for one call only.
    std::vector<std::pair<int64_t, size_t>> passing_memory;
    uint32_t together = 0;  // calls of this group that are still to come
    uint32_t first_step = 0;
    for (size_t c = 0; c < made_->calls.size(); ++c) {
      Instance::Call& call = made_->calls[c];
      auto pairs = in_place_pairs(call);
      std::vector<const Instance::Address*> placed;
      auto place_output = [&](const Instance::Address& at) {
        if (std::find(placed.begin(), placed.end(), &at) != placed.end())
          return;
        placed.push_back(&at);
        uint32_t v = at.value;
        bool temp = v >= plan().values.size();
        // Nobody reads it: the kernel gets no memory for it.
        if (!temp && plan().values[v].place == Place::none) return;
        bool owned = !temp && plan().values[v].owned;
        for (const Pair& pair : pairs) {
          if (&pair.to != &at) continue;
          uint32_t from = pair.from.value;
          if (from >= plan().values.size() || taken[from]) continue;
          const plan::PlanValue& source = plan().values[from];
          if (source.last_use != call.step) continue;
          if (owned && source.place == Place::leaf) {
            // A candidate: which leaves nobody else holds is known when the
            // run is bound, where the first that is free is taken.
            made_->donations.push_back({v, from, size[v]});
            continue;
          }
          if (!owned && source.place == Place::memory && !source.owned &&
              made_->arena_at[from] >= 0) {
            made_->arena_at[v] = made_->arena_at[from];
            taken[from] = 1;
            break;
          }
        }
        if (owned || made_->arena_at[v] >= 0) return;
        made_->arena_at[v] = arena.take(size[v]);
        if (temp) passing_memory.emplace_back(made_->arena_at[v], size[v]);
      };
      const bool passing = call.following && plan().steps[call.step].passing;
      for (const Pair& p : pairs) place_output(p.to);
      if (!passing) {
        for (const Instance::Address& at : call.out_at) place_output(at);
      }
      std::optional<Follow> follow;
      if (call.following) {
        Instance::Following& f = *call.following;
        for (const Instance::Address& at : f.out_at) place_output(at);
        follow.emplace(Follow{f.kernel, *f.op, f.in, f.out, f.product});
      }
      // Kernels see by its data whether an output has memory.
      static char somewhere;
      for (size_t j = 0; j < call.out.size(); ++j) {
        const uint32_t v = call.out_at[j].value;
        const bool none =
            v < plan().values.size() && plan().values[v].place == Place::none;
        call.out[j].data = none || (j == 0 && passing) ? nullptr : &somewhere;
      }
      Task task{.op = *call.op,
                .in = call.in,
                .out = call.out,
                .space = call.space,
                .threads = threads_,
                .follow = follow ? &*follow : nullptr};
      if (call.kernel->prepare) call.prepared = call.kernel->prepare(task);
      task.prepared = call.prepared.get();
      std::pair<int64_t, size_t> workspace;
      size_t work = call.kernel->workspace ? call.kernel->workspace(task) : 0;
      if (work > 0) {
        call.workspace_at = size_t(arena.take(work));
        call.has_workspace = true;
        workspace = {int64_t(call.workspace_at), work};
      }
      if (together == 0) {
        together = call.together;
        first_step = call.first_step;
      }
      bool step_ends =
          c + 1 == made_->calls.size() || made_->calls[c + 1].step != call.step;
      // Calls that run together keep their memory until the last of them ends.
      if (--together > 0) {
        if (call.has_workspace) passing_memory.push_back(workspace);
        continue;
      }
      if (call.has_workspace) arena.give(workspace.first, workspace.second);
      if (!step_ends) continue;
      for (uint32_t s = first_step; s <= call.step; ++s) {
        for (uint32_t v : dies[s]) {
          if (taken[v] || made_->arena_at[v] < 0) continue;
          arena.give(made_->arena_at[v], size[v]);
          call.dead.emplace_back(made_->arena_at[v], size[v]);
        }
      }
      for (auto [at, n] : passing_memory) arena.give(at, n);
      passing_memory.clear();
    }
    made_->arena_bytes = arena.end();
  }

  const Program& p_;
  const KernelTable& table_;
  const int
      threads_;  // the most that a run may use: scratch must suffice for them
  std::shared_ptr<Instance> made_;
  std::vector<uint8_t> done_;
  std::vector<std::pair<uint32_t, size_t>> temps_;
};

}  // namespace

std::shared_ptr<Instance> instantiate(std::shared_ptr<const plan::Plan> plan,
                                      const plan::Program& program,
                                      Device::Type device) {
  return Builder(std::move(plan), program, device).run();
}

}  // namespace treadle::runtime
