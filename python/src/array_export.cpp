// Memory shared with NumPy, DLPack and the buffer protocol, out and in. What is
// shared is held: an export holds the array, so no operation takes its memory
// over; an import holds the other library's object and is never written.
#include <cstring>
#include <mutex>
#include <vector>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

#include "array.h"
#include "dlpack.h"

namespace treadle::python {

namespace {

// --- Out -------------------------------------------------------------------

// What an export keeps alive, with the numbers that its description points to.
struct Export {
  array source;
  std::vector<int64_t> shape,
      strides;  // in elements for DLPack, bytes for buffers
  const void* data;

  Export(const array& x, int64_t unit) : source(x), data(host_data(x)) {
    shape.assign(x.shape().begin(), x.shape().end());
    for (int64_t s : x.layout().strides) strides.push_back(s * unit);
  }
};

// The struct module's letter; null when it has none.
const char* format_of(Dtype d) {
  switch (d) {
    case bool_:
      return "?";
    case uint8:
      return "B";
    case uint16:
      return "H";
    case uint32:
      return "I";
    case uint64:
      return "Q";
    case int8:
      return "b";
    case int16:
      return "h";
    case int32:
      return "i";
    case int64:
      return "q";
    case float16:
      return "e";
    case float32:
      return "f";
    case float64:
      return "d";
    case complex64:
      return "Zf";
    case bfloat16:
      break;
  }
  return nullptr;
}

dlpack::DataType dlpack_type(Dtype d) {
  uint8_t code = d == bool_             ? dlpack::kBool
                 : is_unsigned(d)       ? dlpack::kUInt
                 : is_signed_integer(d) ? dlpack::kInt
                 : d == bfloat16        ? dlpack::kBfloat
                 : d == complex64       ? dlpack::kComplex
                                        : dlpack::kFloat;
  return {code, uint8_t(8 * size_of(d)), 1};
}

void describe(dlpack::Tensor* t, Export* e) {
  t->data = const_cast<void*>(e->data);
  t->device = {dlpack::kCPU, 0};
  t->ndim = int32_t(e->shape.size());
  t->dtype = dlpack_type(e->source.dtype());
  t->shape = e->shape.data();
  t->strides = e->strides.data();
  t->byte_offset = 0;
}

// A capsule that nobody took still owns its tensor.
template <class Managed>
nb::object to_capsule(Export* e, const char* name, Managed m) {
  describe(&m.tensor, e);
  m.context = e;
  m.deleter = [](Managed* self) {
    delete static_cast<Export*>(self->context);
    delete self;
  };
  auto* owned = new Managed(m);
  PyObject* c = PyCapsule_New(owned, name, [](PyObject* capsule) {
    const char* now = PyCapsule_GetName(capsule);
    if (now && std::strncmp(now, "used", 4) == 0) return;
    auto* unused = static_cast<Managed*>(PyCapsule_GetPointer(capsule, now));
    unused->deleter(unused);
  });
  if (!c) {
    owned->deleter(owned);
    throw nb::python_error();
  }
  return nb::steal(c);
}

nb::object to_dlpack(const array& x,
                     nb::handle max_version,
                     nb::handle device,
                     nb::handle copy) {
  if (!device.is_none()) {
    nb::tuple want = nb::cast<nb::tuple>(device);
    if (nb::cast<int>(want[0]) != dlpack::kCPU) {
      throw nb::buffer_error(
          "the array is in the CPU's memory; another device was asked for.");
    }
  }
  array shared = !copy.is_none() && nb::cast<bool>(copy)
                     ? record(Contiguous{}, {x}, resolve({}))
                     : x;
  auto* e = new Export(shared, 1);
  bool versioned = !max_version.is_none() &&
                   nb::cast<int>(nb::cast<nb::tuple>(max_version)[0]) >= 1;
  if (!versioned) {
    return to_capsule(e, "dltensor", dlpack::Managed{});
  }
  dlpack::ManagedVersioned m{};
  m.version = {1, 0};
  m.flags = dlpack::kReadOnly;
  return to_capsule(e, "dltensor_versioned", m);
}

nb::object to_numpy(nb::handle self, nb::handle dtype, nb::handle copy) {
  const array& x = array_of(self);
  if (x.dtype() == bfloat16) {
    throw nb::type_error(
        "bfloat16 arrays cannot be converted to NumPy, which has no "
        "such type; use astype(float32) first.");
  }
  nb::object numpy = nb::module_::import_("numpy");
  nb::object view = nb::steal(PyMemoryView_FromObject(self.ptr()));
  if (!view) throw nb::python_error();
  nb::object shared = numpy.attr("asarray")(view);
  if (copy.is_none() && dtype.is_none()) return shared;
  nb::object keep = copy.is_none() ? nb::cast(false) : nb::borrow(copy);
  if (dtype.is_none())
    return nb::cast<bool>(keep) ? shared.attr("copy")() : shared;
  return shared.attr("astype")(dtype, nb::arg("copy") = keep);
}

// --- In --------------------------------------------------------------------

// Imported memory goes back to its library with the interpreter's lock held,
// which whoever drops the last array may not have: the interpreter is asked to
// empty this queue when it comes by.
struct ReturnQueue {
  std::mutex mutex;
  std::vector<nb::object> owners;
  bool asked = false;
  bool closed = false;  // the interpreter is ending: nothing goes back
};

ReturnQueue& return_queue() {
  static auto* q = new ReturnQueue;
  return *q;
}

int drain_returns(void*) {
  ReturnQueue& q = return_queue();
  std::vector<nb::object> owners;
  {
    std::lock_guard lock(q.mutex);
    owners.swap(q.owners);
    q.asked = false;
  }
  return 0;  // dropping `owners` may run Python code: outside the lock
}

void give_back(Buffer* b) {
  PyObject* owner = static_cast<PyObject*>(b->owner);
  delete b;
  ReturnQueue& q = return_queue();
  std::lock_guard lock(q.mutex);
  if (q.closed) return;
  q.owners.push_back(nb::steal(owner));
  if (!q.asked) q.asked = Py_AddPendingCall(drain_returns, nullptr) == 0;
}

BufferPtr imported_buffer(void* data, size_t bytes, nb::object owner) {
  auto* b = new Buffer;
  b->writable = false;
  b->device = cpu;
  b->data = data;
  b->bytes = bytes;
  b->release = give_back;
  b->owner = owner.release().ptr();
  return BufferPtr(b);
}

// Memory described by shape and strides (in elements; null: row order).
struct Foreign {
  const void* data;
  Dtype dtype;
  Shape shape;
  Strides strides;

