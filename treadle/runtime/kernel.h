// The interface between plans and backends: what a kernel is, what it is given,
// and the table that lists the kernels of each op, fastest first.
#pragma once

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

// One call of a kernel.
struct Task {
  const Op& op;
  std::span<const Operand> in;
  std::span<const Operand> out;  // data null: the output is not wanted
  Shape space;                   // of a Fused op
  void* workspace = nullptr;     // as many bytes as workspace() said
  int threads = 1;               // at most this many may compute
};

struct Kernel {
  std::string_view name;  // "onednn::matmul"
  // "" when the kernel takes the op on these inputs, else the reason.
  std::string (*why_not)(const Op& op,
                         std::span<const Spec> in,
                         std::span<const Spec> out) = nullptr;
  void (*run)(const Task& task) = nullptr;
  // Scratch bytes for a call, 64-byte aligned; null: none.
  size_t (*workspace)(const Task& task) = nullptr;
  // False: inputs must be row-contiguous, the planner copies others.
  bool strided = false;
  // Output 0 may lie in the memory of an input of the same size and dtype, if
  // that input is read only at the positions already written or later.
  bool in_place = false;
};

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
