// The smallest program that uses an installed Treadle.
#include <cstdio>

#include <treadle/treadle.h>

int main() {
  treadle::array x({1.0f, 2.0f, 3.0f});
  float total = treadle::sum(x * x).item<float>();
  std::printf("1 + 4 + 9 = %g\n", total);
  return total == 14.0f ? 0 : 1;
}