  bool aligned() const {
    return reinterpret_cast<uintptr_t>(data) %
               std::min<size_t>(size_of(dtype), 8) ==
           0;
  }
  bool shareable() const {
    for (int64_t s : strides) {
      if (s < 0) return false;
    }
    return aligned();
  }
  size_t extent() const {
    int64_t last = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0) return 0;
      last += (shape[i] - 1) * strides[i];
    }
    return size_t(last + 1) * size_of(dtype);
  }
};

void copy_along(const Foreign& f, size_t axis, const char* from, char*& to) {
  size_t item = size_of(f.dtype);
  if (axis == f.shape.size()) {
    std::memcpy(to, from, item);
    to += item;
    return;
  }
  if (axis + 1 == f.shape.size() && f.strides[axis] == 1) {
    std::memcpy(to, from, size_t(f.shape[axis]) * item);
    to += size_t(f.shape[axis]) * item;
    return;
  }
  for (int64_t i = 0; i < f.shape[axis]; ++i) {
    copy_along(f, axis + 1, from + i * f.strides[axis] * int64_t(item), to);
  }
}

array copy_in(const Foreign& f) {
  if (is_row_contiguous(f.shape, f.strides)) {
    return array::from_bytes(f.data, f.shape, f.dtype);
  }
  std::vector<char> bytes(size_t(size_of(f.shape)) * size_of(f.dtype));
  char* to = bytes.data();
  copy_along(f, 0, static_cast<const char*>(f.data), to);
  return array::from_bytes(bytes.data(), f.shape, f.dtype);
}

