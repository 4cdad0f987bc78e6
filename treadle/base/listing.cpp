#include "treadle/base/listing.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace treadle {

std::string some_of(std::span<const std::string> names) {
  if (names.empty()) return "none";
  const auto first = names.first(std::min<size_t>(names.size(), 8));
  const std::string text = fmt::format("'{}'", fmt::join(first, "', '"));
  if (first.size() == names.size()) return text;
  return fmt::format("{}, ... ({} in all)", text, names.size());
}

}  // namespace treadle
