#include "treadle/backend/cpu/openblas.h"

#ifdef TREADLE_HAS_OPENBLAS

#include <cblas.h>

namespace treadle::backend::cpu {

constinit SharedLibrary openblas("OpenBLAS", TREADLE_OPENBLAS_LIBRARY);

namespace {
TREADLE_IMPORT_OPENBLAS(openblas_set_num_threads)
}  // namespace

void prepare_openblas() {
  static const bool single = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  (void)single;
}

}  // namespace treadle::backend::cpu

#endif
