// Dtypes, their categories, and the limits of what they hold.
#include "treadle/base/dtype.h"

#include <cstdio>
#include <limits>
#include <string>

#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

namespace {

PyObject* dtype_objects[kNumDtypes] = {};

// "treadle.core", or "mlx.core" when MLX programs run under the alias.
std::string module_name = "treadle.core";

enum class Category : int {
  complexfloating,
  floating,
  inexact,
  signedinteger,
  unsignedinteger,
  integer,
  number,
  generic,
};

// The category just above; generic is its own.
Category above(Category c) {
  switch (c) {
    case Category::complexfloating:
    case Category::floating:
      return Category::inexact;
    case Category::signedinteger:
    case Category::unsignedinteger:
      return Category::integer;
    case Category::inexact:
    case Category::integer:
      return Category::number;
    case Category::number:
    case Category::generic:
      break;
  }
  return Category::generic;
}

bool within(Category c, Category wide) {
  while (c != wide && c != Category::generic) c = above(c);
  return c == wide;
}

Category category_of(Dtype d) {
  if (is_complex(d)) return Category::complexfloating;
  if (is_floating(d)) return Category::floating;
  if (is_unsigned(d)) return Category::unsignedinteger;
  if (is_signed_integer(d)) return Category::signedinteger;
  return Category::generic;  // bool
}

using Kind = std::variant<Dtype, Category>;

bool is_subtype(const Kind& a, const Kind& b) {
  if (const Dtype* wide = std::get_if<Dtype>(&b)) {
    const Dtype* d = std::get_if<Dtype>(&a);
    return d && *d == *wide;
  }
  Category wide = std::get<Category>(b);
  if (const Dtype* d = std::get_if<Dtype>(&a))
    return within(category_of(*d), wide);
  return within(std::get<Category>(a), wide);
}

struct FloatInfo {
  Dtype dtype;
  int bits;
  double max, eps, smallest_normal;
};

FloatInfo float_info(Dtype d) {
  switch (d) {
    case float16:
      return {d, 16, 65504.0, 0x1p-10, 0x1p-14};
    case bfloat16:
      return {d, 16, 0x1.fep127, 0x1p-7, 0x1p-126};
    case float32:
    case complex64:
      return {float32, 32, 0x1.fffffep127, 0x1p-23, 0x1p-126};
    case float64: {
      using L = std::numeric_limits<double>;
      return {d, 64, L::max(), L::epsilon(), L::min()};
    }
    default:
      break;
  }
  invalid("finfo", "dtype " + std::string(name_of(d)) + " is not inexact.");
}

struct IntInfo {
  Dtype dtype;
  nb::object min, max;
};

IntInfo int_info(Dtype d) {
  if (!is_integer(d)) {
    invalid("iinfo",
            "dtype " + std::string(name_of(d)) + " is no integer type.");
  }
  return visit_dtype(d, [d]<class T>() -> IntInfo {
    if constexpr (std::is_integral_v<T>) {
      using L = std::numeric_limits<T>;
      return {d, nb::cast(L::min()), nb::cast(L::max())};
    } else {
      return {};
    }
  });
}

std::string short_number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", v);
  return text;
}

bool is_dtype_kind(Dtype d, const std::string& kind) {
  if (kind == "bool") return d == bool_;
  if (kind == "signed integer") return is_signed_integer(d);
  if (kind == "unsigned integer") return is_unsigned(d);
  if (kind == "integral") return is_integer(d);
  if (kind == "real floating") return is_floating(d);
  if (kind == "complex floating") return is_complex(d);
  if (kind == "numeric") return d != bool_;
  invalid("isdtype",
          "unknown kind '" + kind +
              "'; expected bool, signed integer, unsigned integer, "
              "integral, real floating, complex floating or numeric.");
}

bool is_dtype(Dtype d, nb::handle kind) {
  if (nb::isinstance<nb::tuple>(kind)) {
    for (nb::handle k : kind) {
      if (is_dtype(d, k)) return true;
    }
    return false;
  }
  if (nb::isinstance<DtypeObject>(kind)) return nb::cast<Dtype>(kind) == d;
  return is_dtype_kind(d, nb::cast<std::string>(kind));
}

}  // namespace

nb::object dtype_object(Dtype dtype) {
  return nb::borrow(dtype_objects[static_cast<int>(dtype)]);
}

