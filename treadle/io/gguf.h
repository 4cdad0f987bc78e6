// GGUF, the format of llama.cpp: named tensors and typed metadata in one file.
// Tensors are read through a mapping of the file, so loading copies nothing
// until it is used.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// A value of the metadata: numbers are arrays of shape () or (N,) with the
// dtype that they have in the file.
using GgufValue =
    std::variant<std::monostate, array, std::string, std::vector<std::string>>;

struct Gguf {
  std::vector<std::pair<std::string, array>> tensors;  // in the file's order
  std::vector<std::pair<std::string, GgufValue>> metadata;
};

// Versions 2 and 3. Tensors of F32, F16, BF16, F64, I8, I16, I32 and I64. The
// blocks of Q4_0, Q4_1 and Q8_0 tensors called "x.weight" become x.weight
// (uint32, packed), x.scales and x.biases (float16), groups of 32, as
// quantized_matmul takes them; other block formats are refused. Throws
// std::runtime_error naming the file and what is wrong with it. The file must
// not be changed in place while arrays of it live.
Gguf load_gguf(const std::string& path);

// Evaluates the arrays and writes version 3: float32, float16, bfloat16,
// float64, int8, int16, int32 and int64. Metadata arrays have at most one axis;
// "general.alignment" (uint32) says on what multiple of bytes tensors begin.
// The file is put in place when all is written.
void save_gguf(
    const std::string& path,
    const std::vector<std::pair<std::string, array>>& tensors,
    const std::vector<std::pair<std::string, GgufValue>>& metadata = {});

}  // namespace treadle
