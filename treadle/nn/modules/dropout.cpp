#include "treadle/nn/modules/dropout.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/dropout.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

namespace {

double checked(std::string_view op, double p) {
  if (p >= 0 && p < 1) return p;
  invalid(op, fmt::format("the probability is {}; expected [0, 1).", p));
}

}  // namespace

#define TREADLE_DROPOUT(Class, function)                            \
  Class::Class(double p) : p_(checked(#Class, p)) {}                \
  array Class::operator()(const array& x, const array& key) const { \
    const Call call(*this);                                         \
    return call(training() ? function(x, p_, key) : x);             \
  }                                                                 \
  std::string Class::extra_repr() const { return "p=" + python(p_); }
TREADLE_DROPOUT(Dropout, dropout)
TREADLE_DROPOUT(Dropout2d, dropout2d)
TREADLE_DROPOUT(Dropout3d, dropout3d)
#undef TREADLE_DROPOUT

}  // namespace treadle::nn
