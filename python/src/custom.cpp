// checkpoint, custom_function and depends: functions with other derivatives.
#include <memory>

#include "treadle/base/error.h"
#include "treadle/ops/depends.h"
#include "treadle/transforms/checkpoint.h"
#include "treadle/transforms/custom_function.h"

#include "bindings.h"
#include "transformed.h"
#include "tree.h"

namespace treadle::python {

namespace {

// A Python object that C++ may drop on any thread.
class Held {
 public:
  explicit Held(nb::handle h)
      : object_(new nb::object(nb::borrow(h)), [](nb::object* o) {
          nb::gil_scoped_acquire gil;
          delete o;
        }) {}
  const nb::object& get() const { return *object_; }

 private:
  std::shared_ptr<nb::object> object_;
};

// The arguments of a rule: one alone is given as it is, as in MLX.
nb::object alone_or_all(nb::object arguments) {
  if (PyTuple_GET_SIZE(arguments.ptr()) != 1) return arguments;
  return nb::borrow(PyTuple_GET_ITEM(arguments.ptr(), 0));
}

nb::callable checkpoint_function(nb::object fun) {
  check_callable(fun, "checkpoint");
  return make_transformed(
      {std::move(fun),
       nb::none(),
       [](const Transformed& t, const nb::args& args, const nb::kwargs& kwargs)
           -> nb::object {
         Arrays in;
         Form form = flatten(nb::make_tuple(args, kwargs), &in), result;
         Arrays out = checkpoint([&](const Arrays& x) {
           nb::object call = build(form, x);
           nb::object returned = t.fun(*nb::borrow<nb::tuple>(call[0]),
                                       **nb::borrow<nb::dict>(call[1]));
           Arrays y;
           result = flatten(returned, &y);
           return y;
         })(in);
         return build(result, out);
       }});
}

// Null arrays become None: what has no tangent.
nb::object build_or_none(const Form& form, const Arrays& arrays, size_t* next) {
  if (form.kind == Form::Kind::array) {
    const array& a = arrays[(*next)++];
    return a.null() ? nb::none() : nb::cast(a);
  }
  if (form.kind == Form::Kind::constant) return form.value;
  if (form.kind == Form::Kind::dict) {
    nb::dict d;
    for (size_t i = 0; i < form.children.size(); ++i) {
      d[form.keys[i]] = build_or_none(form.children[i], arrays, next);
    }
    return d;
  }
  nb::list l;
  for (const Form& child : form.children) {
    l.append(build_or_none(child, arrays, next));
  }
  if (form.kind == Form::Kind::list) return l;
  return nb::tuple(l);
}

// Axes of the leaves of a form, None for those that are not mapped.
nb::object axes_tree(const Form& form,
                     const std::vector<int>& axes,
                     size_t* next) {
  if (form.kind == Form::Kind::array) {
    const int axis = axes[(*next)++];
    return axis == kNotMapped ? nb::none() : nb::object(nb::int_(axis));
  }
  if (form.kind == Form::Kind::constant) return nb::none();
  if (form.kind == Form::Kind::dict) {
    nb::dict d;
    for (size_t i = 0; i < form.children.size(); ++i) {
      d[form.keys[i]] = axes_tree(form.children[i], axes, next);
    }
    return d;
  }
  nb::list l;
  for (const Form& child : form.children) {
    l.append(axes_tree(child, axes, next));
  }
  if (form.kind == Form::Kind::list) return l;
  return nb::tuple(l);
}

// The axes that a rule returned, in the order of the leaves.
void collect_axes(nb::handle tree, std::vector<int>* axes) {
  PyObject* o = tree.ptr();
  if (o == Py_None) {
    axes->push_back(kNotMapped);
  } else if (PyLong_Check(o)) {
    axes->push_back(nb::cast<int>(tree));
  } else if (PyDict_Check(o)) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(o, &at, &key, &value)) collect_axes(value, axes);
  } else if (PyList_Check(o) || PyTuple_Check(o)) {
    for (nb::handle h : nb::borrow<nb::sequence>(tree)) collect_axes(h, axes);
  } else {
    invalid("custom_function",
            std::string("vmap returned a ") + Py_TYPE(o)->tp_name +
                " among the axes; expected ints and None.");
  }
}

