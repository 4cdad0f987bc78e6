// Looking at what a call of a model has recorded: what it costs, and where its
// numbers stop being finite. Nodes know the layer in whose call they were
// recorded, if it was called as nn::Unary or opens a ModuleScope itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "treadle/graph/array.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Multiplications and additions of the matrix products, convolutions and
// attention that `results` depend on, of the nodes numbered from `since` on
// (next_seq() before they were recorded). Results that have been computed
// already have forgotten their work, unless they were made in a trace. All
// steps of a scan and the bodies of compiled functions count.
double flops(const Arrays& results, uint64_t since = 0);

// A table of the model and all below it: shapes of results, parameters, and the
// flops of what each recorded itself; the last line has the sums. `call` calls
// the model and returns its results, which are not computed.
//
//   std::cout << nn::summary(model, [&] { return Arrays{model(x)}; });
std::string summary(Module& model, const std::function<Arrays()>& call);

// Computes what `results` depend on, one node after the other, and throws
// std::runtime_error for the first that is not finite, though all that it was
// made of is: "layers.1 (Linear 64->64): [log] ...". Gradients have the names
// of the modules that they go through. Results must not have been computed yet.
void check_finite(const Arrays& results);

}  // namespace treadle::nn
