// Keys that name parameters by their paths: "encoder", "layers.0", "*.bias".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace treadle::optimizers {

// True when `key` is the path or a beginning of it that ends at a dot. A * in
// the key stands for any text, a ? for one character.
bool covers(std::string_view key, std::string_view path);

// The longest key that covers the path, the first of equally long ones;
// otherwise "*" or "default", where there is one.
std::optional<size_t> key_of(std::span<const std::string> keys,
                             std::string_view path);

// Throws std::invalid_argument for the first key, other than "*" and "default",
// that covers none of the paths.
void check_keys(std::string_view op,
                std::span<const std::string> keys,
                std::span<const std::string> paths);

}  // namespace treadle::optimizers