// A call of a custom function: its rules are None where there is none.
// Positional arguments are the primals; keywords go to every rule as they are.
nb::object call_custom(nb::object fun,
                       nb::object vjp,
                       nb::object jvp,
                       nb::object vmap,
                       nb::tuple args,
                       nb::dict kwargs) {
  Arrays in;
  const Form primals = flatten(args, &in);
  auto result = std::make_shared<Form>();  // of the outputs
  const Held keywords(kwargs);
  auto tree = [primals](const Arrays& x) {
    return alone_or_all(build(primals, x));
  };
  auto with_keywords = [keywords] {
    return nb::borrow<nb::dict>(keywords.get());
  };
  CustomRules rules;
  if (!vjp.is_none()) {
    rules.vjp = [=, rule = Held(vjp)](
                    const Arrays& x, const Arrays& ct, const Arrays& y) {
      nb::gil_scoped_acquire gil;
      nb::object returned = rule.get()(
          tree(x), build(*result, ct), build(*result, y), **with_keywords());
      Arrays g;
      flatten(returned, &g);
      return g;
    };
  }
  if (!jvp.is_none()) {
    rules.jvp = [=, rule = Held(jvp)](const Arrays& x, const Arrays& t) {
      nb::gil_scoped_acquire gil;
      size_t next = 0;
      nb::object tangents = alone_or_all(build_or_none(primals, t, &next));
      nb::object returned = rule.get()(tree(x), tangents, **with_keywords());
      Arrays out;
      flatten(returned, &out);
      return out;
    };
  }
  if (!vmap.is_none()) {
    rules.vmap = [=, rule = Held(vmap)](const Arrays& x,
                                        const std::vector<int>& axes) {
      nb::gil_scoped_acquire gil;
      size_t next = 0;
      nb::object in_axes = alone_or_all(axes_tree(primals, axes, &next));
      nb::object returned = rule.get()(tree(x), in_axes, **with_keywords());
      if (!PyTuple_Check(returned.ptr()) ||
          PyTuple_GET_SIZE(returned.ptr()) != 2) {
        invalid("custom_function",
                std::string("vmap returned a ") +
                    Py_TYPE(returned.ptr())->tp_name +
                    "; expected a tuple of outputs and their axes.");
      }
      Mapped m;
      flatten(nb::handle(PyTuple_GET_ITEM(returned.ptr(), 0)), &m.outputs);
      collect_axes(nb::handle(PyTuple_GET_ITEM(returned.ptr(), 1)), &m.axes);
      return m;
    };
  }
  ArraysFn f = custom_function(
      [&](const Arrays& x) {
        nb::object call = build(primals, x);
        nb::object returned = fun(*nb::borrow<nb::tuple>(call), **kwargs);
        Arrays y;
        *result = flatten(returned, &y);
        return y;
      },
      std::move(rules));
  Arrays out = f(in);
  return build(*result, out);
}

nb::object depends_on(nb::handle inputs, nb::handle dependencies) {
  Arrays x, on;
  Form form = flatten(inputs, &x);
  collect(dependencies, &on);
  return build(form, depends(x, on));
}

}  // namespace

void bind_custom(nb::module_& m) {
  m.def("checkpoint",
        &checkpoint_function,
        nb::arg("fun"),
        "`fun`, whose intermediate values are computed again for its gradient "
        "instead of being kept: less memory for more time. Values and "
        "gradients are the same, also those of captured arrays.\n"
        "Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, "
        "2016.");
  m.def("_call_custom",
        &call_custom,
        nb::arg("fun"),
        nb::arg("vjp").none(),
        nb::arg("jvp").none(),
        nb::arg("vmap").none(),
        nb::arg("args"),
        nb::arg("kwargs"));
  m.def("depends",
        &depends_on,
        nb::arg("inputs"),
        nb::arg("dependencies"),
        "`inputs` (an array or a tree of arrays) unchanged, but not before "
        "`dependencies` have their values.");
}

}  // namespace treadle::python
