// grad, vjp, jvp and vmap of Python functions over trees of arrays.
#include "treadle/transforms/autodiff.h"

#include <algorithm>
#include <string>
#include <vector>

#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"

#include "bindings.h"
#include "transformed.h"
#include "tree.h"

namespace treadle::python {

namespace {

// --- The returned callable ---------------------------------------------------

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  PyObject** dict = _PyObject_GetDictPtr(self);
  if (dict) Py_VISIT(*dict);
  if (!nb::inst_ready(self)) return 0;
  const Transformed& t = *nb::inst_ptr<Transformed>(self);
  Py_VISIT(t.fun.ptr());
  Py_VISIT(t.state.ptr());
  return 0;
}

int clear(PyObject* self) {
  PyObject** dict = _PyObject_GetDictPtr(self);
  if (dict) Py_CLEAR(*dict);
  if (!nb::inst_ready(self)) return 0;
  Transformed& t = *nb::inst_ptr<Transformed>(self);
  t.call = nullptr;
  t.fun.reset();
  t.state.reset();
  return 0;
}

const PyType_Slot kTransformedSlots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {0, nullptr},
};

// --- grad --------------------------------------------------------------------

struct GradArgs {
  std::vector<int> nums;
  std::vector<std::string> names;
  bool one = false;  // a single gradient, not a tuple of one
};

using IntArg = std::optional<std::variant<int, std::vector<int>>>;
using NameArg = std::variant<std::string, std::vector<std::string>>;

GradArgs grad_args(const IntArg& nums, const NameArg& names, const char* op) {
  GradArgs a;
  if (const auto* one = std::get_if<std::string>(&names)) {
    a.names = {*one};
  } else {
    a.names = std::get<std::vector<std::string>>(names);
  }
  if (!nums) {
    if (a.names.empty()) a.nums = {0};
  } else if (const int* one = std::get_if<int>(&*nums)) {
    a.nums = {*one};
  } else {
    a.nums = std::get<std::vector<int>>(*nums);
  }
  if (a.nums.empty() && a.names.empty()) {
    invalid(op, "got no argnums and no argnames: nothing to differentiate.");
  }
  // Gradients come in the order of the arguments, as in MLX.
  std::sort(a.nums.begin(), a.nums.end());
  std::sort(a.names.begin(), a.names.end());
  a.one = a.nums.size() == 1;
  for (size_t i = 0; i < a.nums.size(); ++i) {
    if (a.nums[i] < 0) {
      invalid(op, "argnum " + std::to_string(a.nums[i]) + " is negative.");
    }
    if (std::count(a.nums.begin(), a.nums.end(), a.nums[i]) > 1) {
      invalid(op, "argnum " + std::to_string(a.nums[i]) + " is given twice.");
    }
  }
  for (const std::string& n : a.names) {
    if (std::count(a.names.begin(), a.names.end(), n) > 1) {
      invalid(op, "argname '" + n + "' is given twice.");
    }
  }
  return a;
}

void check_differentiable(nb::handle tree,
                          const std::string& what,
                          const char* op) {
  std::string path = find_leaf(tree, [](nb::handle leaf) {
    return !is_array(leaf) || !is_inexact(array_of(leaf).dtype());
  });
  if (path.empty()) return;
  std::string where = path == "." ? what : what + ", leaf '" + path + "',";
  invalid(
      op,
      where + " is no floating or complex array; only these have gradients.");
}

// The first value of what the function returned.
array loss_of(nb::handle returned, bool aux_allowed, const char* op) {
  if (is_array(returned)) return array_of(returned);
  if (aux_allowed && PyTuple_Check(returned.ptr()) &&
      PyTuple_GET_SIZE(returned.ptr()) > 0) {
    nb::handle first(PyTuple_GET_ITEM(returned.ptr(), 0));
    if (is_array(first)) return array_of(first);
    returned = first;
  }
  invalid(op,
          std::string("the function returned a ") +
              Py_TYPE(returned.ptr())->tp_name +
              (aux_allowed
                   ? " for the loss; expected a scalar array, or a tuple whose "
                     "first element is one."
                   : "; expected a scalar array."));
}

