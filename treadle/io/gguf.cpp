// File: "GGUF", version (uint32), number of tensors, number of metadata entries
// (uint64 each), the entries (key, type, value), a description of each tensor
// (name, number of axes, lengths from the last axis to the first, type, offset
// of its data), padding, the data. Text is a length (uint64) and bytes; all is
// little-endian.
#include "treadle/io/gguf.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/io/file.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

constexpr std::string_view kLoad = "load_gguf", kSave = "save_gguf";
constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kAlignment = "general.alignment";
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1 << 16;  // what is written
constexpr int64_t kMaxAxes = 8;              // the format's own limit is 4

// Tensor types whose elements are as they are in memory.
constexpr std::pair<uint32_t, Dtype> kTypes[] = {{0, float32},
                                                 {1, float16},
                                                 {24, int8},
                                                 {25, int16},
                                                 {26, int32},
                                                 {27, int64},
                                                 {28, float64},
                                                 {30, bfloat16}};

// Types of blocks of 32 elements that become packed integers with a scale and
// an offset for each block.
struct Blocks {
  uint32_t type;
  int bits;
  bool has_offset;  // else it follows from the scale
  uint64_t bytes;   // of a block
};
constexpr Blocks kBlocks[] = {
    {2, 4, false, 18}, {3, 4, true, 20}, {8, 8, false, 34}};
constexpr int64_t kGroup = 32;

// Types of metadata.
enum class Value : uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  truth,
  text,
  list,
  u64,
  i64,
  f64,
};

std::optional<Dtype> dtype_of_value(Value v) {
  switch (v) {
    case Value::u8:
      return uint8;
    case Value::i8:
      return int8;
    case Value::u16:
      return uint16;
    case Value::i16:
      return int16;
    case Value::u32:
      return uint32;
    case Value::i32:
      return int32;
    case Value::f32:
      return float32;
    case Value::truth:
      return bool_;
    case Value::u64:
      return uint64;
    case Value::i64:
      return int64;
    case Value::f64:
      return float64;
    default:
      return {};
  }
}

class Reader : public FileReader {
 public:
  using FileReader::FileReader;

  array values(Value type, const Shape& shape) {
    const Dtype dtype = *dtype_of_value(type);
    const uint64_t n = uint64_t(size_of(shape));
    const char* from = take(count(n, size_of(dtype)) * size_of(dtype));
    std::vector<char> bytes(from, from + n * size_of(dtype));
    if (dtype == bool_) {
      for (char& b : bytes) b = b != 0;
    }
    return array::from_bytes(bytes.data(), shape, dtype);
  }
  Value type() { return static_cast<Value>(number<uint32_t>()); }

  GgufValue value(const std::string& key) {
    const Value t = type();
    if (dtype_of_value(t)) return values(t, {});
    if (t == Value::text) return text();
    if (t != Value::list) {
      bad(fmt::format(
          "gives '{}' the type {}, which is not known.", key, uint32_t(t)));
    }
    const Value of = type();
    const auto n = number<uint64_t>();
    if (dtype_of_value(of)) {
      return values(of, {int64_t(count(n, 1))});
    }
    if (of != Value::text) {
      bad(
          fmt::format("has a list '{}' of elements of type {}; expected "
                      "numbers or texts.",
                      key,
                      uint32_t(of)));
    }
    std::vector<std::string> texts;
    for (uint64_t i = count(n, sizeof(uint64_t)); i > 0; --i) {
      texts.push_back(text());
    }
    return texts;
  }
};

struct Entry {
  std::string name;
  Shape shape;
  uint32_t type = 0;
  uint64_t offset = 0, bytes = 0;
  std::optional<Dtype> dtype;      // none: blocks
  const Blocks* blocks = nullptr;  // null: plain elements
};

// Fills in what follows from the type and the shape, and checks it.
void measure(const Reader& r, Entry& e) {
  for (auto [type, dtype] : kTypes) {
    if (type == e.type) e.dtype = dtype;
  }
  for (const Blocks& b : kBlocks) {
    if (b.type == e.type) e.blocks = &b;
  }
  if (!e.dtype && !e.blocks) {
    r.bad(
        fmt::format("has a tensor '{}' of type {}, which is not supported; "
                    "F32, F16, BF16, F64, I8 to I64, Q4_0, Q4_1 and Q8_0 "
                    "are.",
                    e.name,
                    e.type));
  }
  // Counted in bytes, as no other count of a tensor is larger.
  const auto size = bytes_in_file(Spec{e.shape, e.dtype.value_or(uint8)});
  if (!size) {
    r.bad(fmt::format(
        "has a tensor '{}' of shape {}.", e.name, to_string(e.shape)));
  }
  e.bytes = *size;
  if (!e.blocks) return;
  if (e.shape.empty() || e.shape.back() % kGroup != 0) {
    r.bad(fmt::format("has a tensor '{}' of blocks of {} and shape {}.",
                      e.name,
                      kGroup,
                      to_string(e.shape)));
  }
  e.bytes = *size / uint64_t(kGroup) * e.blocks->bytes;
}

