#include "tree.h"

#include "treadle/base/error.h"

namespace treadle::python {

namespace {

bool is_named_tuple(nb::handle h) {
  return PyTuple_Check(h.ptr()) && !PyTuple_CheckExact(h.ptr()) &&
         nb::hasattr(h, "_fields");
}

// Calls f(key, child) for the entries of a container; false when h is none.
template <class F>
bool for_each_child(nb::handle h, F&& f) {
  PyObject* o = h.ptr();
  if (PyDict_Check(o)) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(o, &at, &key, &value))
      f(nb::handle(key), nb::handle(value));
    return true;
  }
  if (PyList_Check(o) || PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      f(nb::handle(), nb::handle(PySequence_Fast_GET_ITEM(o, i)));
    }
    return true;
  }
  return false;
}

}  // namespace

Form flatten(nb::handle h, Arrays* arrays) {
  Form form;
  PyObject* o = h.ptr();
  if (is_array(o)) {
    form.kind = Form::Kind::array;
    arrays->push_back(array_of(o));
    return form;
  }
  bool dict = PyDict_Check(o);
  bool container = for_each_child(h, [&](nb::handle key, nb::handle child) {
    if (dict) form.keys.push_back(nb::borrow(key));
    form.children.push_back(flatten(child, arrays));
  });
  if (!container) {
    form.value = nb::borrow(h);
  } else if (dict) {
    form.kind = Form::Kind::dict;
  } else if (PyList_Check(o)) {
    form.kind = Form::Kind::list;
  } else {
    form.kind = Form::Kind::tuple;
    if (is_named_tuple(h)) form.value = nb::borrow(h.type());
  }
  return form;
}

nb::object build(const Form& form, const Arrays& arrays, size_t* next) {
  switch (form.kind) {
    case Form::Kind::array:
      return wrap(arrays[(*next)++]);
    case Form::Kind::constant:
      return form.value;
    case Form::Kind::list: {
      nb::list out;
      for (const Form& c : form.children) out.append(build(c, arrays, next));
      return out;
    }
    case Form::Kind::dict: {
      nb::dict out;
      for (size_t i = 0; i < form.children.size(); ++i) {
        out[form.keys[i]] = build(form.children[i], arrays, next);
      }
      return out;
    }
    case Form::Kind::tuple:
      break;
  }
  nb::object out = nb::steal(PyTuple_New(Py_ssize_t(form.children.size())));
  for (size_t i = 0; i < form.children.size(); ++i) {
    PyTuple_SET_ITEM(out.ptr(),
                     Py_ssize_t(i),
                     build(form.children[i], arrays, next).release().ptr());
  }
  if (!form.value) return out;
  return form.value(*nb::borrow<nb::tuple>(out));
}

nb::object build(const Form& form, const Arrays& arrays) {
  size_t next = 0;
  return build(form, arrays, &next);
}

void collect(nb::handle h, Arrays* arrays) {
  if (is_array(h)) {
    arrays->push_back(array_of(h));
    return;
  }
  for_each_child(h,
                 [&](nb::handle, nb::handle child) { collect(child, arrays); });
}

std::string find_leaf(nb::handle h,
                      const std::function<bool(nb::handle)>& pick) {
  std::string found;
  size_t i = 0;
  bool container = for_each_child(h, [&](nb::handle key, nb::handle child) {
    std::string name = key ? nb::str(key).c_str() : std::to_string(i);
    ++i;
    if (!found.empty()) return;
    std::string below = find_leaf(child, pick);
    if (below.empty()) return;
    found = below == "." ? name : name + "." + below;
  });
  if (!container && pick(h)) return ".";
  return found;
}

LiveState::LiveState(nb::handle tree) { visit(tree, {}, {}); }

void LiveState::visit(nb::handle h, nb::handle container, nb::handle key) {
  PyObject* o = h.ptr();
  if (is_array(o)) {
    arrays_.push_back(array_of(o));
    Slot slot;
    if (container) {
      slot.container = nb::borrow(container);
      slot.key = nb::borrow(key);
    }
    slot.holder = nb::borrow(h);
    slots_.push_back(std::move(slot));
    return;
  }
  bool mutable_ = PyDict_Check(o) || PyList_Check(o);
  if (PyDict_Check(o)) {
    containers_.push_back({nb::borrow(h), nb::steal(PyDict_Copy(o))});
  } else if (PyList_Check(o)) {
    containers_.push_back(
        {nb::borrow(h), nb::steal(PyList_GetSlice(o, 0, PyList_GET_SIZE(o)))});
  }
  Py_ssize_t i = 0;
  for_each_child(h, [&](nb::handle k, nb::handle child) {
    nb::object position = k ? nb::borrow(k) : nb::object(nb::int_(i));
    ++i;
    visit(
        child, mutable_ ? h : nb::handle(), mutable_ ? position : nb::handle());
  });
}