struct ValueAndGrads {
  nb::object value, grads;
};

ValueAndGrads differentiate(const Transformed& t,
                            const GradArgs& wanted,
                            bool aux_allowed,
                            const char* op,
                            const nb::args& args,
                            const nb::kwargs& kwargs) {
  Arrays primals;
  std::vector<Form>
      forms;  // of the trees to differentiate: by nums, then by names
  for (int i : wanted.nums) {
    if (size_t(i) >= args.size()) {
      invalid(op,
              "argnum " + std::to_string(i) + " of a call with " +
                  std::to_string(args.size()) + " positional arguments.");
    }
    nb::handle arg = args[size_t(i)];
    check_differentiable(arg, "argument " + std::to_string(i), op);
    forms.push_back(flatten(arg, &primals));
  }
  for (const std::string& n : wanted.names) {
    if (!kwargs.contains(n.c_str())) {
      invalid(op,
              "argname '" + n +
                  "' is not among the keyword arguments of the call.");
    }
    nb::object arg = kwargs[n.c_str()];
    check_differentiable(arg, "argument '" + n + "'", op);
    forms.push_back(flatten(arg, &primals));
  }
  nb::object returned;
  auto f = [&](const Arrays& x) -> Arrays {
    size_t next = 0;
    nb::list positional;
    for (nb::handle a : args) positional.append(a);
    nb::dict named;
    for (auto [key, value] : kwargs) named[key] = value;
    for (size_t i = 0; i < forms.size(); ++i) {
      nb::object tree = build(forms[i], x, &next);
      if (i < wanted.nums.size()) {
        positional[size_t(wanted.nums[i])] = tree;
      } else {
        named[wanted.names[i - wanted.nums.size()].c_str()] = tree;
      }
    }
    returned = t.fun(*positional, **named);
    return {loss_of(returned, aux_allowed, op)};
  };
  std::vector<int> all;
  for (size_t i = 0; i < primals.size(); ++i) all.push_back(int(i));
  Arrays grads = value_and_grad(f, all)(primals).second;

  size_t next = 0;
  nb::list by_num;
  nb::dict by_name;
  for (size_t i = 0; i < forms.size(); ++i) {
    nb::object tree = build(forms[i], grads, &next);
    if (i < wanted.nums.size()) {
      by_num.append(tree);
    } else {
      by_name[wanted.names[i - wanted.nums.size()].c_str()] = tree;
    }
  }
  nb::object positional = wanted.nums.empty() ? nb::none()
                          : wanted.one        ? nb::object(by_num[0])
                                              : nb::object(nb::tuple(by_num));
  if (wanted.names.empty()) return {returned, positional};
  return {returned, nb::make_tuple(positional, by_name)};
}

nb::callable value_and_grad_of(nb::object fun,
                               const IntArg& nums,
                               const NameArg& names) {
  check_callable(fun, "value_and_grad");
  return make_transformed(
      {std::move(fun),
       nb::none(),
       [wanted = grad_args(nums, names, "value_and_grad")](
           const Transformed& t,
           const nb::args& args,
           const nb::kwargs& kwargs) {
         auto [value, grads] =
             differentiate(t, wanted, true, "value_and_grad", args, kwargs);
         return nb::object(nb::make_tuple(value, grads));
       }});
}

nb::callable grad_of(nb::object fun, const IntArg& nums, const NameArg& names) {
  check_callable(fun, "grad");
  return make_transformed(
      {std::move(fun),
       nb::none(),
       [wanted = grad_args(nums, names, "grad")](const Transformed& t,
                                                 const nb::args& args,
                                                 const nb::kwargs& kwargs) {
         return differentiate(t, wanted, false, "grad", args, kwargs).grads;
       }});
}

// --- vjp, jvp
// ------------------------------------------------------------------

