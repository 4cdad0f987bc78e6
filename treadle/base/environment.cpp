#include "treadle/base/environment.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>

#include <unistd.h>

namespace treadle {

namespace {

bool known(std::string_view name) {
  return std::any_of(
      std::begin(kEnvironment),
      std::end(kEnvironment),
      [&](const EnvironmentVariable& v) { return v.name == name; });
}

void warn_of_unknown() {
  for (char** entry = environ; entry && *entry; ++entry) {
    std::string_view name(*entry);
    name = name.substr(0, name.find('='));
    if (!name.starts_with("TREADLE_") || known(name)) continue;
    std::fprintf(stderr,
                 "treadle: unknown environment variable %.*s; there are:",
                 int(name.size()),
                 name.data());
    for (const EnvironmentVariable& v : kEnvironment) {
      std::fprintf(stderr, " %.*s", int(v.name.size()), v.name.data());
    }
    std::fprintf(stderr, "\n");
  }
}

}  // namespace

std::optional<std::string> environment(std::string_view name) {
  static std::once_flag once;
  std::call_once(once, warn_of_unknown);
  if (!known(name))
    throw std::logic_error("not in the table: " + std::string(name));
  const char* value = std::getenv(std::string(name).c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

bool environment_flag(std::string_view name) {
  std::string v = environment(name).value_or("");
  return !v.empty() && v != "0" && v != "off";
}

}  // namespace treadle
