// A vector of trivially copyable values whose first N live inside the object,
// so that shapes, strides and operand lists of usual size never allocate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <span>
#include <type_traits>

namespace treadle {

template <class T, size_t N>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() = default;
  explicit SmallVector(size_t n, T value = T{}) { assign(n, value); }
  SmallVector(std::initializer_list<T> v) { append(v.begin(), v.end()); }
  template <std::input_iterator It>
  SmallVector(It first, It last) {
    append(first, last);
  }
  SmallVector(const SmallVector& o) { append(o.begin(), o.end()); }
  SmallVector(SmallVector&& o) noexcept { take(o); }
  SmallVector& operator=(const SmallVector& o) {
    if (this != &o) {
      size_ = 0;
      append(o.begin(), o.end());
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& o) noexcept {
    if (this != &o) {
      release();
      take(o);
    }
    return *this;
  }
  ~SmallVector() { release(); }

  T* data() { return heap_ ? heap_ : inline_; }
  const T* data() const { return heap_ ? heap_ : inline_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  auto rbegin() const { return std::reverse_iterator(end()); }
  auto rend() const { return std::reverse_iterator(begin()); }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return data()[0]; }
  const T& front() const { return data()[0]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }
  operator std::span<const T>() const { return {data(), size_}; }

  void reserve(size_t n) {
    if (n <= capacity_) return;
    size_t capacity = std::max<size_t>(n, 2 * capacity_);
    T* p = new T[capacity];
    std::copy(begin(), end(), p);
    delete[] heap_;
    heap_ = p;
    capacity_ = uint32_t(capacity);
  }
  void clear() { size_ = 0; }
  void push_back(T v) {
    if (size_ == capacity_) reserve(size_ + 1);
    data()[size_++] = v;
  }
  void pop_back() { --size_; }
  void assign(size_t n, T value) {
    reserve(n);
    size_ = uint32_t(n);
    std::fill_n(data(), n, value);
  }
  void resize(size_t n, T value = T{}) {
    reserve(n);
    if (n > size_) std::fill(data() + size_, data() + n, value);
    size_ = uint32_t(n);
  }
  void insert(const T* at, T value) {
    size_t i = size_t(at - begin());
    push_back(value);
    std::rotate(begin() + i, end() - 1, end());
  }
  void erase(const T* at) {
    std::copy(at + 1, static_cast<const T*>(end()), begin() + (at - begin()));
    --size_;
  }
  template <std::input_iterator It>
  void append(It first, It last) {
    for (; first != last; ++first) push_back(T(*first));
  }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  void take(SmallVector& o) {
    heap_ = o.heap_;
    size_ = o.size_;
    capacity_ = o.capacity_;
    if (!heap_) std::copy(o.inline_, o.inline_ + size_, inline_);
    o.heap_ = nullptr;
    o.size_ = 0;
    o.capacity_ = N;
  }
  void release() {
    delete[] heap_;
    heap_ = nullptr;
    capacity_ = N;
    size_ = 0;
  }

  T* heap_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  T inline_[N];
};

}  // namespace treadle
