// File: "\x93NUMPY", version (two bytes), header length (uint16, from version 2
// on uint32, little-endian), the header, which is a Python dict such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, the elements.
#include "treadle/io/npy.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/io/file.h"
#include "treadle/io/npy_part.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

constexpr std::string_view kLoad = "load_npy";
constexpr std::string_view kMagic = "\x93NUMPY";

constexpr std::pair<std::string_view, Dtype> kTypes[] = {
    {"b1", bool_},
    {"u1", uint8},
    {"u2", uint16},
    {"u4", uint32},
    {"u8", uint64},
    {"i1", int8},
    {"i2", int16},
    {"i4", int32},
    {"i8", int64},
    {"f2", float16},
    {"f4", float32},
    {"f8", float64},
    {"c8", complex64},
    {"V2", bfloat16},
};

[[noreturn]] void bad(const std::string& name, const std::string& what) {
  bad_file(kLoad, name, what);
}

struct Header {
  Dtype dtype = float32;
  bool big_endian = false, fortran_order = false;
  Shape shape;
};

// Reads the dict from left to right.
class Reader {
 public:
  Reader(std::string_view text, const std::string& name)
      : text_(text), name_(name) {}

  Header header() {
    Header h;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      std::string_view key = quoted();
      expect(':');
      bool& seen = key == "descr"           ? descr
                   : key == "fortran_order" ? order
                   : key == "shape"         ? shape
                                            : wrong();
      if (seen) wrong();
      seen = true;
      if (key == "descr") read_type(quoted(), h);
      if (key == "fortran_order") h.fortran_order = truth();
      if (key == "shape") h.shape = lengths();
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size() || !descr || !order || !shape) wrong();
    return h;
  }

 private:
  [[noreturn]] bool& wrong() {
    bad(name_,
        "has a header that is not a dict of descr, fortran_order and "
        "shape.");
  }
  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) wrong();
  }
  std::string_view quoted() {
    const char mark = take('\'') ? '\'' : '"';
    if (mark == '"') expect('"');
    const size_t end = text_.find(mark, at_);
    if (end == text_.npos) wrong();
    std::string_view inside = text_.substr(at_, end - at_);
    at_ = end + 1;
    return inside;
  }
  bool truth() {
    skip_blanks();
    for (bool value : {false, true}) {
      std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    return wrong();
  }
  Shape lengths() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      skip_blanks();
      int64_t n = 0;
      size_t digits = 0;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9';
           ++at_, ++digits) {
        if (n > (INT64_MAX - 9) / 10) wrong();
        n = 10 * n + (text_[at_] - '0');
      }
      if (digits == 0) wrong();
      shape.push_back(n);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  void read_type(std::string_view type, Header& h) {
    if (!type.empty() && std::string_view("<>|=").find(type[0]) != type.npos) {
      h.big_endian = type[0] == '>';
      type.remove_prefix(1);
    }
    for (auto [name, dtype] : kTypes) {
      if (name != type) continue;
      h.dtype = dtype;
      return;
    }
    bad(name_,
        fmt::format("has elements of type '{}', which is not known.", type));
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

void swap_bytes(std::vector<char>& bytes, Dtype dtype) {
  const size_t width = dtype == complex64 ? 4 : size_of(dtype);
  for (size_t i = 0; i + width <= bytes.size(); i += width) {
    std::reverse(bytes.begin() + int64_t(i),
                 bytes.begin() + int64_t(i + width));
  }
}

// A file's header, and where the elements begin.
struct Start {
  Header header;
  size_t data;
};

Start start_of(std::string_view text, const std::string& name) {
  if (!text.starts_with(kMagic) || text.size() < 10) {
    bad(name, "is not an .npy file.");
  }
  const int version = text[6];
  const size_t width = version == 1 ? 2 : 4, start = 8 + width;
  if (version < 1 || version > 3 || text.size() < start) {
    bad(name, "has an .npy header of an unknown version.");
  }
  size_t length = 0;
  for (size_t i = 0; i < width; ++i) {
    length |= size_t(uint8_t(text[8 + i])) << (8 * i);
  }
  if (length > text.size() - start) bad(name, "is cut short.");
  Header h = Reader(text.substr(start, length), name).header();
  const auto needed = bytes_in_file(Spec{h.shape, h.dtype});
  const size_t left = text.size() - start - length;
  if (!needed || *needed > left) {
    bad(name,
        fmt::format("holds {} bytes of elements; {} needs more.",
                    left,
                    to_string(Spec{h.shape, h.dtype})));
  }
  if (h.fortran_order) std::reverse(h.shape.begin(), h.shape.end());
  return {h, start + length};
}

array ordered(const Header& h, const array& x) {
  return h.fortran_order ? transpose(x) : x;
}

}  // namespace

array npy_from_bytes(std::span<const char> file, const std::string& name) {
  const auto [h, data] = start_of({file.data(), file.size()}, name);
  const auto from = file.begin() + int64_t(data);
  const Spec spec{h.shape, h.dtype};
  std::vector<char> bytes(from, from + int64_t(*bytes_in_file(spec)));
  if (h.big_endian) swap_bytes(bytes, h.dtype);
  // Only 0 and 1 are bools; any other byte counts as true.
  if (h.dtype == bool_) {
    for (char& b : bytes) b = b != 0;
  }
  return ordered(h, array::from_bytes(bytes.data(), h.shape, h.dtype));
}

std::string npy_to_bytes(const array& x) {
  array rows = contiguous(x);
  rows.eval();
  std::string_view type;
  for (auto [name, dtype] : kTypes) {
    if (dtype == x.dtype()) type = name;
  }
  std::string header =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': {}, }}",
                  x.itemsize() == 1 ? '|' : '<',
                  type,
                  to_string(x.shape()));
  // The elements begin at a multiple of 64.
  const size_t before = kMagic.size() + 4;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string out(kMagic);
  out += {1, 0, char(header.size() & 255), char(header.size() >> 8)};
  out += header;
  const size_t at = out.size();
  out.resize(at + x.nbytes());
  if (x.nbytes() > 0) {
    std::memcpy(out.data() + at, rows.output()->address(), x.nbytes());
  }
  return out;
}

array npy_in(const Mapping& file,
             uint64_t at,
             uint64_t bytes,
             const std::string& name) {
  const std::string_view text = file.text().substr(at, bytes);
  const auto [h, data] = start_of(text, name);
  if (h.big_endian) return npy_from_bytes({text.data(), text.size()}, name);
  return ordered(h, file.at(at + data, Spec{h.shape, h.dtype}));
}

array load_npy(const std::string& path) {
  const Mapping file(path, kLoad);
  return npy_in(file, 0, file.bytes(), path);
}

void save_npy(const std::string& path, const array& x) {
  NewFile file(path, "save_npy");
  file.write(npy_to_bytes(x));
  file.finish();
}

}  // namespace treadle
