#include "treadle/nn/modules/repr.h"

#include <fmt/format.h>

namespace treadle::nn {

std::string python(double v) {
  std::string s = fmt::format("{}", v);
  return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
}

}  // namespace treadle::nn
