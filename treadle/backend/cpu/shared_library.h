// Libraries that are loaded when they are first called: a program that makes
// no matrix product pays neither the time nor the memory of oneDNN.
#pragma once

#include <atomic>
#include <mutex>

namespace treadle::backend::cpu {

// Found as the dynamic linker finds what this library is linked to. Stays
// loaded until the process ends. Thread-safe.
class SharedLibrary {
 public:
  constexpr SharedLibrary(const char* product, const char* file)
      : product_(product), file_(file) {}
  // Throws std::runtime_error with the linker's reason.
  void* symbol(const char* name);

 private:
  const char* product_;
  const char* file_;
  std::mutex mutex_;
  void* handle_ = nullptr;
};

// A C function of such a library, called like the function itself.
template <class Signature>
class Imported;

template <class R, class... A>
class Imported<R(A...)> {
 public:
  constexpr Imported(SharedLibrary& library, const char* name)
      : library_(library), name_(name) {}

  R operator()(A... a) const {
    auto* f = f_.load(std::memory_order_relaxed);
    if (!f) {
      f = reinterpret_cast<R (*)(A...)>(library_.symbol(name_));
      f_.store(f, std::memory_order_relaxed);
    }
    return f(a...);
  }

 private:
  SharedLibrary& library_;
  const char* name_;
  mutable std::atomic<R (*)(A...)> f_{nullptr};
};

}  // namespace treadle::backend::cpu