// The function of a list of arrays that vjp and jvp take.
ArraysFn arrays_function(const nb::callable& fun, const char* op) {
  return [fun, op](const Arrays& x) {
    nb::list args;
    for (const array& a : x) args.append(wrap(a));
    nb::object returned = fun(*args);
    Arrays out;
    if (is_array(returned)) {
      out.push_back(array_of(returned));
    } else if (!nb::try_cast(returned, out)) {
      invalid(op,
              std::string("the function returned a ") +
                  Py_TYPE(returned.ptr())->tp_name +
                  "; expected an array or a sequence of arrays.");
    }
    return out;
  };
}

// --- vmap
// ----------------------------------------------------------------------

// Axes for the leaves of a tree: an int or None for all below it, or a
// container of the same kind with axes for each child.
void spread_axes(const Form& form,
                 nb::handle axes,
                 std::vector<std::optional<int>>* out) {
  if (PyLong_Check(axes.ptr()) || axes.is_none()) {
    if (form.kind == Form::Kind::array) {
      out->push_back(axes.is_none() ? std::nullopt
                                    : std::optional(nb::cast<int>(axes)));
    }
    for (const Form& c : form.children) spread_axes(c, axes, out);
    return;
  }
  auto mismatch = [] {
    invalid("vmap", "the tree of axes does not match that of the arrays.");
  };
  if (form.kind == Form::Kind::dict) {
    if (!PyDict_Check(axes.ptr())) mismatch();
    for (size_t i = 0; i < form.children.size(); ++i) {
      nb::handle below(PyDict_GetItemWithError(axes.ptr(), form.keys[i].ptr()));
      if (!below) mismatch();
      spread_axes(form.children[i], below, out);
    }
    return;
  }
  bool sequence =
      form.kind == Form::Kind::list || form.kind == Form::Kind::tuple;
  if (!sequence || !(PyList_Check(axes.ptr()) || PyTuple_Check(axes.ptr())) ||
      PySequence_Fast_GET_SIZE(axes.ptr()) !=
          Py_ssize_t(form.children.size())) {
    mismatch();
  }
  for (size_t i = 0; i < form.children.size(); ++i) {
    spread_axes(form.children[i],
                nb::handle(PySequence_Fast_GET_ITEM(axes.ptr(), Py_ssize_t(i))),
                out);
  }
}

void check_all_arrays(nb::handle tree, const char* what) {
  if (!find_leaf(tree, [](nb::handle leaf) {
         return !is_array(leaf);
       }).empty()) {
    invalid("vmap", std::string(what) + " holds a leaf that is no array.");
  }
}

nb::object vmap_call(const Transformed& t,
                     const nb::args& args,
                     const nb::kwargs& kwargs) {
  if (kwargs.size() > 0)
    throw nb::type_error("[vmap] keyword arguments are not mapped.");
  nb::tuple axes_pair = nb::borrow<nb::tuple>(t.state);
  check_all_arrays(args, "an argument");
  Arrays inputs;
  Form form = flatten(args, &inputs);
  std::vector<std::optional<int>> in;
  spread_axes(form, axes_pair[0], &in);
  std::vector<int> in_axes;
  for (size_t i = 0; i < in.size(); ++i) {
    // The C++ function spells "not mapped" as -1: count from the front here.
    in_axes.push_back(
        in[i] ? normalize_axis("vmap", *in[i], inputs[i].shape().size())
              : kNotMapped);
  }
  Form out_form;
  auto f = [&](const Arrays& x) {
    nb::object returned = t.fun(*nb::borrow<nb::tuple>(build(form, x)));
    check_all_arrays(returned, "the function's result");
    Arrays out;
    out_form = flatten(returned, &out);
    return out;
  };
  auto axes_of = [&](const Arrays& results) {
    std::vector<std::optional<int>> axes;
    spread_axes(out_form, axes_pair[1], &axes);
    std::vector<int> out;
    for (size_t i = 0; i < axes.size(); ++i) {
      const size_t ndim = results[i].shape().size() + 1;
      out.push_back(axes[i] ? normalize_axis("vmap", *axes[i], ndim)
                            : kNotMapped);
    }
    return out;
  };
  Arrays out = vmap(f, in_axes, axes_of)(inputs);
  return build(out_form, out);
}

}  // namespace

