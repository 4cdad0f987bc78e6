#include "treadle/base/error.h"

#include <vector>

namespace treadle {

namespace {

thread_local std::vector<std::shared_ptr<const std::string>> module_names;

std::string message(std::string_view op, const std::string& what) {
  std::string m;
  if (!module_names.empty()) m = *module_names.back() + ": ";
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

ModuleScope::ModuleScope(std::shared_ptr<const std::string> name) {
  module_names.push_back(std::move(name));
}

ModuleScope::ModuleScope(std::string name)
    : ModuleScope(std::make_shared<const std::string>(std::move(name))) {}

ModuleScope::~ModuleScope() { module_names.pop_back(); }

const std::string& current_module_path() {
  static const std::string none;
  return module_names.empty() ? none : *module_names.back();
}

const std::shared_ptr<const std::string>& current_module_name() {
  static const std::shared_ptr<const std::string> none;
  return module_names.empty() ? none : module_names.back();
}

}  // namespace treadle
