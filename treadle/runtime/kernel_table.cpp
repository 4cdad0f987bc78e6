#include <cstdio>

#include "treadle/base/environment.h"
#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

namespace {

// TREADLE_VERBOSE=dispatch: says for each op which kernel was taken and why the
// faster ones were not.
bool verbose() {
  static const bool on =
      environment("TREADLE_VERBOSE").value_or("").find("dispatch") !=
      std::string::npos;
  return on;
}

}  // namespace

std::span<const Kernel> KernelTable::list(const Op& op) const {
  auto it = lists_.find(std::type_index(typeid(op)));
  if (it == lists_.end()) return {};
  return it->second;
}

const Kernel* KernelTable::find(const Op& op,
                                std::span<const Spec> in,
                                std::span<const Spec> out,
                                std::string* why) const {
  for (const Kernel& k : list(op)) {
    std::string reason = k.why_not ? k.why_not(op, in, out) : "";
    if (reason.empty()) {
      if (verbose()) {
        std::fprintf(stderr,
                     "dispatch %s: %s\n",
                     std::string(op.name()).c_str(),
                     std::string(k.name).c_str());
      }
      return &k;
    }
    if (verbose()) {
      std::fprintf(stderr,
                   "dispatch %s: not %s: %s\n",
                   std::string(op.name()).c_str(),
                   std::string(k.name).c_str(),
                   reason.c_str());
    }
    if (why) {
      why->append(why->empty() ? "" : "; ")
          .append(k.name)
          .append(": ")
          .append(reason);
    }
  }
  return nullptr;
}

const Kernel* KernelTable::reference(const Op& op) const {
  auto kernels = list(op);
  return kernels.empty() ? nullptr : &kernels.back();
}

}  // namespace treadle::runtime