namespace {

void set_entry(nb::handle container, nb::handle key, nb::object value) {
  PyObject* c = container.ptr();
  int failed = PyDict_Check(c)
                   ? PyDict_SetItem(c, key.ptr(), value.ptr())
                   : PyList_SetItem(
                         c, PyLong_AsSsize_t(key.ptr()), value.release().ptr());
  if (failed) throw nb::python_error();
}

}  // namespace

void LiveState::put(const Arrays& arrays, size_t* next) {
  for (Slot& s : slots_) {
    const array& a = arrays[(*next)++];
    if (s.container) {
      set_entry(s.container, s.key, wrap(a));
    } else {
      array_of(s.holder) = a;
    }
  }
}

void LiveState::restore() {
  for (size_t i = 0; i < slots_.size(); ++i)
    array_of(slots_[i].holder) = arrays_[i];
  for (Container& c : containers_) {
    PyObject* o = c.object.ptr();
    if (PyDict_Check(o)) {
      PyDict_Clear(o);
      if (PyDict_Update(o, c.copy.ptr())) throw nb::python_error();
    } else if (PyList_SetSlice(o, 0, PyList_GET_SIZE(o), c.copy.ptr())) {
      throw nb::python_error();
    }
  }
}

namespace {

bool has_arrays(const Form& form) {
  if (form.kind == Form::Kind::array) return true;
  for (const Form& c : form.children) {
    if (has_arrays(c)) return true;
  }
  return false;
}

// True when assign() can go on inside h.
bool matches(nb::handle h, const Form& form) {
  if (!h) return false;
  PyObject* o = h.ptr();
  switch (form.kind) {
    case Form::Kind::dict:
      return PyDict_Check(o);
    case Form::Kind::list:
      return PyList_Check(o);
    case Form::Kind::tuple:
      return PyTuple_Check(o) &&
             PyTuple_GET_SIZE(o) == Py_ssize_t(form.children.size());
    default:
      return false;
  }
}

nb::handle child_of(nb::handle h, const Form& form, size_t i) {
  PyObject* o = h.ptr();
  if (PyDict_Check(o)) return PyDict_GetItemWithError(o, form.keys[i].ptr());
  return PySequence_Fast_GET_ITEM(o, Py_ssize_t(i));
}

}  // namespace

void assign(nb::handle h,
            const Form& form,
            const Arrays& arrays,
            size_t* next) {
  if (form.kind == Form::Kind::array) {
    if (!is_array(h))
      invalid("compile", "an output state is no array any more.");
    array_of(h) = arrays[(*next)++];
    return;
  }
  if (!has_arrays(form)) return;
  if (!matches(h, form)) {
    invalid("compile",
            "an output state has another form than when it was traced.");
  }
  // A list may have had another length.
  if (form.kind == Form::Kind::list &&
      PyList_GET_SIZE(h.ptr()) != Py_ssize_t(form.children.size())) {
    nb::object built = build(form, arrays, next);
    if (PyList_SetSlice(h.ptr(), 0, PyList_GET_SIZE(h.ptr()), built.ptr())) {
      throw nb::python_error();
    }
    return;
  }
  for (size_t i = 0; i < form.children.size(); ++i) {
    const Form& child = form.children[i];
    nb::handle now = child_of(h, form, i);
    bool entry = form.kind != Form::Kind::tuple;
    // Empty containers are made too, where there was nothing: the state of
    // frozen parameters.
    bool made = entry && !now && child.kind != Form::Kind::constant;
    if (!has_arrays(child) && !made) continue;
    if (matches(now, child) || !entry) {
      assign(now, child, arrays, next);
    } else {
      set_entry(h,
                PyDict_Check(h.ptr()) ? form.keys[i] : nb::object(nb::int_(i)),
                build(child, arrays, next));
    }
  }
}

}  // namespace treadle::python
