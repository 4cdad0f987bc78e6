// A progress bar on the terminal, and what it measures.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace treadle::train {

// One line, redrawn at most ten times a second:
//
//   epoch 2/5 [#########---------]  52%  loss 0.1234  accuracy 0.9612  8,211
//   images/s  96 MB
//
// Where the output is no terminal, only the finished line is written.
class Progress {
 public:
  using Values = std::initializer_list<std::pair<std::string_view, double>>;

  // `total` units of work, named `unit` in the rate ("images").
  Progress(std::string title,
           int64_t total,
           std::string unit,
           std::FILE* out = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `count` more units are done; the values are shown from now on.
  void advance(int64_t count, Values values = {});
  // Draws the line for the last time, with these values, and ends it.
  void finish(Values values = {});

  // Units a second since the beginning.
  double rate() const;

 private:
  void show(Values values);
  std::string line() const;
  void draw();

  std::string title_, unit_, values_;
  int64_t total_, done_ = 0;
  std::FILE* out_;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point start_, drawn_;
};

// Memory of this process that is in use now, in bytes; 0 where that is not
// known.
size_t resident_bytes();

}  // namespace treadle::train
