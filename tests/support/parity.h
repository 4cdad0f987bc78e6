// What C++ computes for a row of a parity table, for the test in Python that
// compares bits (python/tests/parity.py).
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "treadle/graph/array.h"

namespace treadle::test {

// A file in the folder PARITY_OUT, where the test in Python asked for it; ""
// otherwise.
inline std::string parity_file(const std::string& name) {
  const char* folder = std::getenv("PARITY_OUT");
  return folder ? std::string(folder) + "/" + name : "";
}

// Writes numbers bit by bit for the test in Python: a file for each row, a line
// for each array.
class Bits {
 public:
  explicit Bits(const std::string& row) {
    const std::string path = parity_file(row);
    if (!path.empty()) file_.open(path);
  }
  void add(const std::string& name, const array& value) {
    if (!file_.is_open()) return;
    file_ << name << ":";
    for (float v : value.to_vector<float>()) {
      file_ << " " << std::bit_cast<uint32_t>(v);
    }
    file_ << "\n";
  }

 private:
  std::ofstream file_;
};

}  // namespace treadle::test
