#include "treadle/nn/modules/dropout.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/dropout.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p < 1)) {
    invalid("Dropout",
            fmt::format("the probability is {}; expected [0, 1).", p));
  }
}

array Dropout::operator()(const array& x, const array& key) const {
  ModuleScope scope(label());
  return training() ? dropout(x, p_, key) : x;
}

std::string Dropout::extra_repr() const { return "p=" + python(p_); }

}  // namespace treadle::nn
