// Whether results may depend on the number of threads.
#pragma once

namespace treadle {

// True: the same bits for any number of threads, everywhere. Without it that
// holds for all but two kernels of oneDNN: products with a transposed left
// factor, which are copied then, and weight gradients of convolutions, which
// become matrix products then and are slower. For a fixed number of threads
// results never change from run to run. Process-wide; concerns what is
// evaluated afterwards.
void set_deterministic(bool on);
bool deterministic();

}  // namespace treadle
