// The two 16-bit floating types as storage, with exact conversions to float and
// conversions from float that round to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace treadle {

namespace half {

constexpr uint16_t bfloat16_bits(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return uint16_t((u >> 16) | 0x40u);
  return uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

constexpr float from_bfloat16_bits(uint16_t b) {
  return std::bit_cast<float>(uint32_t(b) << 16);
}

constexpr uint16_t float16_bits(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  uint16_t sign = uint16_t((u >> 16) & 0x8000u);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return uint16_t(sign | 0x7e00u);
  if (u >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // rounds to infinity
  if (u <
      0x38800000u) {  // subnormal: let the adder round to a multiple of 2^-24
    float r = std::bit_cast<float>(u) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(r) - 0x3f000000u));
  }
  u += 0xfffu + ((u >> 13) & 1u);
  return uint16_t(sign | ((u - 0x38000000u) >> 13));
}

constexpr float from_float16_bits(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000u) << 16;
  uint32_t e = (h >> 10) & 0x1fu;
  uint32_t m = h & 0x3ffu;
  if (e == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (m << 13));
  if (e == 0) {
    float f = float(m) * 5.9604644775390625e-08f;  // 2^-24
    return std::bit_cast<float>(std::bit_cast<uint32_t>(f) | sign);
  }
  return std::bit_cast<float>(sign | ((e + 112u) << 23) | (m << 13));
}

}  // namespace half

struct float16_t {
  uint16_t bits = 0;
  constexpr float16_t() = default;
  constexpr explicit float16_t(float f) : bits(half::float16_bits(f)) {}
  constexpr operator float() const { return half::from_float16_bits(bits); }
};

struct bfloat16_t {
  uint16_t bits = 0;
  constexpr bfloat16_t() = default;
  constexpr explicit bfloat16_t(float f) : bits(half::bfloat16_bits(f)) {}
  constexpr operator float() const { return half::from_bfloat16_bits(bits); }
};

}  // namespace treadle
