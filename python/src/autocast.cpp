// autocast of Python functions.
#include "treadle/transforms/autocast.h"

#include "bindings.h"
#include "transformed.h"
#include "tree.h"

namespace treadle::python {

namespace {

// Arguments are not looked into: the rewrite is of what is recorded.
nb::object run(const Transformed& t,
               Dtype dtype,
               const nb::args& args,
               const nb::kwargs& kwargs) {
  nb::handle outputs = t.state;
  Form form, state;
  size_t own = 0;
  Arrays recorded;
  const Arrays now = autocast(
      [&](const Arrays&) {
        nb::object returned = t.fun(*args, **kwargs);
        form = flatten(returned, &recorded);
        own = recorded.size();
        state = flatten(outputs, &recorded);
        return recorded;
      },
      {dtype})({});
  size_t next = 0;
  nb::object result = build(form, now, &next);
  for (size_t i = own; i < now.size(); ++i) {
    if (same_array(now[i], recorded[i])) continue;
    assign(outputs, state, now, &next);
    break;
  }
  return result;
}

nb::callable autocast_function(nb::object fun,
                               Dtype dtype,
                               nb::object outputs) {
  check_callable(fun, "autocast");
  autocast([](const Arrays& x) { return x; }, {dtype});  // checks the dtype
  return make_transformed({std::move(fun),
                           std::move(outputs),
                           [dtype](const Transformed& t,
                                   const nb::args& args,
                                   const nb::kwargs& kwargs) {
                             return run(t, dtype, args, kwargs);
                           }});
}

}  // namespace

void bind_autocast(nb::module_& m) {
  m.def("autocast",
        &autocast_function,
        nb::arg("fun"),
        nb::arg("dtype") = nb::cast(bfloat16),
        nb::arg("outputs") = nb::none(),
        "`fun` in mixed precision: matrix products, convolutions and attention "
        "read and give `dtype` (bfloat16 or float16), simple elementwise "
        "operations follow what they read, and all else (norms, softmax, "
        "losses, reductions, powers, exponentials, logarithms) stays float32. "
        "What fun records in float32 is recorded again so; parameters, "
        "results and gradients keep their dtypes. outputs: containers of "
        "arrays that the function replaces, such as a model with running "
        "statistics.");
}

}  // namespace treadle::python
