// Names of the places where work happens: devices, and streams (queues) on
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace treadle {

struct Device {
  enum class Type : uint8_t { cpu, gpu };
  Type type = Type::cpu;
  int index = 0;

  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr Device cpu{Device::Type::cpu, 0};
inline constexpr Device gpu{Device::Type::gpu, 0};

// Work on one stream runs in the order in which it was evaluated; streams are
// independent of one another and are numbered across devices.
struct Stream {
  int index = 0;
  Device device;

  friend bool operator==(const Stream&, const Stream&) = default;
};

// What an operation's last argument accepts: nothing (the default stream), a
// stream, or a device (its default stream).
class StreamOrDevice {
 public:
  StreamOrDevice() = default;
  StreamOrDevice(Stream s) : kind_(Kind::stream), stream_(s) {}
  StreamOrDevice(Device d) : kind_(Kind::device), stream_{0, d} {}

  const Stream* stream() const {
    return kind_ == Kind::stream ? &stream_ : nullptr;
  }
  const Device* device() const {
    return kind_ == Kind::device ? &stream_.device : nullptr;
  }

 private:
  enum class Kind : uint8_t { none, stream, device };
  Kind kind_ = Kind::none;
  Stream stream_;
};

std::string to_string(Device d);
std::string to_string(Stream s);

}  // namespace treadle
