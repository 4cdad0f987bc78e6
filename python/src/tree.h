// Trees of Python containers: dicts, lists and tuples with arrays in them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "treadle/graph/tree.h"

#include "convert.h"

namespace treadle::python {

// What remains of a tree when its arrays are taken out, to build it again.
struct Form {
  enum class Kind : uint8_t { array, constant, list, tuple, dict };
  Kind kind = Kind::constant;
  nb::object value;              // of a constant; a named tuple's type
  std::vector<nb::object> keys;  // of a dict
  std::vector<Form> children;
};

// Appends the arrays of a tree, in order, and returns its form. Other leaves
// are constants.
Form flatten(nb::handle tree, Arrays* arrays);
// The tree of a form, with arrays from *next on.
nb::object build(const Form& form, const Arrays& arrays, size_t* next);
nb::object build(const Form& form, const Arrays& arrays);

// Appends the arrays of a tree and passes over all else.
void collect(nb::handle tree, Arrays* arrays);

// A new dict of a map of arrays, such as a layer's first parameters.
nb::dict to_dict(const Tree& parameters);

// The path of the first leaf for which `pick` holds, as "layers.0.weight";
// empty when there is none.
std::string find_leaf(nb::handle tree,
                      const std::function<bool(nb::handle)>& pick);

// Arrays of live containers, which a compiled function reads and replaces.
// Dicts and lists get other arrays; an array in a tuple or on its own cannot be
// exchanged there, so the Python object itself gets another value.
class LiveState {
 public:
  // Notes the arrays and the containers of a tree as they are.
  explicit LiveState(nb::handle tree);
  const Arrays& arrays() const { return arrays_; }
  // Puts other arrays, as many, into the containers.
  void put(const Arrays& arrays, size_t* next);
  // Puts everything back, also entries that were added, removed or moved since.
  void restore();

 private:
  struct Container {
    nb::object object;  // dict or list
    nb::object copy;    // its entries
  };
  struct Slot {
    nb::object container, key;  // dict or list entry; or
    nb::object holder;          // the array object itself
  };
  void visit(nb::handle h, nb::handle container, nb::handle key);

  Arrays arrays_;
  std::vector<Slot> slots_;
  std::vector<Container> containers_;
};

// Writes arrays into live containers whose form may have been another before:
// after it, `tree` has the entries of `form`, besides what else it has.
void assign(nb::handle tree,
            const Form& form,
            const Arrays& arrays,
            size_t* next);

}  // namespace treadle::python
