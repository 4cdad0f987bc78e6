// A Python callable made from another: what grad, vmap and compile return.
#pragma once

#include <functional>

#include "convert.h"

namespace treadle::python {

struct Transformed {
  nb::object fun;
  nb::object state;  // containers that the call reads or writes, or none
  std::function<nb::object(
      const Transformed&, const nb::args&, const nb::kwargs&)>
      call;
};

// The Python object; takes name, docstring and __wrapped__ from fun.
nb::callable make_transformed(Transformed t);

// Throws TypeError when fun cannot be called.
void check_callable(nb::handle fun, const char* op);

}  // namespace treadle::python
