#include "treadle/runtime/run.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "treadle/runtime/memory.h"
#include "treadle/runtime/profile.h"

namespace treadle::runtime {

namespace {

// The arena of the runs that are queued on a stream: one for all, since they
// run one after another, as large as the largest of them. It goes back to the
// allocator with the last of them. Guarded by the eval mutex.
std::shared_ptr<const BufferPtr> arena_of(Stream stream, size_t bytes) {
  static auto* leases =
      new std::vector<std::pair<Stream, std::weak_ptr<const BufferPtr>>>;
  auto it = std::find_if(leases->begin(), leases->end(), [&](const auto& l) {
    return l.first == stream;
  });
  if (it == leases->end())
    it = leases->emplace(it, stream, std::weak_ptr<const BufferPtr>());
  auto lease = it->second.lock();
  if (!lease || (*lease)->bytes < bytes) {
    lease = std::make_shared<const BufferPtr>(allocate(bytes, stream.device));
    it->second = lease;
  }
  return lease;
}

}  // namespace

BufferPtr Run::buffer_of(uint32_t v) {
  uint32_t root = instance->roots[v];
  if (!buffer[root]) {
    // A number held inside its node becomes memory.
    BufferPtr made = allocate(8, cpu);
    std::memcpy(made->data, base[root], 8);
    buffer[root] = std::move(made);
  }
  return buffer[root];
}

void Run::clear() {
  instance.reset();
  buffer.clear();
  arena.reset();
  arena_base = nullptr;
  numbers.reset();
  after.clear();
  kept.clear();
}

void bind(std::shared_ptr<Instance> instance,
          std::span<Output* const> leaves,
          const std::vector<uint8_t>& free_leaf,
          Stream stream,
          bool own_arena,
          Run& run) {
  run.device = stream.device;
  const Instance& in = *instance;
  run.base.assign(in.roots.size(), nullptr);
  run.buffer.clear();
  run.buffer.resize(in.roots.size());
  for (uint32_t i = 0; i < leaves.size(); ++i) {
    Output* o = leaves[i];
    run.buffer[i] = o->buffer;
    if (o->buffer) {
      run.base[i] = o->buffer->data;
    } else if (own_arena) {
      run.base[i] = o->node->inline_value;
    } else {
      if (!run.numbers)
        run.numbers = std::make_shared<uint64_t[]>(leaves.size());
      std::memcpy(&run.numbers[i], o->node->inline_value, sizeof(uint64_t));
      run.base[i] = &run.numbers[i];
    }
    if (o->node->event && !o->node->event->done())
      run.after.push_back(o->node->event);
  }
  for (const Instance::Donation& d : in.donations) {
    Output* o = leaves[d.leaf];
    // Two counts: the leaf's own and the one just taken above.
    if (run.buffer[d.value] || !free_leaf[d.leaf] || !o->buffer ||
        !o->buffer->writable || o->buffer->bytes < d.bytes ||
        o->layout.offset != 0 ||
        o->buffer->refs.load(std::memory_order_acquire) != 2) {
      continue;
    }
    run.buffer[d.value] = o->buffer;
    run.base[d.value] = o->buffer->data;
    ++o->buffer->generation;
  }
  for (auto [v, bytes] : in.owned) {
    if (run.buffer[v]) continue;
    run.buffer[v] = allocate(bytes, stream.device);
    run.base[v] = run.buffer[v]->data;
  }
  if (in.arena_bytes) {
    run.arena = own_arena ? std::make_shared<const BufferPtr>(
                                allocate(in.arena_bytes, stream.device))
                          : arena_of(stream, in.arena_bytes);
    run.arena_base = static_cast<char*>((*run.arena)->data);
    for (uint32_t v = 0; v < in.arena_at.size(); ++v) {
      if (in.arena_at[v] >= 0) run.base[v] = run.arena_base + in.arena_at[v];
    }
  }
  run.instance = std::move(instance);
}

namespace {

// One execution of a plan: fills addresses into the calls and makes them.
class Execution {
 public:
  Execution(const Run& run, int threads)
      : run_(run), instance_(*run.instance), threads_(threads) {
    mine_ = !instance_.in_use.test_and_set(std::memory_order_acquire);
  }
  ~Execution() {
    if (mine_) instance_.in_use.clear(std::memory_order_release);
  }

  void all() {
    for (size_t c = 0; c < instance_.calls.size();) {
      const size_t together = profiling() ? 1 : instance_.calls[c].together;
      if (together > 1) {
        several({&instance_.calls[c], together});
      } else {
        one(instance_.calls[c]);
      }
      c += together;
#ifndef NDEBUG
      fill_dead(instance_.calls[c - 1]);
#endif
    }
  }

 private:
  // Operands of its own, for a run that does not hold the instance.
  struct Copies {
    std::vector<Operand> in, out;
  };

  void* address(Instance::Address a) const {
    return static_cast<char*>(run_.base[a.value]) + a.offset;
  }
  std::span<const Operand> addressed(std::vector<Operand>& operands,
                                     const std::vector<Instance::Address>& at,
                                     std::vector<Operand>& copy) const {
    std::span<Operand> span = operands;
    if (!mine_) {
      copy = operands;
      span = copy;
    }
    for (size_t i = 0; i < span.size(); ++i) span[i].data = address(at[i]);
    return span;
  }

  Task task_of(Instance::Call& call, Copies* copies) const {
    const size_t number = size_t(&call - instance_.calls.data());
    return {.op = *call.op,
            .in = addressed(call.in, call.in_at, copies->in),
            .out = addressed(call.out, call.out_at, copies->out),
            .space = call.space,
            .workspace = call.has_workspace
                             ? run_.arena_base + call.workspace_at
                             : nullptr,
            .threads = threads_,
            .kept = run_.kept.empty() ? nullptr : run_.kept[number],
            .prepared = call.prepared.get()};
  }

  void one(Instance::Call& call) {
    Task task = task_of(call, &copies_);
    std::optional<Follow> follow;
    if (call.following) {
      Instance::Following& f = *call.following;
      follow.emplace(Follow{f.kernel,
                            *f.op,
                            addressed(f.in, f.in_at, follow_copies_.in),
                            addressed(f.out, f.out_at, follow_copies_.out),
                            f.product});
      task.follow = &*follow;
    }
    std::optional<TimedCall> timed;
    if (profiling()) timed.emplace(*call.kernel, task);
    call.kernel->run(task);
  }

  void several(std::span<Instance::Call> calls) {
    std::vector<Copies> copies(calls.size());
    std::vector<Task> tasks;
    tasks.reserve(calls.size());
    for (size_t i = 0; i < calls.size(); ++i) {
      tasks.push_back(task_of(calls[i], &copies[i]));
    }
    calls[0].kernel->run_many(tasks);
  }

  void fill_dead(const Instance::Call& call) const {
    if (run_.device.type != Device::Type::cpu) return;
    for (auto [at, bytes] : call.dead) {
      if (bytes > 0) std::memset(run_.arena_base + at, 0xff, bytes);  // NaN
    }
  }

  const Run& run_;
  Instance& instance_;
  const int threads_;
  bool mine_;
  Copies copies_, follow_copies_;
};

}  // namespace

void execute(const Run& run, int threads) { Execution(run, threads).all(); }

}  // namespace treadle::runtime
