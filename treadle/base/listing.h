// Names in error messages.
#pragma once

#include <span>
#include <string>

namespace treadle {

// The first eight names, in quotes, and how many there are if there are more.
std::string some_of(std::span<const std::string> names);

}  // namespace treadle
