// A 128-bit hash for plan keys, wide enough that two different graphs are never
// taken for one another in practice. Not cryptographic.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace treadle {

struct Hash128 {
  uint64_t lo = 0x9e3779b97f4a7c15ull;
  uint64_t hi = 0xc2b2ae3d27d4eb4full;

  friend bool operator==(const Hash128&, const Hash128&) = default;
};

class Hasher {
 public:
  void add(uint64_t v) {
    h_.lo = mix(h_.lo ^ v, 0xff51afd7ed558ccdull);
    h_.hi = mix(h_.hi + v, 0xc4ceb9fe1a85ec53ull);
  }
  void add(const Hash128& h) {
    add(h.lo);
    add(h.hi);
  }
  void add(std::string_view s) {
    add(uint64_t(s.size()));
    for (size_t i = 0; i < s.size(); i += 8) {
      uint64_t v = 0;
      std::memcpy(&v, s.data() + i, s.size() - i < 8 ? s.size() - i : 8);
      add(v);
    }
  }
  Hash128 result() const { return h_; }

 private:
  static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ using U128 = unsigned __int128;
    U128 p = static_cast<U128>(a ^ b) * 0x9e3779b97f4a7c15ull;
    return uint64_t(p) ^ uint64_t(p >> 64) ^ (a >> 29);
  }
  Hash128 h_;
};

struct HashOf128 {
  size_t operator()(const Hash128& h) const { return size_t(h.lo); }
};

}  // namespace treadle