void check_callable(nb::handle fun, const char* op) {
  if (PyCallable_Check(fun.ptr())) return;
  PyErr_Format(PyExc_TypeError,
               "[%s] expected a callable, got %s.",
               op,
               Py_TYPE(fun.ptr())->tp_name);
  throw nb::python_error();
}

nb::callable make_transformed(Transformed t) {
  nb::object fun = t.fun;
  nb::object made = nb::cast(std::move(t));
  for (const char* name :
       {"__name__", "__qualname__", "__doc__", "__module__"}) {
    if (nb::hasattr(fun, name)) made.attr(name) = fun.attr(name);
  }
  made.attr("__wrapped__") = fun;
  return nb::borrow<nb::callable>(made);
}

void bind_autodiff(nb::module_& m) {
  nb::class_<Transformed>(
      m,
      "_Transformed",
      nb::type_slots(kTransformedSlots),
      nb::dynamic_attr(),
      nb::is_weak_referenceable(),
      "A function made from another by grad, vmap or compile.")
      .def("__call__",
           [](const Transformed& t, nb::args args, nb::kwargs kwargs) {
             return t.call(t, args, kwargs);
           });

  auto names = nb::arg("argnames") = nb::list();
  m.def("value_and_grad",
        &value_and_grad_of,
        nb::arg("fun"),
        nb::arg("argnums") = nb::none(),
        names,
        "A function that returns what `fun` returns, and the gradients of its "
        "loss: the "
        "returned scalar array, or the first element of the returned tuple. "
        "argnums and "
        "argnames say with respect to which arguments, which may be trees; the "
        "first one "
        "when neither is given. Gradients have the form of the arguments; of "
        "several "
        "argnums a tuple; with argnames a pair (by position, dict by name).");
  m.def("grad",
        &grad_of,
        nb::arg("fun"),
        nb::arg("argnums") = nb::none(),
        names,
        "A function that returns the gradients alone; see value_and_grad.");
  m.def(
      "vjp",
      [](const nb::callable& fun,
         const Arrays& primals,
         const Arrays& cotangents) {
        auto [y, g] = vjp(arrays_function(fun, "vjp"), primals, cotangents);
        return nb::make_tuple(nb::cast(y), nb::cast(g));
      },
      nb::arg("fun"),
      nb::arg("primals"),
      nb::arg("cotangents"),
      "The outputs of fun(*primals), and the products of the cotangents (one "
      "for each "
      "output) with its Jacobian: one for each primal.");
  m.def(
      "jvp",
      [](const nb::callable& fun,
         const Arrays& primals,
         const Arrays& tangents) {
        auto [y, t] = jvp(arrays_function(fun, "jvp"), primals, tangents);
        return nb::make_tuple(nb::cast(y), nb::cast(t));
      },
      nb::arg("fun"),
      nb::arg("primals"),
      nb::arg("tangents"),
      "The outputs of fun(*primals), and the products of its Jacobian with the "
      "tangents "
      "(one for each primal): one for each output.");
  m.def(
      "vmap",
      [](nb::object fun, nb::object in_axes, nb::object out_axes) {
        check_callable(fun, "vmap");
        return make_transformed(
            {std::move(fun), nb::make_tuple(in_axes, out_axes), vmap_call});
      },
      nb::arg("fun"),
      nb::arg("in_axes").none() = 0,
      nb::arg("out_axes").none() = 0,
      "A function that applies `fun` over a batch axis of each argument. "
      "in_axes and "
      "out_axes: an int for all arrays, or a tree of ints (in_axes: or None, "
      "for what is "
      "passed whole) for the arguments and the results.");
}

}  // namespace treadle::python