array share(const Foreign& f, nb::object owner) {
  BufferPtr buffer =
      imported_buffer(const_cast<void*>(f.data), f.extent(), std::move(owner));
  return make_leaf(
      Spec{f.shape, f.dtype}, Layout{f.strides, 0}, std::move(buffer), cpu);
}

std::optional<Dtype> dtype_of_format(const char* format, Py_ssize_t itemsize) {
  if (!format) format = "B";
  if (*format == '@' || *format == '=') ++format;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (*format == '<') ++format;
#endif
  auto sized = [&](std::initializer_list<Dtype> kinds) -> std::optional<Dtype> {
    for (Dtype d : kinds) {
      if (Py_ssize_t(size_of(d)) == itemsize) return d;
    }
    return {};
  };
  std::string_view f(format);
  if (f == "?") return bool_;
  if (f == "e" || f == "f" || f == "d")
    return sized({float16, float32, float64});
  if (f == "Zf") return complex64;
  if (f.size() == 1 && std::strchr("bhilqn", f[0]))
    return sized({int8, int16, int32, int64});
  if (f.size() == 1 && std::strchr("cBHILQN", f[0])) {
    return sized({uint8, uint16, uint32, uint64});
  }
  return {};
}

class BufferView {
 public:
  explicit BufferView(PyObject* o) {
    held_ = PyObject_GetBuffer(o, &view_, PyBUF_STRIDES | PyBUF_FORMAT) == 0;
    if (!held_) PyErr_Clear();
  }
  ~BufferView() {
    if (held_) PyBuffer_Release(&view_);
  }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  const Py_buffer* operator->() const { return &view_; }
  explicit operator bool() const { return held_; }

 private:
  Py_buffer view_;
  bool held_;
};

// False when the elements are of a type that arrays do not have.
bool describe(const BufferView& view, Foreign* f) {
  std::optional<Dtype> d = dtype_of_format(view->format, view->itemsize);
  if (!d) return false;
  f->data = view->buf;
  f->dtype = *d;
  for (int i = 0; i < view->ndim; ++i) {
    f->shape.push_back(view->shape[i]);
    if (view->strides[i] % view->itemsize != 0) return false;
    f->strides.push_back(view->strides[i] / view->itemsize);
  }
  return true;
}

std::optional<Dtype> dtype_of(dlpack::DataType t) {
  if (t.lanes != 1) return {};
  for (int i = 0; i < kNumDtypes; ++i) {
    Dtype d = static_cast<Dtype>(i);
    dlpack::DataType have = dlpack_type(d);
    if (have.code == t.code && have.bits == t.bits) return d;
  }
  return {};
}

Foreign describe(const dlpack::Tensor& t) {
  if (t.device.type != dlpack::kCPU && t.device.type != dlpack::kCUDAHost) {
    throw nb::buffer_error("only memory of the CPU can be imported.");
  }
  std::optional<Dtype> d = dtype_of(t.dtype);
  if (!d)
    throw nb::buffer_error(
        "the elements are of a type that arrays do not have.");
  Foreign f{static_cast<const char*>(t.data) + t.byte_offset, *d, {}, {}};
  for (int32_t i = 0; i < t.ndim; ++i) f.shape.push_back(t.shape[i]);
  if (t.strides) {
    for (int32_t i = 0; i < t.ndim; ++i) f.strides.push_back(t.strides[i]);
  } else {
    f.strides = row_major_strides(f.shape);
  }
  return f;
}