void bind_dtype(nb::module_& m) {
  nb::class_<DtypeObject>(m, "Dtype", "The type of an array's elements.")
      .def_prop_ro(
          "size",
          [](const DtypeObject& d) { return size_of(d.dtype); },
          "Bytes of one element.")
      .def("__repr__",
           [](const DtypeObject& d) {
             return module_name + "." + std::string(name_of(d.dtype));
           })
      .def(
          "__eq__",
          [](const DtypeObject& d, nb::handle o) {
            return nb::isinstance<DtypeObject>(o) &&
                   nb::cast<Dtype>(o) == d.dtype;
          },
          nb::arg().none())
      .def("__hash__", [](const DtypeObject& d) { return int(d.dtype); })
      // Pickled and copied by name: there is one object for each dtype.
      .def("__reduce__", [](const DtypeObject& d) {
        return d.dtype == bool_ ? "bool_" : std::string(name_of(d.dtype));
      });
  for (int i = 0; i < kNumDtypes; ++i) {
    Dtype d = static_cast<Dtype>(i);
    nb::object o = nb::cast(DtypeObject{d});
    m.attr(d == bool_ ? "bool_" : name_of(d).data()) = o;
    dtype_objects[i] = o.release().ptr();
  }

  auto category = nb::enum_<Category>(m, "DtypeCategory", "Classes of dtypes.");
#define CATEGORY(name)                   \
  category.value(#name, Category::name); \
  m.attr(#name) = nb::cast(Category::name);
  CATEGORY(complexfloating)
  CATEGORY(floating)
  CATEGORY(inexact)
  CATEGORY(signedinteger)
  CATEGORY(unsignedinteger)
  CATEGORY(integer)
  CATEGORY(number)
  CATEGORY(generic)
#undef CATEGORY

  m.def("issubdtype",
        &is_subtype,
        nb::arg("arg1"),
        nb::arg("arg2"),
        "True when the first dtype or category is the second or lies in it.");
  m.def("isdtype",
        &is_dtype,
        nb::arg("dtype"),
        nb::arg("kind"),
        "True when the dtype is of a kind of the array API standard, or of one "
        "of "
        "several.");

  nb::class_<FloatInfo>(m, "finfo", "Limits of a floating type.")
      .def("__init__",
           [](FloatInfo* t, Dtype d) { new (t) FloatInfo(float_info(d)); })
      .def_ro("bits", &FloatInfo::bits, "Bits of the type.")
      .def_prop_ro(
          "min",
          [](const FloatInfo& f) { return -f.max; },
          "The lowest number.")
      .def_ro("max", &FloatInfo::max, "The largest number.")
      .def_ro("eps", &FloatInfo::eps, "The next number after 1, minus 1.")
      .def_ro("smallest_normal",
              &FloatInfo::smallest_normal,
              "The smallest positive number of full precision.")
      .def_ro("dtype", &FloatInfo::dtype, "The dtype.")
      .def("__repr__", [](const FloatInfo& f) {
        return "finfo(min=" + short_number(-f.max) +
               ", max=" + short_number(f.max) +
               ", dtype=" + std::string(name_of(f.dtype)) + ")";
      });

  nb::class_<IntInfo>(m, "iinfo", "Limits of an integer type.")
      .def("__init__",
           [](IntInfo* t, Dtype d) { new (t) IntInfo(int_info(d)); })
      .def_ro("min", &IntInfo::min, "The lowest number.")
      .def_ro("max", &IntInfo::max, "The largest number.")
      .def_ro("dtype", &IntInfo::dtype, "The dtype.")
      .def("__repr__", [](const IntInfo& i) {
        return std::string("iinfo(min=") + nb::str(i.min).c_str() +
               ", max=" + nb::str(i.max).c_str() +
               ", dtype=" + std::string(name_of(i.dtype)) + ")";
      });

  m.def(
      "result_type",
      [](nb::args args) {
        std::optional<Dtype> met;
        for (nb::handle a : args) {
          Dtype d = is_array(a) ? array_of(a).dtype() : nb::cast<Dtype>(a);
          met = met ? promote_types(*met, d) : d;
        }
        if (!met)
          invalid("result_type", "got no argument; expected at least one.");
        return *met;
      },
      "The dtype in which arrays and dtypes meet.");
  m.def(
      "can_cast",
      [](std::variant<Dtype, array> from, Dtype to) {
        const array* a = std::get_if<array>(&from);
        return promote_types(a ? a->dtype() : std::get<Dtype>(from), to) == to;
      },
      nb::arg("from_"),
      nb::arg("to"),
      "True when the dtype, or the array's, promotes to `to`.");
  m.def(
      "_set_module_name",
      [](std::string name) { module_name = std::move(name); },
      nb::arg("name"),
      "The module that str() of a dtype shows.");
}

}  // namespace treadle::python

bool nanobind::detail::type_caster<treadle::Dtype>::from_python(
    handle h, uint32_t, cleanup_list*) noexcept {
  using treadle::python::DtypeObject;
  if (!nanobind::isinstance<DtypeObject>(h)) return false;
  value = nanobind::inst_ptr<DtypeObject>(h)->dtype;
  return true;
}
