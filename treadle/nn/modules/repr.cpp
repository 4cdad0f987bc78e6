#include "treadle/nn/modules/repr.h"

#include <fmt/format.h>

namespace treadle::nn {

std::string python(double v) {
  std::string s = fmt::format("{}", v);
  return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
}

std::string python(const Shape& v) {
  std::string s = "(";
  for (size_t i = 0; i < v.size(); ++i) {
    if (i > 0) s += ", ";
    s += v[i] == -1 ? "None" : fmt::format("{}", v[i]);
  }
  return s + (v.size() == 1 ? ",)" : ")");
}

}  // namespace treadle::nn