// Takes the tensor out of its capsule; the result is a capsule that frees it.
template <class Managed>
nb::object take(nb::handle capsule,
                const char* name,
                const char* used,
                const dlpack::Tensor** tensor) {
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (!m) throw nb::python_error();
  nb::object owner = nb::steal(PyCapsule_New(m, "treadle", [](PyObject* c) {
    auto* held = static_cast<Managed*>(PyCapsule_GetPointer(c, "treadle"));
    if (held->deleter) held->deleter(held);
  }));
  if (!owner) throw nb::python_error();
  PyCapsule_SetName(capsule.ptr(), used);
  *tensor = &m->tensor;
  return owner;
}

nb::object export_of(nb::handle x) {
  try {
    return x.attr("__dlpack__")(nb::arg("max_version") = nb::make_tuple(1, 0));
  } catch (nb::python_error& e) {
    if (!e.matches(PyExc_TypeError)) throw;
  }
  return x.attr("__dlpack__")();
}

array from_dlpack(nb::handle x, std::optional<bool> copy) {
  nb::object capsule =
      PyCapsule_CheckExact(x.ptr()) ? nb::borrow(x) : export_of(x);
  const dlpack::Tensor* t = nullptr;
  const char* name = PyCapsule_GetName(capsule.ptr());
  bool versioned = name && std::strcmp(name, "dltensor_versioned") == 0;
  nb::object owner =
      versioned
          ? take<dlpack::ManagedVersioned>(
                capsule, name, "used_dltensor_versioned", &t)
          : take<dlpack::Managed>(capsule, "dltensor", "used_dltensor", &t);
  Foreign f = describe(*t);
  if (copy.value_or(!f.shareable())) return copy_in(f);
  if (!f.shareable()) {
    invalid("from_dlpack",
            "this memory cannot be shared (unaligned or with negative "
            "strides); pass copy=True.");
  }
  return share(f, std::move(owner));
}

array asarray(nb::handle a,
              std::optional<Dtype> dtype,
              std::optional<bool> copy) {
  if (is_array(a)) {
    const array& x = array_of(a);
    bool same = !dtype || *dtype == x.dtype();
    if (copy.value_or(false) && same)
      return record(Contiguous{}, {x}, resolve({}));
    if (!same && copy && !*copy) {
      invalid("asarray",
              "a conversion to " + std::string(name_of(*dtype)) +
                  " needs a copy, but copy=False.");
    }
    return same ? x : astype(x, *dtype);
  }
  if (!copy || *copy) return make_array(a, dtype);
  if (!nb::hasattr(a, "__dlpack__")) {
    invalid("asarray", "copy=False needs an object with __dlpack__.");
  }
  array x = from_dlpack(a, false);
  if (dtype && *dtype != x.dtype()) {
    invalid("asarray",
            "the memory holds " + std::string(name_of(x.dtype())) +
                "; a conversion to " + std::string(name_of(*dtype)) +
                " needs a copy, but copy=False.");
  }
  return x;
}

}  // namespace

