// The environment variables that Treadle reads: the one table. A variable named
// TREADLE_* that is not in it is warned about when the first is read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace treadle {

struct EnvironmentVariable {
  std::string_view name;
  std::string_view meaning;
};

inline constexpr EnvironmentVariable kEnvironment[] = {
    {"TREADLE_PLAN",
     "off: every node through its reference kernel, nothing fused or reused"},
    {"TREADLE_STRICT_HALF",
     "1: float16 and bfloat16 are rounded after every node, so bits do not "
     "depend on fusion"},
    {"TREADLE_VERBOSE",
     "dispatch: print which kernel each op takes, and why not a faster one; "
     "plan: print each new plan; time: print at exit what each kernel cost"},
};

// Its value, if it is set. `name` must be in the table.
std::optional<std::string> environment(std::string_view name);
// Set, and neither "" nor "0" nor "off".
bool environment_flag(std::string_view name);

}  // namespace treadle
