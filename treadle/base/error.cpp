#include "treadle/base/error.h"

#include <vector>

namespace treadle {

namespace {

thread_local std::vector<std::string> module_paths;

std::string message(std::string_view op, const std::string& what) {
  std::string m;
  if (!module_paths.empty()) m = module_paths.back() + ": ";
  m.append("[").append(op).append("] ").append(what);
  return m;
}

}  // namespace

void invalid(std::string_view op, const std::string& what) {
  throw std::invalid_argument(message(op, what));
}

void out_of_range(std::string_view op, const std::string& what) {
  throw std::out_of_range(message(op, what));
}

void unsupported(std::string_view op, const std::string& what) {
  throw std::runtime_error(message(op, what));
}

ModuleScope::ModuleScope(std::string name) {
  module_paths.push_back(std::move(name));
}

ModuleScope::~ModuleScope() { module_paths.pop_back(); }

const std::string& current_module_path() {
  static const std::string none;
  return module_paths.empty() ? none : module_paths.back();
}

}  // namespace treadle
