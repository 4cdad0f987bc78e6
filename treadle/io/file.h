// Files as memory that arrays lie in, and files that appear when they are
// whole: what the formats share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "treadle/graph/array.h"

namespace treadle {

// Throws std::runtime_error: "[op] 'path' what".
[[noreturn]] void bad_file(std::string_view op,
                           const std::string& path,
                           const std::string& what);

// A read-only mapping of a whole file. Its pages are read when they are used;
// the file must not be changed in place while arrays of it live.
class Mapping {
 public:
  Mapping(const std::string& path, std::string_view op);
  const char* data() const { return static_cast<const char*>(buffer_->data); }
  size_t bytes() const { return buffer_->bytes; }
  std::string_view text() const { return {data(), bytes()}; }
  // The elements from byte `at` on, which the caller has checked to be there:
  // a view of the mapping, or a copy where they do not begin at a multiple of
  // their size or are bools, whose bytes may be others than 0 and 1.
  array at(uint64_t at, const Spec& spec) const;

 private:
  BufferPtr buffer_;
};

// The bytes that a tensor of a file needs; none when its strides would not fit
// 63 bits, which an axis of length 0 must not hide.
std::optional<uint64_t> bytes_in_file(const Spec& spec);

// Names and texts of files must be UTF-8.
bool is_utf8(std::string_view text);

// A file beside `path` that takes its name when all has been written, and is
// removed otherwise.
class NewFile {
 public:
  NewFile(std::string path, std::string_view op);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // The elements of an evaluated, row-contiguous array.
  void write(const array& x);
  void finish();

 private:
  [[noreturn]] void fail(std::string_view what);

  std::string path_, part_;
  std::string_view op_;
  std::FILE* file_ = nullptr;
  bool done_ = false;
};

}  // namespace treadle
