#include "treadle/nn/modules/activations.h"

#include "treadle/base/error.h"
#include "treadle/ops/create.h"

namespace treadle::nn {

GELU::GELU(const std::string& approx) {
  if (approx == "none")
    function = gelu;
  else if (approx == "precise" || approx == "tanh")
    function = gelu_approx;
  else if (approx == "fast")
    function = gelu_fast_approx;
  else {
    invalid("GELU",
            "approx is '" + approx +
                "'; expected 'none', 'precise', 'tanh' or 'fast'.");
  }
}

PReLU::PReLU(int num_parameters, double init)
    : weight(full({num_parameters}, init, float32)) {}

}  // namespace treadle::nn
