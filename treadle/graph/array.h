// array: a handle to one output of a node in the lazy graph. Copying a handle
// copies no data; an array never changes its value.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "treadle/base/device.h"
#include "treadle/base/scalar.h"
#include "treadle/base/shape.h"
#include "treadle/graph/buffer.h"

namespace treadle {

struct Node;
struct Output;

class array {
 public:
  // The null array: stands for "none". What is read of it, but for null(),
  // throws std::invalid_argument.
  array() = default;
  array(const array& o);
  array(array&& o) noexcept : out_(std::exchange(o.out_, nullptr)) {}
  array& operator=(const array& o) {
    array(o).swap(*this);
    return *this;
  }
  array& operator=(array&& o) noexcept {
    array(std::move(o)).swap(*this);
    return *this;
  }
  ~array() {
    if (out_) release();
  }
  void swap(array& o) noexcept { std::swap(out_, o.out_); }

  // A scalar (shape ()), of the value's default dtype or of `dtype`.
  template <class T>
  requires std::is_arithmetic_v<T> array(T value)
      : array(Scalar(value), Scalar(value).default_dtype()) {}
  array(complex64_t value) : array(Scalar(value), complex64) {}
  array(Scalar value, Dtype dtype);

  // Copies `values`, in row order.
  template <class T>
  requires(!std::is_same_v<T, array>) array(std::initializer_list<T> values)
      : array(from(values.begin(), {int64_t(values.size())})) {}
  template <class T>
  array(std::initializer_list<T> values, const Shape& shape)
      : array(from(values.begin(), shape, values.size())) {}

  // Copies size_of(shape) elements starting at `values`, in row order. With
  // `count` given, throws std::invalid_argument when it is another number.
  template <class T>
  static array from(const T* values,
                    const Shape& shape,
                    std::optional<size_t> count = {}) {
    return from_bytes(values, shape, dtype_of<T>, count);
  }
  static array from_bytes(const void* values,
                          const Shape& shape,
                          Dtype dtype,
                          std::optional<size_t> count = {});
  // Takes memory that already holds the values in row order from `offset`
  // (counted in elements) on.
  static array from_buffer(BufferPtr buffer,
                           const Shape& shape,
                           Dtype dtype,
                           int64_t offset = 0);

  bool null() const { return out_ == nullptr; }

  const Spec& spec() const { return known("spec"); }
  const Shape& shape() const { return known("shape").shape; }
  // Length of one axis; a negative axis counts from the end.
  int64_t shape(int axis) const;
  Dtype dtype() const { return known("dtype").dtype; }
  int ndim() const { return int(known("ndim").shape.size()); }
  int64_t size() const { return size_of(known("size").shape); }
  size_t itemsize() const { return size_of(known("itemsize").dtype); }
  size_t nbytes() const {
    const Spec& s = known("nbytes");
    return size_t(size_of(s.shape)) * size_of(s.dtype);
  }

  // Computes the value now, with all that it depends on. Throws what a kernel
  // threw. Defined in runtime/.
  void eval() const;
  // True once the value is computed.
  bool is_available() const;
  // The value of a one-element array; evaluates.
  template <class T>
  T item() const {
    T v;
    item_bytes(&v, dtype_of<T>);
    return v;
  }
  // The elements in memory; evaluates. Element i of the flattened array is at
  // data[i] only if the array is row-contiguous (see layout()). T must be the
  // dtype's type.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(data_bytes(dtype_of<T>));
  }
  // All elements in row order, converted to T; evaluates.
  template <class T>
  std::vector<T> to_vector() const {
    std::vector<T> v(size_t(size_of(known("to_vector").shape)));
    copy_to(v.data(), dtype_of<T>);
    return v;
  }
  // Strides and offset of an evaluated array.
  const Layout& layout() const;

  // For the library's own walkers.
  explicit array(Output* out);  // adds a count
  Output* output() const { return out_; }
  Node* node() const;
  friend bool same_array(const array& a, const array& b) {
    return a.out_ == b.out_;
  }

 private:
  // The spec; `call` is named when there is none.
  const Spec& known(const char* call) const;
  [[noreturn]] static void refuse(const char* call);
  void release();
  void item_bytes(void* to, Dtype dtype) const;
  const void* data_bytes(Dtype dtype) const;
  void copy_to(void* to, Dtype dtype) const;

  Output* out_ = nullptr;
};

using Arrays = std::vector<array>;

// Computes all of them, together. Throws what a kernel threw.
void eval(std::span<const array> arrays);
inline void eval(std::initializer_list<array> arrays) {
  eval(std::span<const array>(arrays.begin(), arrays.size()));
}
// Starts computing and returns; a later use of a value waits for it.
void async_eval(std::span<const array> arrays);

}  // namespace treadle

// The inline halves: a handle is two words away from its shape.
#include "treadle/graph/node.h"  // IWYU pragma: export
