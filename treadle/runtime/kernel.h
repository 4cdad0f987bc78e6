// The interface between plans and backends: what a kernel is, what it is given,
// and the table that lists the kernels of each op, fastest first.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "treadle/base/device.h"
#include "treadle/base/shape.h"
#include "treadle/graph/op.h"

namespace treadle::runtime {

// One array as a kernel sees it.
struct Operand {
  void* data = nullptr;  // the first element
  Dtype dtype = float32;
  Shape shape;
  Strides strides;         // in elements
  bool contiguous = true;  // row-contiguous
};

struct Kernel;

// Work on output 0 of a call, without reductions, that a kernel may do piece by
// piece: as soon as rows of that output are there, while they are in the cache.
struct Follow {
  const Kernel* kernel;
  const Op& op;  // Fused
  // Over (rows of output 0, ...): its axes but the last are one, and the other
  // axes of all arrays together have the length of the last.
  std::span<const Operand> in, out;
  size_t product;  // which of `in` is output 0; its data is not set
};

// One call of a kernel.
struct Task {
  const Op& op;
  std::span<const Operand> in;
  std::span<const Operand> out;  // data null: the output is not wanted
  Shape space;                   // of a Fused op
  void* workspace = nullptr;     // as many bytes as workspace() said
  int threads = 1;               // at most this many may compute
  // Bit i: in[i] stays the same in many calls, those of a loop.
  uint32_t constant = 0;
  // What keep() made, of as many bytes as keeps() said.
  void* kept = nullptr;
  // What prepare() made when the call was planned.
  const void* prepared = nullptr;
  // What to do besides; only for kernels that said so. Output 0 is not wanted
  // itself when its data is null.
  const Follow* follow = nullptr;
};

struct Kernel {
  std::string_view name;  // "onednn::matmul"
  // "" when the kernel takes the op on these inputs, else the reason.
  std::string (*why_not)(const Op& op,
                         std::span<const Spec> in,
                         std::span<const Spec> out) = nullptr;
  void (*run)(const Task& task) = nullptr;
  // What the call's runs need besides, such as a plan of its own; made once,
  // before workspace() is asked. null: nothing.
  std::shared_ptr<const void> (*prepare)(const Task& task) = nullptr;
  // Scratch bytes for a call, 64-byte aligned; null: none.
  size_t (*workspace)(const Task& task) = nullptr;
  // False: inputs must be row-contiguous, the planner copies others.
  bool strided = false;
  // Output 0 may lie in the memory of an input of the same size and dtype, if
  // that input is read only at the positions already written or later.
  bool in_place = false;
  // Bytes in which a kernel keeps what it makes of its constant inputs, such as
  // weights in another order; 0: nothing. null: never. The calls of keep() and
  // run() may have fewer threads than that of keeps().
  size_t (*keeps)(const Task& task) = nullptr;
  void (*keep)(const Task& task) = nullptr;  // fills task.kept
  // Whether the call does task.follow's work; null: never.
  bool (*follows)(const Task& task) = nullptr;
  // Runs several calls that do not depend on one another; null: one by one.
  void (*run_many)(std::span<const Task> tasks) = nullptr;
};

// Does a call's following work on rows [first, first + count) of its output 0,
// which lie at `rows`, on this thread.
void run_follow(const Follow& follow, int64_t first, int64_t count, void* rows);

// The kernels of one kind of device. Filled once, by backend/*/kernels.cpp.
class KernelTable {
 public:
  // Lists the kernels for op T, fastest first, reference last.
  template <class T>
  void add(std::vector<Kernel> kernels) {
    auto& list = lists_[std::type_index(typeid(T))];
    list.insert(list.end(), kernels.begin(), kernels.end());
  }
  std::span<const Kernel> list(const Op& op) const;
  // The first kernel that takes the op; null when none does, with the reasons
  // of all in `why`. TREADLE_VERBOSE=dispatch prints them.
  const Kernel* find(const Op& op,
                     std::span<const Spec> in,
                     std::span<const Spec> out,
                     std::string* why = nullptr) const;
  // The last of the list: the oracle that TREADLE_PLAN=off runs.
  const Kernel* reference(const Op& op) const;

 private:
  std::unordered_map<std::type_index, std::vector<Kernel>> lists_;
};

// The table of a device's backend; throws std::runtime_error when this build or
// machine has none.
KernelTable& kernel_table(Device::Type device);

}  // namespace treadle::runtime
