// NumPy's .npy format: one array.
#pragma once

#include <span>
#include <string>

#include "treadle/graph/array.h"

namespace treadle {

// Throws std::runtime_error naming the file and what is wrong with it: it
// cannot be opened, is cut short, has a header that is not valid, or elements
// of a type that is not known. bfloat16 is "V2", as MLX writes it. The elements
// are read through a mapping of the file when they are used.
array load_npy(const std::string& path);

// Evaluates x and writes it, first to a file beside `path` that then takes its
// name. Throws std::runtime_error when writing fails.
void save_npy(const std::string& path, const array& x);

// The same for the bytes of a file; `name` stands in errors.
array npy_from_bytes(std::span<const char> bytes, const std::string& name);
std::string npy_to_bytes(const array& x);

}  // namespace treadle
