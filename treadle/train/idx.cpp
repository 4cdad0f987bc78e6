// Two zero bytes, the element type (8: unsigned byte), the number of
// dimensions, each as a big-endian 32-bit integer, then the elements in row
// order.
#include "treadle/train/idx.h"

#include <fstream>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"

namespace treadle::train {

array read_idx(const std::string& path) {
  auto bad = [&](const std::string& what) {
    unsupported("read_idx", fmt::format("'{}' {}", path, what));
  };
  std::ifstream in(path, std::ios::binary);
  if (!in) bad("cannot be opened.");
  std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(in), {}};
  constexpr unsigned char kUnsignedByte = 8;
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0 ||
      bytes[2] != kUnsignedByte) {
    bad("is not an IDX file of unsigned bytes.");
  }
  const size_t ndim = bytes[3], start = 4 + 4 * ndim;
  if (bytes.size() < start) bad("ends inside its header.");
  Shape shape;
  uint64_t elements = 1;
  for (size_t i = 0; i < ndim; ++i) {
    const unsigned char* b = &bytes[4 + 4 * i];
    uint64_t d = uint64_t(b[0]) << 24 | uint64_t(b[1]) << 16 |
                 uint64_t(b[2]) << 8 | b[3];
    if (d != 0 && elements > bytes.size() / d) {
      bad(fmt::format("has {} bytes, fewer than its dimensions need.",
                      bytes.size()));
    }
    elements *= d;
    shape.push_back(int64_t(d));
  }
  if (bytes.size() - start != elements) {
    bad(fmt::format("has {} bytes of data; its dimensions {} need {}.",
                    bytes.size() - start,
                    to_string(shape),
                    elements));
  }
  return array::from(bytes.data() + start, shape);
}

}  // namespace treadle::train
