#include "treadle/backend/cpu/shared_library.h"

#include <stdexcept>

#include <dlfcn.h>
#include <fmt/format.h>

namespace treadle::backend::cpu {

void* SharedLibrary::symbol(const char* name) {
  const std::lock_guard lock(mutex_);
  if (!handle_) handle_ = dlopen(file_, RTLD_NOW | RTLD_LOCAL);
  void* found = handle_ ? dlsym(handle_, name) : nullptr;
  if (!found) {
    const char* reason = dlerror();
    throw std::runtime_error(fmt::format(
        "[{}] cannot be loaded: {}; expected {} where Treadle was built or "
        "installed with it, or on the library path.",
        product_,
        reason ? reason : "no reason given",
        file_));
  }
  return found;
}

}  // namespace treadle::backend::cpu
