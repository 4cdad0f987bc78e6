#include "treadle/runtime/deterministic.h"

#include <atomic>

namespace treadle {

namespace {
std::atomic<bool> state{false};
}

void set_deterministic(bool on) { state = on; }
bool deterministic() { return state; }

}  // namespace treadle
