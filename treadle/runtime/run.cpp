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

void execute(const Run& run, int threads) {
  auto address = [&](Instance::Address a) {
    return static_cast<void*>(static_cast<char*>(run.base[a.value]) + a.offset);
  };
  Instance& instance = *run.instance;
  struct Claim {
    Instance& of;
    bool mine = !of.in_use.test_and_set(std::memory_order_acquire);
    ~Claim() {
      if (mine) of.in_use.clear(std::memory_order_release);
    }
  } claim{instance};
  std::vector<Operand> in_copy, out_copy, follow_in_copy, follow_out_copy;
  for (size_t number = 0; number < instance.calls.size(); ++number) {
    Instance::Call& call = instance.calls[number];
    std::span<Operand> in = call.in, out = call.out;
    if (!claim.mine) {
      in_copy = call.in;
      out_copy = call.out;
      in = in_copy;
      out = out_copy;
    }
    for (size_t i = 0; i < in.size(); ++i) in[i].data = address(call.in_at[i]);
    for (size_t j = 0; j < out.size(); ++j)
      out[j].data = address(call.out_at[j]);
    std::optional<Follow> follow;
    if (call.following) {
      Instance::Following& f = *call.following;
      std::span<Operand> more_in = f.in, more_out = f.out;
      if (!claim.mine) {
        follow_in_copy = f.in;
        follow_out_copy = f.out;
        more_in = follow_in_copy;
        more_out = follow_out_copy;
      }
      for (size_t i = 0; i < more_in.size(); ++i) {
        more_in[i].data = address(f.in_at[i]);
      }
      for (size_t j = 0; j < more_out.size(); ++j) {
        more_out[j].data = address(f.out_at[j]);
      }
      follow.emplace(Follow{f.kernel, *f.op, more_in, more_out, f.product});
    }
    Task task{.op = *call.op,
              .in = in,
              .out = out,
              .space = call.space,
              .threads = threads,
              .kept = run.kept.empty() ? nullptr : run.kept[number],
              .follow = follow ? &*follow : nullptr};
    if (call.has_workspace) {
      task.workspace = run.arena_base + call.workspace_at;
    }
    std::optional<TimedCall> timed;
    if (profiling()) timed.emplace(*call.kernel, task);
    call.kernel->run(task);
    timed.reset();
#ifndef NDEBUG
    if (run.device.type == Device::Type::cpu) {
      for (auto [at, bytes] : call.dead) {
        std::memset(run.arena_base + at, 0xff, bytes);  // NaN
      }
    }
#endif
  }
}

}  // namespace treadle::runtime
