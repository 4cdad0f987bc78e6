#include "treadle/train/progress.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

namespace treadle::train {

namespace {

constexpr int kBarWidth = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);

// 8211 -> "8,211".
std::string grouped(double v) {
  std::string digits = fmt::format("{:.0f}", v), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace

size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return in ? resident * size_t(::sysconf(_SC_PAGESIZE)) : 0;
}

Progress::Progress(std::string title,
                   int64_t total,
                   std::string unit,
                   std::FILE* out)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      out_(out),
      terminal_(::isatty(::fileno(out)) != 0),
      start_(std::chrono::steady_clock::now()) {
  if (terminal_) draw();
}

Progress::~Progress() {
  if (!finished_ && terminal_) std::fputc('\n', out_);
}

void Progress::advance(int64_t count, Values values) {
  done_ += count;
  show(values);
  if (terminal_ && std::chrono::steady_clock::now() - drawn_ >= kRedraw) draw();
}

void Progress::finish(Values values) {
  if (finished_) return;
  show(values);
  draw();
  std::fputc('\n', out_);
  std::fflush(out_);
  finished_ = true;
}

double Progress::rate() const {
  std::chrono::duration<double> t = std::chrono::steady_clock::now() - start_;
  return t.count() > 0 ? double(done_) / t.count() : 0;
}

void Progress::show(Values values) {
  if (values.size() == 0) return;
  values_.clear();
  for (auto& [name, value] : values)
    values_ += fmt::format("  {} {:.4f}", name, value);
}

std::string Progress::line() const {
  double part = total_ > 0 ? std::min(1.0, double(done_) / double(total_)) : 1;
  int filled = int(part * kBarWidth);
  return fmt::format("{} [{}{}] {:3.0f}%{}  {} {}/s  {} MB",
                     title_,
                     std::string(size_t(filled), '#'),
                     std::string(size_t(kBarWidth - filled), '-'),
                     part * 100,
                     values_,
                     grouped(rate()),
                     unit_,
                     grouped(double(resident_bytes()) / 1e6));
}

void Progress::draw() {
  drawn_ = std::chrono::steady_clock::now();
  // Back to the start of the line and clear what a longer one left.
  std::string text = terminal_ ? fmt::format("\r{}\x1b[K", line()) : line();
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace treadle::train
