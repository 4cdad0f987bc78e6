// ZIP: entries, each a local header and its bytes; a directory of all entries;
// at the end a record that says where the directory is. Numbers are
// little-endian; those that do not fit 32 bits are in an extra field (ZIP64).
#include "treadle/io/npz.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <zlib.h>

#include "treadle/base/error.h"
#include "treadle/io/file.h"
#include "treadle/io/npy.h"
#include "treadle/io/npy_part.h"

namespace treadle {

namespace {

constexpr std::string_view kLoad = "load_npz", kSave = "save_npz";
constexpr std::string_view kEnding = ".npy";

constexpr uint32_t kLocal = 0x04034b50, kEntry = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kWhereEnd64 = 0x07064b50;
constexpr uint64_t kEndBytes = 22, kWhereEnd64Bytes = 20;
constexpr uint16_t kExtra64 = 1, kVersion = 20, kUtf8 = 1 << 11;
constexpr uint32_t kInExtra = 0xffffffff;
// A field of no meaning moves the elements of what is written to a multiple of
// this, so that they can be mapped.
constexpr size_t kAlignment = 64, kLocalBytes = 30, kFieldBytes = 4;
constexpr uint16_t kNoMeaning = 0xd935;

struct Entry {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint32_t check = 0;
  uint64_t packed = 0, bytes = 0, at = 0;
};

class Archive {
 public:
  explicit Archive(const std::string& path) : path_(path), file_(path, kLoad) {}

  std::vector<Entry> entries() const {
    // The record is the last thing but for a comment of up to 65535 bytes.
    const std::string_view all = file_.text();
    if (all.size() < kEndBytes) bad("is no archive.");
    const size_t end = all.rfind("PK\x05\x06", all.size() - kEndBytes);
    if (end == all.npos || all.size() - end > kEndBytes + 65535) {
      bad("is no archive, or is cut short.");
    }
    FileReader r = reader(end + 8);
    r.number<uint16_t>();
    uint64_t count = r.number<uint16_t>();
    r.number<uint32_t>();
    uint64_t at = r.number<uint32_t>();
    if ((count == 0xffff || at == kInExtra) && end >= kWhereEnd64Bytes) {
      FileReader where = reader(end - kWhereEnd64Bytes);
      if (where.number<uint32_t>() != kWhereEnd64) bad("has no directory.");
      where.number<uint32_t>();
      FileReader large = reader(where.number<uint64_t>());
      if (large.number<uint32_t>() != kEnd64) bad("has no directory.");
      large.take(8 + 2 + 2 + 4 + 4 + 8);
      count = large.number<uint64_t>();
      large.number<uint64_t>();
      at = large.number<uint64_t>();
    }
    FileReader directory = reader(at);
    std::vector<Entry> out(directory.count(count, 46));
    for (Entry& e : out) e = entry(directory);
    return out;
  }

  // The array of an entry: in the mapping of the file where the entry is stored
  // as it is, unpacked and checked otherwise.
  array value(const Entry& e) const {
    FileReader r = reader(e.at);
    if (r.number<uint32_t>() != kLocal) bad(e, "is not where it should be.");
    r.take(22);
    const uint16_t name = r.number<uint16_t>(), extra = r.number<uint16_t>();
    r.take(uint64_t(name) + extra);
    if (e.packed > r.left()) bad(e, "lies outside the file.");
    if (e.flags & 1) bad(e, "is encrypted.");
    if (e.method != 0 && e.method != 8) {
      bad(e, fmt::format("is compressed by method {}.", e.method));
    }
    const std::string in_errors = path_ + ": " + e.name;
    if (e.method == 0) {
      if (e.packed != e.bytes) bad(e, "has two lengths.");
      return npy_in(file_, e.at + r.at(), e.bytes, in_errors);
    }
    const std::string bytes = inflated(e, r.take(e.packed));
    const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
    if (crc32_z(0, data, bytes.size()) != e.check) {
      bad(e, "has another check sum than it says.");
    }
    return npy_from_bytes(bytes, in_errors);
  }

  [[noreturn]] void bad(const std::string& what) const {
    bad_file(kLoad, path_, what);
  }

 private:
  [[noreturn]] void bad(const Entry& e, const std::string& what) const {
    bad(fmt::format("has an entry '{}' that {}", e.name, what));
  }

  FileReader reader(uint64_t at) const {
    if (at > file_.bytes()) bad("has an offset outside the file.");
    return {file_.text().substr(size_t(at)), path_, kLoad};
  }

  Entry entry(FileReader& r) const {
    if (r.number<uint32_t>() != kEntry) bad("has a directory that is broken.");
    Entry e;
    r.take(4);
    e.flags = r.number<uint16_t>();
    e.method = r.number<uint16_t>();
    r.take(4);
    e.check = r.number<uint32_t>();
    e.packed = r.number<uint32_t>();
    e.bytes = r.number<uint32_t>();
    const uint16_t name = r.number<uint16_t>(), extra = r.number<uint16_t>(),
                   comment = r.number<uint16_t>();
    r.take(8);
    e.at = r.number<uint32_t>();
    e.name = std::string(r.take(name), name);
    if (!is_utf8(e.name)) bad("has a name that is not UTF-8.");
    FileReader fields({r.take(extra), extra}, path_, kLoad);
    while (fields.left() >= 4) {
      const uint16_t kind = fields.number<uint16_t>();
      const uint16_t size = fields.number<uint16_t>();
      FileReader field({fields.take(size), size}, path_, kLoad);
      if (kind != kExtra64) continue;
      for (uint64_t* v : {&e.bytes, &e.packed, &e.at}) {
        if (*v == kInExtra) *v = field.number<uint64_t>();
      }
    }
    r.take(comment);
    return e;
  }

