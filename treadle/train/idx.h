// The IDX format of the MNIST files.
#pragma once

#include <string>

#include "treadle/graph/array.h"

namespace treadle::train {

// An array of unsigned bytes with the file's dimensions: (N, 28, 28) for
// images, (N,) for labels. Throws std::runtime_error naming the file when it
// cannot be read, is of another format or element type, or does not have the
// bytes that its header says.
array read_idx(const std::string& path);

}  // namespace treadle::train
