#include "treadle/train/events.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "treadle/base/error.h"

namespace treadle::train {

EventFile::EventFile(const std::string& path) : path_(path) {
  std::error_code ignored;  // fopen says what is wrong
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  file_ = std::fopen(path.c_str(), "w");
  if (!file_) {
    unsupported(
        "EventFile",
        "'" + path + "' cannot be created: " + std::strerror(errno) + ".");
  }
}

EventFile::~EventFile() { std::fclose(file_); }

void EventFile::write(
    int64_t step,
    std::initializer_list<std::pair<std::string_view, double>> values) {
  nlohmann::ordered_json j = {{"step", step}};
  for (auto& [name, value] : values) j[std::string(name)] = value;
  std::string line = j.dump() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() ||
      std::fflush(file_) != 0) {
    unsupported(
        "EventFile",
        "'" + path_ + "' cannot be written: " + std::strerror(errno) + ".");
  }
}

}  // namespace treadle::train
