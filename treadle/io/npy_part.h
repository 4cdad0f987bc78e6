// An .npy file that lies in another one. For the sources of io/ only.
#pragma once

#include <cstdint>
#include <string>

#include "treadle/graph/array.h"

namespace treadle {

class Mapping;

// The array in bytes [at, at + bytes) of the file, which the caller has checked
// to be there: a view of the mapping where it can be one. Errors are those of
// npy_from_bytes and name `name`.
array npy_in(const Mapping& file,
             uint64_t at,
             uint64_t bytes,
             const std::string& name);

}  // namespace treadle
