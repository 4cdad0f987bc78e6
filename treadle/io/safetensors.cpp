// File: header length (uint64, little-endian), a JSON object {"name": {"dtype",
// "shape", "data_offsets": [begin, end)}, "__metadata__": {...}}, then the
// bytes; offsets count from the end of the header.
#include "treadle/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "treadle/base/error.h"
#include "treadle/io/file.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

using Json = nlohmann::ordered_json;

// Longer headers are refused, as other readers of the format do.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::pair<std::string_view, Dtype> kDtypes[] = {
    {"BOOL", bool_},
    {"U8", uint8},
    {"U16", uint16},
    {"U32", uint32},
    {"U64", uint64},
    {"I8", int8},
    {"I16", int16},
    {"I32", int32},
    {"I64", int64},
    {"F16", float16},
    {"BF16", bfloat16},
    {"F32", float32},
    {"F64", float64},
    {"C64", complex64},
    {"F8_E4M3", uint8},  // read as bits; not written
};

std::string_view format_name(Dtype dtype) {
  for (auto [name, t] : kDtypes) {
    if (t == dtype) return name;
  }
  return "";
}

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  bad_file("load_safetensors", path, what);
}

// Brackets nested deeper than the format needs would only cost memory.
bool nests_deeply(std::string_view text) {
  constexpr int kDeepest = 8;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted) {
      i += c == '\\';
      continue;
    }
    if ((c == '{' || c == '[') && ++depth > kDeepest) return true;
    if (c == '}' || c == ']') --depth;
  }
  return false;
}

// The header's JSON. Repeated keys are an error: which of the two would count
// is each reader's guess.
Json parse_header(const std::string& path, std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  auto check = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return true;
  };
  // The parser takes a zero byte for the end of the text.
  const bool hopeless = nests_deeply(text) || text.find('\0') != text.npos;
  Json header =
      hopeless
          ? Json()
          : Json::parse(text.begin(), text.end(), check, /*exceptions=*/false);
  if (!repeated.empty()) {
    bad(path, fmt::format("has a header that names '{}' twice.", repeated));
  }
  if (!header.is_object()) {
    bad(path, "has a header that is not a JSON object of tensors.");
  }
  return header;
}

struct Entry {
  std::string name;
  Spec spec;
  uint64_t begin = 0, end = 0;
};

std::optional<Dtype> dtype_named(const std::string& name) {
  for (auto [n, t] : kDtypes) {
    if (n == name) return t;
  }
  return {};
}

Entry parse_entry(const std::string& path,
                  const std::string& name,
                  const Json& j,
                  uint64_t data_bytes) {
  auto wrong = [&](const std::string& what) {
    bad(path, fmt::format("describes tensor '{}' wrongly: {}", name, what));
  };
  auto is_length = [](const Json& v) {
    return v.is_number_unsigned() && v.get<uint64_t>() <= uint64_t(INT64_MAX);
  };
  if (!j.is_object() || !j.contains("dtype") || !j.contains("shape") ||
      !j.contains("data_offsets")) {
    wrong("expected dtype, shape and data_offsets.");
  }
  Entry e{name, {}, 0, 0};
  const Json &dtype = j["dtype"], &shape = j["shape"],
             &offsets = j["data_offsets"];
  auto known =
      dtype.is_string() ? dtype_named(dtype.get<std::string>()) : std::nullopt;
  if (!known) wrong(fmt::format("dtype {} is not known.", dtype.dump()));
  e.spec.dtype = *known;
  if (!shape.is_array()) wrong("the shape is not a list.");
  for (const Json& d : shape) {
    if (!is_length(d))
      wrong(fmt::format("{} is no length of an axis.", d.dump()));
    e.spec.shape.push_back(d.get<int64_t>());
  }
  if (!offsets.is_array() || offsets.size() != 2 || !is_length(offsets[0]) ||
      !is_length(offsets[1])) {
    wrong("data_offsets are not two positions.");
  }
  e.begin = offsets[0].get<uint64_t>();
  e.end = offsets[1].get<uint64_t>();
  if (e.begin > e.end || e.end > data_bytes) {
    wrong(fmt::format("it lies at [{}, {}), the file holds {} bytes of data.",
                      e.begin,
                      e.end,
                      data_bytes));
  }
  auto needed = bytes_in_file(e.spec);
  if (!needed || *needed != e.end - e.begin) {
    wrong(fmt::format("{} does not have the {} bytes it is given.",
                      to_string(e.spec),
                      e.end - e.begin));
  }
  return e;
}

void check_overlap(const std::string& path, const std::vector<Entry>& entries) {
  std::vector<const Entry*> sorted;
  for (const Entry& e : entries) {
    if (e.begin != e.end) sorted.push_back(&e);
  }
  std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) {
    return a->begin < b->begin;
  });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->begin < sorted[i - 1]->end) {
      bad(path,
          fmt::format("has overlapping tensors '{}' and '{}'.",
                      sorted[i - 1]->name,
                      sorted[i]->name));
    }
  }
}

}  // namespace

Safetensors load_safetensors(const std::string& path) {
  Mapping file(path, "load_safetensors");
  uint64_t header_bytes = 0;
  if (file.bytes() < sizeof header_bytes) {
    bad(path,
        fmt::format("has {} bytes; a safetensors file has at least 8.",
                    file.bytes()));
  }
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeader ||
      header_bytes > file.bytes() - sizeof header_bytes) {
    bad(path,
        fmt::format("says that its header has {} bytes; the file has {}{}.",
                    header_bytes,
                    file.bytes(),
                    header_bytes > kMaxHeader
                        ? fmt::format(" and headers at most {}", kMaxHeader)
                        : ""));
  }
  const uint64_t data_start = sizeof header_bytes + header_bytes;
  Json header = parse_header(
      path, {file.data() + sizeof header_bytes, size_t(header_bytes)});

  Safetensors out;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      entries.push_back(
          parse_entry(path, name, value, file.bytes() - data_start));
      continue;
    }
    if (value.is_null()) continue;  // what MLX writes when there is none
    if (!value.is_object())
      bad(path, "has metadata that is not a JSON object.");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) {
        bad(path, fmt::format("has metadata '{}' that is not text.", key));
      }
      out.metadata[key] = text.get<std::string>();
    }
  }
  check_overlap(path, entries);
  for (const Entry& e : entries) {
    out.tensors.emplace_back(e.name, file.at(data_start + e.begin, e.spec));
  }
  return out;
}

void save_safetensors(const std::string& path,
                      const std::vector<std::pair<std::string, array>>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  constexpr std::string_view op = "save_safetensors";
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  Arrays values;
  uint64_t end = 0;
  for (const auto& [name, value] : tensors) {
    if (name == kMetadata || header.contains(name)) {
      invalid(op,
              fmt::format("the name '{}' is {}.",
                          name,
                          name == kMetadata ? "reserved" : "given twice"));
    }
    uint64_t begin = end;
    end += value.nbytes();
    header[name] = {
        {"dtype", format_name(value.dtype())},
        {"shape",
         std::vector<int64_t>(value.shape().begin(), value.shape().end())},
        {"data_offsets", {begin, end}}};
    values.push_back(contiguous(value));
  }
  treadle::eval(values);

  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    invalid(op, "a name or metadata is not UTF-8.");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that data starts aligned
  const uint64_t header_bytes = text.size();

  NewFile file(path, op);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text);
  for (const array& x : values) file.write(x);
  file.finish();
}

}  // namespace treadle
