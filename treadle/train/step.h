// The compiled training step.
#pragma once

#include <string>

#include "treadle/nn/modules/module.h"
#include "treadle/optimizers/optimizer.h"
#include "treadle/transforms/compile.h"

namespace treadle::train {

// Two states read and replaced as one.
CapturedState joined(CapturedState a, CapturedState b);

// `step` compiled, with the model's arrays (running statistics too) and the
// optimizer's state as captured state, and what else is given (a loss scale's,
// averages'). It is traced once for each signature of its arguments; later
// calls run the plan and replace the arrays. All of these must outlive the
// result.
//
//   auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
//     auto [loss, grads] = loss_and_grads(in[0], in[1]);
//     optimizer.update(model, grads);
//     return Arrays{loss};
//   });
ArraysFn compile_step(nn::Module& model,
                      optimizers::Optimizer& optimizer,
                      ArraysFn step,
                      const std::string& name = "step",
                      CapturedState more = {});

}  // namespace treadle::train