Entry read_entry(Reader& r) {
  Entry e;
  e.name = r.text();
  const auto axes = r.number<uint32_t>();
  if (axes > kMaxAxes) {
    r.bad(fmt::format("has a tensor '{}' of {} axes.", e.name, axes));
  }
  for (uint32_t i = 0; i < axes; ++i) {
    const auto n = r.number<uint64_t>();
    if (n > uint64_t(INT64_MAX)) {
      r.bad(fmt::format("has a tensor '{}' with an axis of {}.", e.name, n));
    }
    e.shape.insert(e.shape.begin(), int64_t(n));
  }
  e.type = r.number<uint32_t>();
  e.offset = r.number<uint64_t>();
  measure(r, e);
  return e;
}

// Blocks as arrays: element i of a group is scale * q + bias, q unsigned and
// packed from the lowest bits of a word on.
void unpack(const Entry& e,
            const char* from,
            std::vector<std::pair<std::string, array>>& out) {
  const Blocks& b = *e.blocks;
  const size_t blocks = size_t(e.bytes / b.bytes);
  const int words = int(kGroup) * b.bits / 32;
  std::vector<uint32_t> weight(blocks * size_t(words), 0);
  std::vector<float16_t> scales(blocks), biases(blocks);
  for (size_t i = 0; i < blocks; ++i) {
    const char* at = from + i * b.bytes;
    std::memcpy(&scales[i], at, 2);
    at += 2;
    if (b.has_offset) {
      std::memcpy(&biases[i], at, 2);
      at += 2;
    } else {
      // Signed numbers, made unsigned by half of their range.
      biases[i] = float16_t(-float(1 << (b.bits - 1)) * float(scales[i]));
    }
    uint32_t* to = &weight[i * size_t(words)];
    for (int k = 0; k < int(kGroup); ++k) {
      uint32_t q;
      if (b.bits == 8) {
        q = uint8_t(at[k]) ^ 0x80u;
      } else {
        // Low halves of the bytes first, then the high ones.
        q = uint8_t(at[k % 16]) >> (k < 16 ? 0 : 4) & 15u;
      }
      const int per_word = 32 / b.bits;
      to[k / per_word] |= q << (k % per_word * b.bits);
    }
  }
  Shape packed = e.shape, groups = e.shape;
  packed.back() = packed.back() / kGroup * words;
  groups.back() /= kGroup;
  constexpr std::string_view kEnding = ".weight";
  std::string prefix = e.name;
  if (prefix.ends_with(kEnding)) prefix.resize(prefix.size() - kEnding.size());
  out.emplace_back(e.name, array::from(weight.data(), packed));
  out.emplace_back(prefix + ".scales", array::from(scales.data(), groups));
  out.emplace_back(prefix + ".biases", array::from(biases.data(), groups));
}

// What the metadata say; 0 for what cannot be an alignment.
uint64_t alignment_of(
    const std::vector<std::pair<std::string, GgufValue>>& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != kAlignment) continue;
    const array* a = std::get_if<array>(&value);
    const uint64_t n =
        a && a->ndim() == 0 && a->dtype() == uint32 ? a->item<uint32_t>() : 0;
    return n % 8 == 0 ? n : 0;
  }
  return kDefaultAlignment;
}

void check_overlap(const Reader& r, std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.offset < b.offset;
  });
  const Entry* before = nullptr;
  for (const Entry& e : entries) {
    if (e.bytes == 0) continue;
    if (before && before->offset + before->bytes > e.offset) {
      r.bad(fmt::format(
          "has overlapping tensors '{}' and '{}'.", before->name, e.name));
    }
    before = &e;
  }
}

}  // namespace

Gguf load_gguf(const std::string& path) {
  const Mapping file(path, kLoad);
  Reader r(file.text(), path, kLoad);
  if (!file.text().starts_with(kMagic)) r.bad("is not a GGUF file.");
  r.take(kMagic.size());
  const auto version = r.number<uint32_t>();
  if (version != 2 && version != 3) {
    r.bad(fmt::format("is of version {}; expected 2 or 3.", version));
  }
  const auto num_tensors = r.number<uint64_t>();
  const auto num_values = r.number<uint64_t>();
  Gguf g;
  std::set<std::string> names;
  auto once = [&](const std::string& name) {
    if (!names.insert(name).second) {
      r.bad(fmt::format("names '{}' twice.", name));
    }
  };
  // A key, a type and a value have at least 13 bytes, a description 24.
  for (uint64_t i = r.count(num_values, 13); i > 0; --i) {
    std::string key = r.text();
    once(key);
    GgufValue v = r.value(key);
    g.metadata.emplace_back(std::move(key), std::move(v));
  }
  names.clear();
  std::vector<Entry> entries;
  for (uint64_t i = r.count(num_tensors, 24); i > 0; --i) {
    entries.push_back(read_entry(r));
    once(entries.back().name);
  }
  const uint64_t alignment = alignment_of(g.metadata);
  if (alignment == 0) r.bad("has an alignment that is no multiple of 8.");
  const uint64_t start = (r.at() + alignment - 1) / alignment * alignment;
  const uint64_t data = start < file.bytes() ? file.bytes() - start : 0;
  for (const Entry& e : entries) {
    if (e.offset > data || e.bytes > data - e.offset) {
      r.bad(
          fmt::format("says that tensor '{}' has {} bytes at {}; there are "
                      "{} bytes of data.",
                      e.name,
                      e.bytes,
                      e.offset,
                      data));
    }
  }
  check_overlap(r, entries);
  for (const Entry& e : entries) {
    // What has no bytes may be said to lie beyond the end.
    const uint64_t at = e.bytes == 0 ? 0 : start + e.offset;
    if (e.blocks) {
      unpack(e, file.data() + at, g.tensors);
    } else {
      g.tensors.emplace_back(e.name, file.at(at, {e.shape, *e.dtype}));
    }
  }
  names.clear();
  for (const auto& [name, x] : g.tensors) once(name);
  return g;
}

