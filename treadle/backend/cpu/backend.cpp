#include "treadle/backend/cpu/backend.h"

#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/team.h"

namespace treadle::backend::cpu {

namespace {

// From this size on blocks are mapped on their own, on huge pages if the system
// has them: a fresh 64 MB of small pages costs more to fault in than to fill.
constexpr size_t kHuge = size_t(2) << 20;

class CpuBackend : public runtime::Backend {
 public:
  CpuBackend() { register_kernels(table_); }
  int device_count() const override { return 1; }

  void* allocate(size_t bytes, int) override {
    if (bytes < kHuge) return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    // Map more than asked, and cut to a huge page's boundary.
    size_t size = mapped(bytes);
    void* p = mmap(nullptr,
                   size + kHuge,
                   PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1,
                   0);
    if (p == MAP_FAILED) return nullptr;
    char* from = static_cast<char*>(p);
    auto aligned =
        (reinterpret_cast<uintptr_t>(from) + kHuge - 1) / kHuge * kHuge;
    char* at = reinterpret_cast<char*>(aligned);
    if (at > from) munmap(from, size_t(at - from));
    size_t tail = size_t(from + size + kHuge - (at + size));
    if (tail) munmap(at + size, tail);
    madvise(at, size, MADV_HUGEPAGE);
    return at;
  }

  void free(void* memory, size_t bytes, int) override {
    if (bytes < kHuge) {
      std::free(memory);
    } else {
      munmap(memory, mapped(bytes));
    }
  }

  void copy_in(void* to, const void* host, size_t bytes, int) override {
    std::memcpy(to, host, bytes);
  }
  void copy_out(void* host, const void* from, size_t bytes, int) override {
    std::memcpy(host, from, bytes);
  }
  runtime::KernelTable& kernels() override { return table_; }
  int threads() const override { return max_threads(); }
  void dissolve_team() override { Team::get().dissolve(); }

 private:
  static size_t mapped(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }
  runtime::KernelTable table_;
};

}  // namespace

runtime::Backend& backend() {
  static auto* b = new CpuBackend;
  return *b;
}

}  // namespace treadle::backend::cpu
