// compile: traces a function once for each signature and keeps its plan, so
// that later calls skip tracing, collecting and planning.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "treadle/graph/array.h"
#include "treadle/transforms/autodiff.h"

namespace treadle {

// Arrays that a compiled function reads or replaces besides its arguments, such
// as a model's parameters. get and set agree in number and order.
struct CapturedState {
  std::function<Arrays()> get;
  std::function<void(const Arrays&)> set;
};

struct CompileOptions {
  std::string name = "function";  // for errors and plan listings
  // Sizes will vary. Recorded ops hold lengths (a mean its divisor, a reshape
  // its shape), so every size is traced once, as without it; plans are shared
  // by structure.
  bool shapeless = false;
  CapturedState inputs;   // read by the function
  CapturedState outputs;  // replaced by the function
};

// The traced form: callable like f. Numbers that f captures are constants. The
// default random state is always an input and output. Calls under an open trace
// (grad of a compiled function) are recorded inline. If f throws while it is
// traced, all captured arrays are put back.
class Compiled {
 public:
  Compiled(ArraysFn f, CompileOptions options = {});
  // `signature` stands for what distinguishes traces besides the arguments'
  // specs: constants and tree structure, in Python's case.
  Arrays operator()(const Arrays& args,
                    const std::string& signature = "") const;
  // With another function for this call's trace, which `signature` identifies.
  // What f leaves in *note is kept with its trace, and every call that uses the
  // trace finds it there: the form of the results, in Python's case.
  Arrays call(const Arrays& args,
              const std::string& signature,
              const ArraysFn& f,
              std::shared_ptr<void>* note = nullptr) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

ArraysFn compile(ArraysFn f, CompileOptions options = {});

// Turns all compiled functions into plain calls, and back.
void disable_compile();
void enable_compile();
bool is_compile_enabled();

}  // namespace treadle
