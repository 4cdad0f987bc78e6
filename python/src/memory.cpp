// How much memory arrays take, and limits on it.
#include "treadle/runtime/memory.h"

#include "bindings.h"
#include "convert.h"
#include "tree.h"

namespace treadle::python {

void bind_memory(nb::module_& m) {
  m.def(
      "get_active_memory",
      [] { return get_active_memory(); },
      "Bytes in live arrays.");
  m.def(
      "get_peak_memory",
      [] { return get_peak_memory(); },
      "Most bytes in live arrays since the start or the last reset.");
  m.def(
      "reset_peak_memory",
      [] { reset_peak_memory(); },
      "Makes the peak what is live now.");
  m.def(
      "get_cache_memory",
      [] { return get_cache_memory(); },
      "Bytes kept for reuse.");
  m.def(
      "clear_cache",
      [] { clear_cache(); },
      "Gives the kept bytes back to the system.");
  m.def(
      "set_memory_limit",
      [](size_t limit) { return set_memory_limit(limit); },
      nb::arg("limit"),
      "Sets how many bytes may be live; returns the former limit.");
  m.def(
      "get_memory_limit",
      [] { return get_memory_limit(); },
      "How many bytes may be live.");
  m.def(
      "set_cache_limit",
      [](size_t limit) { return set_cache_limit(limit); },
      nb::arg("limit"),
      "Sets how many bytes may be kept; returns the former limit.");
  m.def(
      "set_wired_limit",
      [](size_t) { return size_t(0); },
      nb::arg("limit"),
      "Memory of the CPU is not wired: the limit is 0 and stays so.");
  m.def(
      "get_array_buffer_size",
      [](nb::args args) {
        Arrays arrays;
        collect(args, &arrays);
        return get_array_buffer_size(arrays);
      },
      nb::arg("args"),
      "Bytes of the blocks of memory in which the arrays of the arguments, "
      "arrays or trees of them, lie; each block once. They must be evaluated.");
}

}  // namespace treadle::python
