// How the library says that something is wrong: "[op] what is wrong: what was
// got; what was expected." With a module on the stack its path comes first.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace treadle {

// Bad argument: std::invalid_argument, ValueError in Python.
[[noreturn]] void invalid(std::string_view op, const std::string& what);
// Axis or index outside its range: std::out_of_range, IndexError in Python.
[[noreturn]] void out_of_range(std::string_view op, const std::string& what);
// What the machine or this build cannot do: std::runtime_error.
[[noreturn]] void unsupported(std::string_view op, const std::string& what);

// The names of the modules being called on this thread, outermost first. Errors
// and plans show them as "layers.1.q_proj (Linear 64->64)".
class ModuleScope {
 public:
  explicit ModuleScope(std::shared_ptr<const std::string> name);
  explicit ModuleScope(std::string name);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;
};

// The path of the innermost module being called, "" outside of all modules.
const std::string& current_module_path();
// The same, to be kept; null outside of all modules.
const std::shared_ptr<const std::string>& current_module_name();

}  // namespace treadle