// --- Writing -----------------------------------------------------------------

namespace {

void write_value(FileWriter& w, const std::string& key, const GgufValue& v) {
  if (const auto* text = std::get_if<std::string>(&v)) {
    w.number(Value::text);
    w.text(*text);
    return;
  }
  if (const auto* texts = std::get_if<std::vector<std::string>>(&v)) {
    w.number(Value::list);
    w.number(Value::text);
    w.number(uint64_t(texts->size()));
    for (const std::string& t : *texts) w.text(t);
    return;
  }
  const auto* given = std::get_if<array>(&v);
  std::optional<Value> type;
  for (uint32_t t = 0; given && t <= uint32_t(Value::f64); ++t) {
    if (dtype_of_value(Value(t)) == given->dtype()) type = Value(t);
  }
  if (!type || given->ndim() > 1) {
    invalid(kSave,
            fmt::format("the metadata '{}' is {}; expected a text, a list of "
                        "texts, or numbers with at most one axis, of "
                        "integers, bool, float32 or float64.",
                        key,
                        given ? to_string(given->spec()) : "nothing"));
  }
  const array x = contiguous(*given);
  x.eval();
  if (x.ndim() == 1) {
    w.number(Value::list);
    w.number(*type);
    w.number(uint64_t(x.size()));
  } else {
    w.number(*type);
  }
  w.elements(x);
}

uint32_t type_of(const std::string& name, const array& x) {
  for (auto [type, dtype] : kTypes) {
    if (dtype == x.dtype()) return type;
  }
  invalid(kSave,
          fmt::format("'{}' is {}; the format has float32, float16, bfloat16, "
                      "float64, int8, int16, int32 and int64.",
                      name,
                      name_of(x.dtype())));
}

}  // namespace

void save_gguf(const std::string& path,
               const std::vector<std::pair<std::string, array>>& tensors,
               const std::vector<std::pair<std::string, GgufValue>>& metadata) {
  const uint64_t alignment = alignment_of(metadata);
  if (alignment == 0 || alignment > kMaxAlignment) {
    invalid(kSave,
            fmt::format("'{}' must be a multiple of 8 up to {}, of uint32.",
                        kAlignment,
                        kMaxAlignment));
  }
  FileWriter w;
  std::set<std::string> names;
  auto once = [&](const std::string& name) {
    if (!names.insert(name).second) {
      invalid(kSave, fmt::format("the name '{}' is given twice.", name));
    }
  };
  w.number(uint32_t(0x46554747));  // "GGUF"
  w.number(uint32_t(3));
  w.number(uint64_t(tensors.size()));
  w.number(uint64_t(metadata.size()));
  for (const auto& [key, value] : metadata) {
    once(key);
    if (!is_utf8(key)) invalid(kSave, "a key is not UTF-8.");
    w.text(key);
    write_value(w, key, value);
  }
  names.clear();
  Arrays values;
  uint64_t offset = 0;
  for (const auto& [name, x] : tensors) {
    once(name);
    if (x.ndim() > kMaxAxes) {
      invalid(kSave,
              fmt::format("'{}' is {}; the format has at most {} axes.",
                          name,
                          to_string(x.spec()),
                          kMaxAxes));
    }
    w.text(name);
    w.number(uint32_t(x.ndim()));
    for (int i = x.ndim(); i-- > 0;) w.number(uint64_t(x.shape(i)));
    w.number(type_of(name, x));
    w.number(offset);
    offset += (x.nbytes() + alignment - 1) / alignment * alignment;
    values.push_back(contiguous(x));
  }
  w.pad(alignment);
  treadle::eval(values);

  NewFile file(path, kSave);
  file.write(w.bytes());
  const std::string zeros(alignment, '\0');
  for (const array& x : values) {
    file.write(x);
    const size_t over = x.nbytes() % alignment;
    if (over) file.write(zeros.data(), alignment - over);
  }
  file.finish();
}

}  // namespace treadle
