// Event files: one JSON object a line, {"step": 20, "loss": 0.31, ...}, that
// tools/plot_curve.py draws and any log reader takes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace treadle::train {

class EventFile {
 public:
  // Replaces the file; makes its folder. Throws std::runtime_error when that
  // fails.
  explicit EventFile(const std::string& path);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // One line, on disk when this returns. Numbers that JSON lacks become null.
  void write(int64_t step,
             std::initializer_list<std::pair<std::string_view, double>> values);

 private:
  std::string path_;
  std::FILE* file_;
};

}  // namespace treadle::train
