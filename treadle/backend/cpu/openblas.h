// The one OpenBLAS of the process, loaded when it is first called. Its own
// threads are off: a second pool would compete with ours for the cores.
#pragma once

#ifdef TREADLE_HAS_OPENBLAS

#include "treadle/backend/cpu/shared_library.h"

namespace treadle::backend::cpu {

extern SharedLibrary openblas;

// To be called before any of its functions.
void prepare_openblas();

}  // namespace treadle::backend::cpu

#define TREADLE_IMPORT_OPENBLAS(name)                             \
  constinit const Imported<decltype(scipy_##name)> name(openblas, \
                                                        "scipy_" #name);

#endif