  std::string inflated(const Entry& e, const char* packed) const {
    // No byte unpacks to more than 1032: what is said may not be believed.
    if (e.bytes / 1032 > e.packed) bad(e, "is shorter than it says.");
    std::string out(e.bytes, '\0');
    z_stream z = {};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) bad(e, "cannot be unpacked.");
    uint64_t in_left = e.packed, out_left = e.bytes;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed));
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    int status = Z_OK;
    while (status == Z_OK) {
      const uInt in = uInt(std::min<uint64_t>(in_left, 1u << 30));
      const uInt room = uInt(std::min<uint64_t>(out_left, 1u << 30));
      z.avail_in = in;
      z.avail_out = room;
      status = inflate(&z, Z_NO_FLUSH);
      in_left -= in - z.avail_in;
      out_left -= room - z.avail_out;
      if (in == z.avail_in && room == z.avail_out) break;
    }
    inflateEnd(&z);
    if (status != Z_STREAM_END || out_left > 0) bad(e, "is damaged.");
    return out;
  }

  const std::string& path_;
  Mapping file_;
};

void write_names_and_sizes(FileWriter& to, const Entry& e, size_t extra) {
  to.number(kVersion);
  to.number(kUtf8);
  to.number(uint16_t(0));           // stored
  to.number(uint32_t(0x00210000));  // 1980-01-01: files do not tell the time
  to.number(e.check);
  to.number(uint32_t(e.bytes));
  to.number(uint32_t(e.bytes));
  to.number(uint16_t(e.name.size()));
  to.number(uint16_t(extra));
}

}  // namespace

std::vector<std::pair<std::string, array>> load_npz(const std::string& path) {
  const Archive archive(path);
  std::vector<std::pair<std::string, array>> out;
  std::set<std::string> names;
  for (const Entry& e : archive.entries()) {
    if (!e.name.ends_with(kEnding)) continue;
    if (!names.insert(e.name).second) {
      archive.bad(fmt::format("has two entries '{}'.", e.name));
    }
    out.emplace_back(e.name.substr(0, e.name.size() - kEnding.size()),
                     archive.value(e));
  }
  return out;
}

void save_npz(const std::string& path,
              const std::vector<std::pair<std::string, array>>& arrays) {
  std::set<std::string> names;
  uint64_t total = 0;
  for (const auto& [name, x] : arrays) {
    if (!names.insert(name).second) {
      invalid(kSave, fmt::format("the name '{}' is there twice.", name));
    }
    if (name.size() > 60000 || !is_utf8(name)) {
      invalid(kSave,
              fmt::format("a name has {} bytes; expected at most 60000, of "
                          "UTF-8.",
                          name.size()));
    }
    total += x.nbytes() + 2 * name.size() + 512;
  }
  if (total >= kInExtra || arrays.size() >= 0xffff) {
    invalid(kSave,
            fmt::format("got {} arrays of {} bytes; expected fewer than 65535 "
                        "and 4 GiB. Save them as safetensors.",
                        arrays.size(),
                        total));
  }
  NewFile file(path, kSave);
  FileWriter directory;
  uint64_t at = 0;
  for (const auto& [name, x] : arrays) {
    const std::string bytes = npy_to_bytes(x);
    Entry e;
    e.name = name + std::string(kEnding);
    e.bytes = bytes.size();
    e.check = uint32_t(
        crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
    FileWriter local;
    local.number(kLocal);
    const size_t start = at + kLocalBytes + e.name.size() + kFieldBytes;
    const size_t beside = (kAlignment - start % kAlignment) % kAlignment;
    write_names_and_sizes(local, e, kFieldBytes + beside);
    local.raw(e.name);
    local.number(kNoMeaning);
    local.number(uint16_t(beside));
    local.raw(std::string(beside, '\0'));
    file.write(local.bytes());
    file.write(bytes);
    directory.number(kEntry);
    directory.number(kVersion);
    write_names_and_sizes(directory, e, 0);
    directory.number(uint16_t(0));  // comment
    directory.number(uint16_t(0));  // disk
    directory.number(uint16_t(0));
    directory.number(uint32_t(0));
    directory.number(uint32_t(at));
    directory.raw(e.name);
    at += local.bytes().size() + bytes.size();
  }
  file.write(directory.bytes());
  FileWriter end;
  end.number(kEnd);
  end.number(uint32_t(0));
  end.number(uint16_t(arrays.size()));
  end.number(uint16_t(arrays.size()));
  end.number(uint32_t(directory.bytes().size()));
  end.number(uint32_t(at));
  end.number(uint16_t(0));
  file.write(end.bytes());
  file.finish();
}

}  // namespace treadle
