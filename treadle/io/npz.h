// NumPy's .npz format: a ZIP archive with one .npy file for each array.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// The arrays in the order of the archive, by their names without ".npy"; other
// files in it are passed over. Entries are stored or deflated; stored ones are
// read when they are used, from a mapping of the file, which must not be
// changed in place while arrays of it live. Throws std::runtime_error naming
// the file and what is wrong with it: it cannot be opened, is no archive, is
// cut short, is encrypted or compressed in another way, has deflated bytes with
// another check sum than it says, or an array that npy_from_bytes refuses.
std::vector<std::pair<std::string, array>> load_npz(const std::string& path);

// Evaluates the arrays and writes them uncompressed, as numpy.savez does, first
// to a file beside `path` that then takes its name. Throws
// std::invalid_argument for a repeated name and for 4 GiB or more, which take
// safetensors, and std::runtime_error when writing fails.
void save_npz(const std::string& path,
              const std::vector<std::pair<std::string, array>>& arrays);

}  // namespace treadle
