// Files as memory that arrays lie in, and files that appear when they are
// whole: what the formats share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
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

// Walks through the bytes of a file; every length is checked before it is used.
// Errors are those of bad_file.
class FileReader {
 public:
  // Text is (length uint64, bytes).
  FileReader(std::string_view bytes,
             const std::string& path,
             std::string_view op)
      : bytes_(bytes), path_(path), op_(op) {}

  [[noreturn]] void bad(const std::string& what) const;
  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  const char* take(uint64_t bytes);
  template <class T>
  T number() {
    T v;
    std::memcpy(&v, take(sizeof v), sizeof v);
    return v;
  }
  std::string text();
  // n, when as many entries of at least `least` bytes can follow.
  uint64_t count(uint64_t n, uint64_t least) const;

 private:
  std::string_view bytes_;
  const std::string& path_;
  std::string_view op_;
  uint64_t at_ = 0;
};

// The bytes that FileReader reads.
class FileWriter {
 public:
  template <class T>
  void number(T v) {
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void text(std::string_view s);
  void raw(std::string_view bytes) { out_ += bytes; }
  // Zeros up to a multiple of `to`.
  void pad(uint64_t to);
  // Of an evaluated, row-contiguous array.
  void elements(const array& x);
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

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
