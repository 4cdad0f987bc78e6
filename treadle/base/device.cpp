#include "treadle/base/device.h"

#include <fmt/format.h>

namespace treadle {

std::string to_string(Device d) {
  return fmt::format(
      "Device({}, {})", d.type == Device::Type::cpu ? "cpu" : "gpu", d.index);
}

std::string to_string(Stream s) {
  return fmt::format("Stream({}, {})", to_string(s.device), s.index);
}

}  // namespace treadle
