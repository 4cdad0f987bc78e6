#include "treadle/io/file.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "treadle/base/error.h"

namespace treadle {

static_assert(std::endian::native == std::endian::little,
              "the bytes of a file are used as they are");

namespace {
std::string system_error() { return std::strerror(errno); }
}  // namespace

void bad_file(std::string_view op,
              const std::string& path,
              const std::string& what) {
  unsupported(op, fmt::format("'{}' {}", path, what));
}

Mapping::Mapping(const std::string& path, std::string_view op) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) bad_file(op, path, "cannot be opened: " + system_error() + ".");
  struct stat status;
  const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  const size_t bytes = is_file ? size_t(status.st_size) : 0;
  void* data =
      bytes ? ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : nullptr;
  ::close(fd);
  if (!is_file) bad_file(op, path, "is not a file.");
  if (data == MAP_FAILED) {
    bad_file(op, path, "cannot be mapped: " + system_error() + ".");
  }
  buffer_ = BufferPtr(new Buffer);
  buffer_->writable = false;
  buffer_->device = cpu;
  buffer_->data = data;
  buffer_->bytes = bytes;
  buffer_->release = [](Buffer* b) {
    if (b->data) ::munmap(b->data, b->bytes);
    delete b;
  };
}

array Mapping::at(uint64_t at, const Spec& spec) const {
  const char* from = data() + at;
  const size_t item = size_of(spec.dtype);
  if (spec.dtype == bool_) {
    std::vector<uint8_t> values(from, from + size_of(spec.shape));
    for (uint8_t& v : values) v = v != 0;
    return array::from_bytes(values.data(), spec.shape, bool_);
  }
  if (size_of(spec.shape) == 0 || at % item != 0) {
    return array::from_bytes(from, spec.shape, spec.dtype);
  }
  return array::from_buffer(
      buffer_, spec.shape, spec.dtype, int64_t(at / item));
}

std::optional<uint64_t> bytes_in_file(const Spec& spec) {
  uint64_t n = size_of(spec.dtype);
  bool empty = false;
  for (int64_t d : spec.shape) {
    empty |= d == 0;
    if (d > 1 && n > uint64_t(INT64_MAX) / uint64_t(d)) return {};
    if (d > 1) n *= uint64_t(d);
  }
  return empty ? 0 : n;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = uint8_t(text[i]);
    const size_t length = first < 0x80            ? 1
                          : first >> 5 == 0b110   ? 2
                          : first >> 4 == 0b1110  ? 3
                          : first >> 3 == 0b11110 ? 4
                                                  : 0;
    if (length == 0 || length > text.size() - i) return false;
    uint32_t code = length == 1 ? first : first & (0xff >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto next = uint8_t(text[i + k]);
      if (next >> 6 != 0b10) return false;
      code = code << 6 | (next & 0x3f);
    }
    // The shortest form only, no halves of pairs, nothing beyond the last.
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10ffff || code >> 11 == 0x1b) {
      return false;
    }
    i += length;
  }
  return true;
}

void FileReader::bad(const std::string& what) const {
  bad_file(op_, path_, what);
}

const char* FileReader::take(uint64_t bytes) {
  if (bytes > left()) bad("is cut short.");
  const char* from = bytes_.data() + at_;
  at_ += bytes;
  return from;
}

std::string FileReader::text() {
  const auto length = number<uint64_t>();
  const std::string_view v(take(length), size_t(length));
  if (!is_utf8(v)) bad("has a text that is not UTF-8.");
  return std::string(v);
}

uint64_t FileReader::count(uint64_t n, uint64_t least) const {
  if (n > left() / least) bad(fmt::format("says that {} entries follow.", n));
  return n;
}

void FileWriter::text(std::string_view s) {
  number(uint64_t(s.size()));
  out_ += s;
}

void FileWriter::pad(uint64_t to) {
  out_.resize((out_.size() + to - 1) / to * to, '\0');
}

void FileWriter::elements(const array& x) {
  if (x.nbytes() == 0) return;
  out_.append(static_cast<const char*>(x.output()->address()), x.nbytes());
}

NewFile::NewFile(std::string path, std::string_view op)
    : path_(std::move(path)),
      part_(fmt::format("{}.{}.part", path_, ::getpid())),
      op_(op) {
  file_ = std::fopen(part_.c_str(), "wb");
  if (!file_) fail("cannot be created");
}

NewFile::~NewFile() {
  if (file_) std::fclose(file_);
  if (!done_) std::remove(part_.c_str());
}

void NewFile::write(const void* data, size_t bytes) {
  if (bytes && std::fwrite(data, 1, bytes, file_) != bytes) {
    fail("cannot be written");
  }
}

void NewFile::write(const array& x) {
  if (x.nbytes() > 0) write(x.output()->address(), x.nbytes());
}

void NewFile::finish() {
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) {
    fail("cannot be written");
  }
  const int error = std::fclose(file_);
  file_ = nullptr;
  if (error) fail("cannot be written");
  if (std::rename(part_.c_str(), path_.c_str()) != 0) {
    fail("cannot be put in place");
  }
  done_ = true;
}

void NewFile::fail(std::string_view what) {
  unsupported(op_, fmt::format("'{}' {}: {}.", path_, what, system_error()));
}

}  // namespace treadle
