// Threefry-2x32, 20 rounds: the hash behind random bits (Salmon et al. 2011).
#pragma once

#include <bit>
#include <cstdint>

namespace treadle::backend::cpu {

struct Words {
  uint32_t a, b;
};

inline Words threefry2x32(Words key, Words count) {
  constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t keys[3] = {key.a, key.b, key.a ^ key.b ^ 0x1bd11bdau};
  Words w{count.a + keys[0], count.b + keys[1]};
  for (uint32_t round = 0; round < 5; ++round) {
    for (int r : rotations[round % 2]) {
      w.a += w.b;
      w.b = std::rotl(w.b, r) ^ w.a;
    }
    w.a += keys[(round + 1) % 3];
    w.b += keys[(round + 2) % 3] + round + 1;
  }
  return w;
}

}  // namespace treadle::backend::cpu