bool load_foreign(nb::handle value, std::optional<Dtype> dtype, array* to) {
  PyObject* o = value.ptr();
  if (PyList_Check(o) || PyTuple_Check(o) || PyUnicode_Check(o) ||
      o == Py_None) {
    return false;
  }
  if (PyObject_CheckBuffer(o)) {
    BufferView view(o);
    Foreign f;
    if (view && describe(view, &f)) {
      *to = copy_in(f);
      if (!dtype && f.dtype == float64) dtype = float32;  // as Python floats do
      if (dtype && *dtype != to->dtype()) *to = astype(*to, *dtype);
      return true;
    }
  }
  if (nb::hasattr(value, "__mlx_array__")) {
    nb::object made = value.attr("__mlx_array__")();
    if (!is_array(made))
      throw nb::type_error("__mlx_array__ returned no array.");
    *to = dtype ? astype(array_of(made), *dtype) : array_of(made);
    return true;
  }
  if (!nb::hasattr(value, "__dlpack__")) return false;
  try {
    *to = from_dlpack(value, true);
  } catch (nb::python_error& e) {
    if (!e.matches(PyExc_BufferError)) throw;
    return false;  // elements of a type that arrays do not have
  }
  if (dtype && *dtype != to->dtype()) *to = astype(*to, *dtype);
  return true;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  return slot(
      [&] {
        const array& x = array_of(self);
        const char* format = format_of(x.dtype());
        if (!format) {
          throw nb::buffer_error(
              "the buffer protocol has no bfloat16; use "
              "astype(float32) first.");
        }
        auto e = std::make_unique<Export>(x, int64_t(x.itemsize()));
        bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
        bool contiguous = is_row_contiguous(x.shape(), x.layout().strides);
        bool rows_wanted =
            (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS ||
            (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS;
        if (!contiguous && (!strided || rows_wanted)) {
          throw nb::buffer_error("the array is not contiguous in row order.");
        }
        static int64_t none = 0;
        view->buf = const_cast<void*>(e->data);
        view->obj = self;
        Py_INCREF(self);
        view->len = Py_ssize_t(x.nbytes());
        view->readonly = 0;
        view->itemsize = Py_ssize_t(x.itemsize());
        view->format =
            (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
        view->ndim = x.ndim();
        static_assert(sizeof(Py_ssize_t) == sizeof(int64_t));
        auto as_sizes = [](std::vector<int64_t>& v) {
          return reinterpret_cast<Py_ssize_t*>(v.empty() ? &none : v.data());
        };
        view->shape = (flags & PyBUF_ND) ? as_sizes(e->shape) : nullptr;
        view->strides = strided ? as_sizes(e->strides) : nullptr;
        view->suboffsets = nullptr;
        view->internal = e.release();
        return 0;
      },
      -1);
}

void release_buffer(PyObject*, Py_buffer* view) {
  delete static_cast<Export*>(view->internal);
}

void bind_exports(nb::module_& m, ArrayClass& c) {
  c.def(
       "__dlpack__",
       [](const array& x,
          nb::object stream,
          nb::object max_version,
          nb::object dl_device,
          nb::object copy) {
         if (!stream.is_none()) {
           throw nb::buffer_error(
               "memory of the CPU belongs to no stream; pass stream=None.");
         }
         return to_dlpack(x, max_version, dl_device, copy);
       },
       nb::kw_only(),
       nb::arg("stream") = nb::none(),
       nb::arg("max_version") = nb::none(),
       nb::arg("dl_device") = nb::none(),
       nb::arg("copy") = nb::none(),
       "A DLPack capsule that shares the array's memory, for reading.")
      .def("__dlpack_device__",
           [](const array&) { return nb::make_tuple(int(dlpack::kCPU), 0); })
      .def("__array__",
           &to_numpy,
           nb::arg("dtype") = nb::none(),
           nb::arg("copy") = nb::none(),
           "As a NumPy array, which shares the memory.");
  m.def(
      "from_dlpack",
      &from_dlpack,
      nb::arg("x"),
      nb::kw_only(),
      nb::arg("copy") = nb::none(),
      "An array that shares the memory of an object with __dlpack__; copy=True "
      "copies it. Operations never write into shared memory.");
  m.def("asarray",
        &asarray,
        nb::arg("a"),
        nb::arg("dtype") = nb::none(),
        nb::kw_only(),
        nb::arg("copy") = nb::none(),
        "An array from anything that array() takes. copy=False shares the "
        "memory of an "
        "object with __dlpack__, or raises ValueError.");
}

void close_returns() {
  drain_returns(nullptr);
  std::lock_guard lock(return_queue().mutex);
  return_queue().closed = true;
}

}  // namespace treadle::python
