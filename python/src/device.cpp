// Devices and streams.
#include "treadle/base/device.h"

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/eval.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

namespace {

// `with stream(s):` operations without a stream use s.
struct StreamContext {
  StreamOrDevice to;
  std::unique_ptr<StreamScope> scope;
  Device outer_device;
};

bool load_device(nb::handle h, Device* to) {
  if (nb::isinstance<Device>(h)) {
    *to = *nb::inst_ptr<Device>(h);
    return true;
  }
  if (nb::isinstance<Device::Type>(h)) {
    *to = Device{nb::cast<Device::Type>(h), 0};
    return true;
  }
  return false;
}

Device to_device(nb::handle h) {
  Device d;
  if (!load_device(h, &d)) {
    PyErr_Format(PyExc_TypeError,
                 "expected a Device or DeviceType, got %s.",
                 Py_TYPE(h.ptr())->tp_name);
    throw nb::python_error();
  }
  return d;
}

int device_count(Device::Type type) {
  return runtime::has_backend(type) ? runtime::backend(type).device_count() : 0;
}

bool is_available(Device d) {
  return d.index >= 0 && d.index < device_count(d.type);
}

// A device of this machine.
Device present(nb::handle h, const char* op) {
  const Device d = to_device(h);
  if (!is_available(d)) invalid(op, "there is no " + to_string(d) + ".");
  return d;
}

// The first "key : value" line of a /proc file.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    size_t at = line.find_first_not_of(" \t:", key.size());
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}

nb::dict device_info(Device d) {
  if (!is_available(d)) {
    invalid("device_info", "there is no " + to_string(d) + ".");
  }
  nb::dict info;
#if defined(__x86_64__)
  info["architecture"] = "x86_64";
#elif defined(__aarch64__)
  info["architecture"] = "aarch64";
#else
  info["architecture"] = "unknown";
#endif
  info["device_name"] = proc_value("/proc/cpuinfo", "model name");
  std::string memory = proc_value("/proc/meminfo", "MemTotal");
  if (!memory.empty()) info["memory_size"] = std::stoll(memory) * 1024;
  return info;
}

}  // namespace

Stream ThreadLocalStream::here() const {
  thread_local std::unordered_map<int, Stream> streams;
  auto it = streams.find(id);
  if (it == streams.end()) it = streams.emplace(id, new_stream(device)).first;
  return it->second;
}

