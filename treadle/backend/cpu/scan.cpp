#include "treadle/backend/cpu/scan.h"

#include "treadle/runtime/loop.h"

namespace treadle::backend::cpu {

runtime::Kernel loop_scan() {
  runtime::Kernel k{.name = "loop"};
  k.why_not = [](const Op&, std::span<const Spec>, std::span<const Spec>) {
    return std::string();
  };
  k.prepare = [](const runtime::Task& task) {
    return runtime::prepare_loop(task, Device::Type::cpu);
  };
  k.workspace = runtime::loop_workspace;
  k.run = [](const runtime::Task& task) {
    runtime::run_loop(task, treadle::cpu);
  };
  return k;
}

}  // namespace treadle::backend::cpu
