// The safetensors format: named arrays and text metadata in one file. Tensors
// are read through a mapping of the file, so loading copies nothing until it is
// used.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

struct Safetensors {
  std::vector<std::pair<std::string, array>>
      tensors;  // in the order of the file
  std::map<std::string, std::string> metadata;
};

// Evaluates the arrays and writes them, first to a file beside `path` that then
// takes its name: an interrupted save leaves the old file. Throws
// std::invalid_argument for a repeated or reserved name, std::runtime_error
// when writing fails.
void save_safetensors(const std::string& path,
                      const std::vector<std::pair<std::string, array>>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

// Throws std::runtime_error naming the file and what is wrong with it: it
// cannot be opened, is cut short, has a header that is not valid, a dtype that
// is not known, or tensors that lie outside the file, overlap, or do not have
// the bytes that their shape needs. The file must not be changed in place while
// arrays of it live (replacing it, as save_safetensors does, is safe).
Safetensors load_safetensors(const std::string& path);

}  // namespace treadle
