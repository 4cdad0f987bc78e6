// Instance: a plan with its lengths filled in. Everything a run needs but
// addresses: layouts, arena offsets, chosen kernels, argument templates.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "treadle/plan/plan.h"
#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

struct Instance {
  // Where an operand's first element is: in a value's memory, at a byte offset.
  struct Address {
    uint32_t value;
    int64_t offset;
  };
  // A step done inside of the call before it.
  struct Following {
    const Kernel* kernel = nullptr;
    OpPtr op;
    std::vector<Operand> in, out;
    std::vector<Address> in_at, out_at;
    size_t product = 0;
  };
  struct Call {
    const Kernel* kernel = nullptr;
    OpPtr op;
    std::vector<Operand> in, out;  // addresses are filled in by each run
    std::vector<Address> in_at, out_at;
    Shape space;
    std::shared_ptr<const void> prepared;  // by the kernel
    size_t workspace_at = 0;               // arena offset
    bool has_workspace = false;
    uint32_t step = 0;        // of the plan; with `following`, that one's
    uint32_t first_step = 0;  // of the plan
    // So many calls from this one on are independent of one another and run
    // together (Kernel::run_many).
    uint32_t together = 1;
    std::unique_ptr<Following> following;
    // Arena slots that nobody reads after this call: debug builds fill them.
    std::vector<std::pair<int64_t, size_t>> dead;
  };
  // A wanted output that may take over a leaf's memory.
  struct Donation {
    uint32_t value;
    uint32_t leaf;
    size_t bytes;
  };

  std::shared_ptr<const plan::Plan> plan;
  std::vector<Call> calls;
  std::vector<Layout> layouts;  // by value; in the memory of its root
  std::vector<uint32_t> roots;  // by value: whose memory it lies in
  std::vector<int64_t>
      arena_at;  // by root: arena offset, -1 when not in the arena
  std::vector<std::pair<uint32_t, size_t>> owned;  // root and its bytes
  std::vector<Donation> donations;
  size_t arena_bytes = 0;
  size_t touched_bytes = 0;  // read and written: decides whether threads pay
  // Held by the run that fills addresses into `calls`; others copy them.
  std::atomic_flag in_use = ATOMIC_FLAG_INIT;
};

std::shared_ptr<Instance> instantiate(std::shared_ptr<const plan::Plan> plan,
                                      const plan::Program& program,
                                      Device::Type device);

}  // namespace treadle::runtime