void bind_device(nb::module_& m) {
  // MLX compares a DeviceType with a Device; both directions end here.
  auto equal = [](nb::handle a, nb::handle b) {
    Device x, y;
    return load_device(a, &x) && load_device(b, &y) && x == y;
  };
  nb::class_<Device> device(m, "Device", "Where operations run.");
  nb::enum_<Device::Type> type(m, "DeviceType", "Kinds of devices.");
  type.value("cpu", Device::Type::cpu).value("gpu", Device::Type::gpu);
  m.attr("cpu") = nb::cast(Device::Type::cpu);
  m.attr("gpu") = nb::cast(Device::Type::gpu);
  type.attr("__eq__") = nb::cpp_function(equal,
                                         nb::is_method(),
                                         nb::scope(type),
                                         nb::name("__eq__"),
                                         nb::arg().none());
  type.attr("__hash__") = nb::cpp_function(
      [](nb::handle t) { return int(nb::cast<Device::Type>(t)); },
      nb::is_method(),
      nb::scope(type),
      nb::name("__hash__"));
  device
      .def(
          "__init__",
          [](Device* d, Device::Type type, int index) {
            new (d) Device{type, index};
          },
          nb::arg("type"),
          nb::arg("index") = 0)
      .def_ro("type", &Device::type, "Its kind.")
      .def_ro("index", &Device::index, "Its number among those of its kind.")
      .def("__repr__", [](const Device& d) { return to_string(d); })
      .def("__eq__", equal, nb::arg().none())
      .def("__hash__",
           [](const Device& d) {
             return d.index == 0 ? int(d.type) : 2 + d.index;
           })
      .def("__reduce__", [](nb::handle self) {
        const Device& d = *nb::inst_ptr<Device>(self);
        return nb::make_tuple(self.type(), nb::make_tuple(d.type, d.index));
      });

  nb::class_<Stream>(m, "Stream", "A queue of operations on a device.")
      .def_ro("device", &Stream::device, "Its device.")
      .def_ro("index", &Stream::index, "Its number.")
      .def("__repr__", [](const Stream& s) { return to_string(s); })
      .def(
          "__eq__",
          [](const Stream& s, nb::handle o) {
            return nb::isinstance<Stream>(o) && *nb::inst_ptr<Stream>(o) == s;
          },
          nb::arg().none())
      .def("__hash__", [](const Stream& s) { return s.index; });
  nb::class_<ThreadLocalStream>(
      m,
      "ThreadLocalStream",
      "A stream of its own for each thread that uses it.")
      .def_ro("device", &ThreadLocalStream::device, "Its device.")
      .def("__repr__",
           [](const ThreadLocalStream& s) {
             return "ThreadLocalStream(" + to_string(s.device) + ")";
           })
      .def(
          "__eq__",
          [](const ThreadLocalStream& s, nb::handle o) {
            return nb::isinstance<ThreadLocalStream>(o) &&
                   nb::inst_ptr<ThreadLocalStream>(o)->id == s.id;
          },
          nb::arg().none())
      .def("__hash__", [](const ThreadLocalStream& s) { return s.id; });

  m.def("default_device",
        &default_device,
        "The device of operations without one.");
  m.def(
      "set_default_device",
      [](nb::handle h) {
        set_default_device(present(h, "set_default_device"));
      },
      nb::arg("device"),
      "Sets the device of operations without one.");
  m.def(
      "is_available",
      [](nb::handle h) { return is_available(to_device(h)); },
      nb::arg("device"),
      "True when this machine and this build have the device.");
  m.def("device_count",
        &device_count,
        nb::arg("device_type"),
        "How many devices of a kind there are.");
  m.def(
      "device_info",
      [](nb::handle h) {
        return device_info(h.is_none() ? default_device() : to_device(h));
      },
      nb::arg("d") = nb::none(),
      "Name, architecture and memory of a device.");

  m.def(
      "default_stream",
      [](nb::handle d) { return default_stream(present(d, "default_stream")); },
      nb::arg("device"),
      "The stream of a device's operations without one.");
  m.def("set_default_stream",
        &set_default_stream,
        nb::arg("stream"),
        "Makes it the default stream of its device.");
  m.def(
      "new_stream",
      [](nb::handle d) { return new_stream(present(d, "new_stream")); },
      nb::arg("device"),
      "Another stream on a device.");
  m.def(
      "new_thread_unsafe_stream",
      [](nb::handle d) {
        return new_stream(present(d, "new_thread_unsafe_stream"));
      },
      nb::arg("device"),
      "Another stream on a device; any stream serves all threads.");
  m.def(
      "new_thread_local_stream",
      [](nb::handle d) {
        static std::atomic<int> next{0};
        const Device on = present(d, "new_thread_local_stream");
        return ThreadLocalStream{next++, on};
      },
      nb::arg("device"),
      "A stream of its own for each thread that uses it.");

  nb::class_<StreamContext>(
      m,
      "StreamContext",
      "Operations in its `with` block use a stream or device.")
      .def(
          "__init__",
          [](StreamContext* c, const StreamOrDevice& s) {
            if (!s.stream() && !s.device()) {
              throw nb::type_error("expected a stream or a device.");
            }
            new (c) StreamContext{s, nullptr, {}};
          },
          nb::arg("s"))
      .def("__enter__",
           [](StreamContext& c) {
             Stream s = resolve(c.to);
             if (!is_available(s.device)) {
               invalid("stream", "there is no " + to_string(s.device) + ".");
             }
             c.outer_device = default_device();
             c.scope = std::make_unique<StreamScope>(s);
             set_default_device(s.device);
           })
      .def("__exit__", [](StreamContext& c, nb::args) {
        c.scope.reset();
        set_default_device(c.outer_device);
      });
  m.def(
      "stream",
      [](nb::object s) { return nb::borrow(nb::type<StreamContext>())(s); },
      nb::arg("s"),
      "A context in which operations use a stream or device.");
  m.def(
      "synchronize",
      [](const StreamOrDevice&) { unlocked([] { synchronize(); }); },
      nb::arg("stream") = nb::none(),
      "Waits for the work of a stream; of the default one when none is given.");
  m.def(
      "clear_streams",
      [] { unlocked([] { synchronize(); }); },
      "Waits for the work of all streams.");
}

}  // namespace treadle::python

bool nanobind::detail::type_caster<treadle::StreamOrDevice>::from_python(
    handle h, uint32_t, cleanup_list*) noexcept {
  using namespace treadle;
  using treadle::python::ThreadLocalStream;
  value = StreamOrDevice();
  if (h.is_none()) return true;
  if (nanobind::isinstance<Stream>(h)) {
    value = *nanobind::inst_ptr<Stream>(h);
    return true;
  }
  if (nanobind::isinstance<ThreadLocalStream>(h)) {
    value = nanobind::inst_ptr<ThreadLocalStream>(h)->here();
    return true;
  }
  Device d;
  if (!treadle::python::load_device(h, &d)) return false;
  value = d;
  return true;
}
