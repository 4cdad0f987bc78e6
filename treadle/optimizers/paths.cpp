#include "treadle/optimizers/paths.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/base/listing.h"

namespace treadle::optimizers {

namespace {

bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;  // the star takes one character more
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool covers(std::string_view key, std::string_view path) {
  return matches(key, path) || matches(std::string(key) + ".*", path);
}

std::optional<size_t> key_of(std::span<const std::string> keys,
                             std::string_view path) {
  std::optional<size_t> best, rest;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == "*" || keys[i] == "default") {
      if (!rest) rest = i;
    } else if (covers(keys[i], path) &&
               (!best || keys[i].size() > keys[*best].size())) {
      best = i;
    }
  }
  return best ? best : rest;
}

void check_keys(std::string_view op,
                std::span<const std::string> keys,
                std::span<const std::string> paths) {
  for (const std::string& key : keys) {
    const auto covered = [&](const std::string& path) {
      return covers(key, path);
    };
    if (key == "*" || key == "default" || std::ranges::any_of(paths, covered)) {
      continue;
    }
    invalid(op,
            fmt::format(
                "no parameter is at '{}'; there are {}.", key, some_of(paths)));
  }
}

}  // namespace treadle::optimizers
