// A workspace handed out piece by piece.
#pragma once

#include <cstddef>

namespace treadle::backend::cpu {

// Without memory it only counts.
class Space {
 public:
  explicit Space(void* at) : at_(static_cast<char*>(at)) {}
  // 64-byte aligned, if the workspace is.
  char* take(size_t bytes) {
    char* p = at_ ? at_ + used_ : nullptr;
    used_ += (bytes + 63) / 64 * 64;
    return p;
  }
  size_t used() const { return used_; }

 private:
  char* at_;
  size_t used_ = 0;
};

}  // namespace treadle::backend::cpu
