#include "tests/backend/kernel_call.h"

#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include "treadle/backend/common/walk.h"

namespace treadle::testing {

namespace {

constexpr size_t kGuard = 256;
constexpr unsigned char kMark = 0xff;  // as elements: NaN

double read(const char* at, Dtype dtype) {
  return visit_dtype(dtype, [&]<class T>() -> double {
    T v;
    std::memcpy(&v, at, sizeof(T));
    if constexpr (std::is_same_v<T, complex64_t>) {
      return v.real();
    } else {
      return double(v);
    }
  });
}

void write(char* at, Dtype dtype, double value) {
  visit_dtype(dtype, [&]<class T>() {
    T v = T(float(value));
    if constexpr (std::is_same_v<T, double>) v = value;
    std::memcpy(at, &v, sizeof(T));
  });
}

Tensor empty(const Spec& spec) {
  Tensor t;
  t.spec = spec;
  t.layout.strides = row_major_strides(spec.shape);
  t.memory.resize(size_t(treadle::size_of(spec.shape)) * size_of(spec.dtype));
  return t;
}

// Memory between two guards, 64-byte aligned.
class Guarded {
 public:
  explicit Guarded(size_t bytes)
      : bytes_(bytes), all_(new char[bytes + 2 * kGuard + 64]) {
    std::memset(all_.get(), kMark, bytes + 2 * kGuard + 64);
    auto at = reinterpret_cast<uintptr_t>(all_.get()) + kGuard;
    data_ = reinterpret_cast<char*>((at + 63) / 64 * 64);
  }
  char* data() { return data_; }
  bool intact() const {
    auto marked = [](const char* at, size_t n) {
      for (size_t i = 0; i < n; ++i) {
        if (static_cast<unsigned char>(at[i]) != kMark) return false;
      }
      return true;
    };
    return marked(data_ - kGuard, kGuard) &&
           marked(data_ + bytes_, kGuard - 64);
  }

 private:
  size_t bytes_;
  std::unique_ptr<char[]> all_;
  char* data_;
};

std::vector<Spec> specs_of(const std::vector<Tensor>& in) {
  std::vector<Spec> specs;
  for (const Tensor& t : in) specs.push_back(t.spec);
  return specs;
}

}  // namespace

runtime::Operand Tensor::operand() const {
  runtime::Operand o;
  o.data = const_cast<char*>(memory.data()) +
           layout.offset * int64_t(treadle::size_of(spec.dtype));
  o.dtype = spec.dtype;
  o.shape = spec.shape;
  o.strides = layout.strides;
  o.contiguous = is_row_contiguous(spec.shape, layout.strides);
  return o;
}

std::vector<double> Tensor::values() const {
  std::vector<double> v;
  const runtime::Operand o = operand();
  const int64_t bytes = int64_t(treadle::size_of(spec.dtype));
  for (backend::Rows<1> r(o.shape, {&o.strides, 1}); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i) {
      v.push_back(read(static_cast<const char*>(o.data) +
                           (r.offset(0) + i * r.step(0)) * bytes,
                       spec.dtype));
    }
  }
  return v;
}

Tensor Tensor::transposed(const Axes& axes) const {
  Tensor t = *this;
  for (size_t i = 0; i < axes.size(); ++i) {
    t.spec.shape[i] = spec.shape[size_t(axes[i])];
    t.layout.strides[i] = layout.strides[size_t(axes[i])];
  }
  return t;
}

Tensor Tensor::broadcast(const Shape& shape) const {
  Tensor t = *this;
  t.spec.shape = shape;
  t.layout.strides.assign(shape.size(), 0);
  const size_t lead = shape.size() - spec.shape.size();
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    if (spec.shape[i] == shape[lead + i]) {
      t.layout.strides[lead + i] = layout.strides[i];
    }
  }
  return t;
}

Tensor Tensor::every(int axis, int64_t step) const {
  Tensor t = *this;
  const size_t a = size_t(axis);
  if (step < 0) t.layout.offset += (spec.shape[a] - 1) * layout.strides[a];
  t.spec.shape[a] = (spec.shape[a] + std::abs(step) - 1) / std::abs(step);
  t.layout.strides[a] *= step;
  return t;
}

Tensor tensor(Dtype dtype,
              const Shape& shape,
              const std::function<double(int64_t)>& f) {
  Tensor t = empty({shape, dtype});
  for (int64_t i = 0; i < t.size(); ++i) {
    write(t.memory.data() + i * int64_t(size_of(dtype)), dtype, f(i));
  }
  return t;
}

Tensor tensor(Dtype dtype, const Shape& shape, const std::vector<double>& v) {
  EXPECT_EQ(int64_t(v.size()), treadle::size_of(shape));
  return tensor(dtype, shape, [&](int64_t i) { return v[size_t(i)]; });
}

Tensor integers(Dtype dtype, const Shape& shape, unsigned seed, int limit) {
  std::mt19937 gen(seed);
  std::uniform_int_distribution<int> number(-limit, limit);
  return tensor(dtype, shape, [&](int64_t) { return number(gen); });
}

Tensor normal(Dtype dtype, const Shape& shape, unsigned seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<double> number;
  return tensor(dtype, shape, [&](int64_t) { return number(gen); });
}

Tensor absolute(const Tensor& x) {
  const std::vector<double> v = x.values();
  return tensor(x.spec.dtype, x.spec.shape, [&](int64_t i) {
    return std::abs(v[size_t(i)]);
  });
}

std::vector<Tensor> call(const runtime::Kernel& kernel,
                         const Op& op,
                         const std::vector<Tensor>& in,
                         int threads) {
  std::vector<runtime::Operand> ins, outs;
  std::vector<Tensor> copies;
  copies.reserve(in.size());
  for (const Tensor& t : in) {
    runtime::Operand o = t.operand();
    if (!o.contiguous && !kernel.strided) {
      const std::vector<double> v = t.values();
      copies.push_back(tensor(t.spec.dtype, t.spec.shape, v));
      o = copies.back().operand();
    }
    ins.push_back(o);
  }
  std::vector<Tensor> results;
  std::vector<Guarded> memory;
  for (const Spec& s : op.infer(specs_of(in))) {
    results.push_back(empty(s));
    memory.emplace_back(results.back().memory.size());
    runtime::Operand o = results.back().operand();
    o.data = memory.back().data();
    outs.push_back(o);
  }
  runtime::Task task{op, ins, outs, {}, nullptr, threads};
  Guarded workspace(kernel.workspace ? kernel.workspace(task) : 0);
  task.workspace = workspace.data();
  kernel.run(task);
  EXPECT_TRUE(workspace.intact()) << kernel.name << " left its workspace";
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_TRUE(memory[i].intact()) << kernel.name << " left its output " << i;
    if (!results[i].memory.empty()) {
      std::memcpy(
          results[i].memory.data(), memory[i].data(), results[i].memory.size());
    }
  }
  return results;
}

std::string why_not(const runtime::Kernel& kernel,
                    const Op& op,
                    const std::vector<Tensor>& in) {
  const std::vector<Spec> specs = specs_of(in);
  return kernel.why_not ? kernel.why_not(op, specs, op.infer(specs)) : "";
}

}  // namespace treadle::testing
