// Functions in files: traced with example arguments, with the constants they
// captured; C++ and Python read each other's. A file may hold several traces of
// a function, which calls choose from by number, dtypes and shapes of the
// arguments.
//
//   export_function("f.treadle", [](const Arrays& x) { return
//   Arrays{exp(x[0])};
//     }, {ones({3})});
//   Arrays y = import_function("f.treadle")({x});
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "treadle/graph/array.h"
#include "treadle/transforms/autodiff.h"

namespace treadle {

using NamedArrays = std::map<std::string, array>;
// A function of arrays by position and by name.
using NamedFn = std::function<Arrays(const Arrays&, const NamedArrays&)>;

struct ExportOptions {
  // Lengths of arguments may differ between calls, in all axes but those of
  // length 1 and those that captured arrays determine. The function is traced
  // several times to see what depends on which length. Axes whose lengths must
  // agree, and axes that have equal lengths in the example where they need not,
  // may be taken for one: give examples with different lengths.
  bool shapeless = false;
  std::string metadata = {};  // kept with the function
};

// Writes traces of f to a file when it is closed, and if there are any, at the
// latest when it is destroyed. The file appears when all is written.
class FunctionExporter {
 public:
  FunctionExporter(std::string path, NamedFn f, ExportOptions options = {});
  FunctionExporter(std::string path, ArraysFn f, ExportOptions options = {});
  ~FunctionExporter();
  FunctionExporter(FunctionExporter&&) noexcept;
  FunctionExporter& operator=(FunctionExporter&&) noexcept;

  // Traces f. Random numbers that it draws without a key are the same in each
  // call of what is imported. Checkpoints are kept, and so are the vjp and jvp
  // of custom functions, which are traced, but not their vmap; with free
  // lengths derivatives are those of the operations. Throws
  // std::invalid_argument for arguments that a former trace takes, and for
  // operations that a file cannot hold.
  void operator()(const Arrays& args, const NamedArrays& kwargs = {});
  // Writes the file. Throws std::runtime_error when that fails.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One trace of f.
void export_function(const std::string& path,
                     ArraysFn f,
                     const Arrays& args,
                     ExportOptions options = {});
void export_function(const std::string& path,
                     NamedFn f,
                     const Arrays& args,
                     const NamedArrays& kwargs,
                     ExportOptions options = {});

// A function from a file. Copies share it.
class ImportedFunction {
 public:
  // Throws std::invalid_argument when no trace takes the arguments.
  Arrays operator()(const Arrays& args, const NamedArrays& kwargs = {}) const;
  const std::string& metadata() const;

 private:
  friend ImportedFunction import_function(const std::string& path);
  struct State;
  std::shared_ptr<const State> state_;
};

// Throws std::runtime_error naming the file and what is wrong with it. The file
// must not be changed in place while the function or its results live:
// constants are read through a mapping.
ImportedFunction import_function(const std::string& path);

// What a trace consists of, for other formats: arrays by names A, B, ...
struct ExportListing {
  struct Value {
    std::string name;
    Spec spec;
  };
  struct Operation {
    std::string name;
    std::vector<Value> inputs, outputs;
    std::vector<std::string> arguments;
  };
  std::vector<Value> inputs, outputs;
  std::vector<std::pair<std::string, std::string>> keywords;  // name, array
  std::vector<std::pair<std::string, array>> constants;
  std::vector<Operation> operations;
};
ExportListing list_function(const NamedFn& f,
                            const Arrays& args,
                            const NamedArrays& kwargs = {});

}  // namespace treadle
