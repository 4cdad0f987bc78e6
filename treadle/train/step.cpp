#include "treadle/train/step.h"

#include <memory>

namespace treadle::train {

CapturedState joined(CapturedState a, CapturedState b) {
  auto first = std::make_shared<size_t>(0);  // how many arrays a has
  CapturedState both;
  both.get = [a, b, first] {
    Arrays out = a.get(), rest = b.get();
    *first = out.size();
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  };
  both.set = [a = std::move(a), b = std::move(b), first](const Arrays& values) {
    auto middle = values.begin() + long(*first);
    a.set(Arrays(values.begin(), middle));
    b.set(Arrays(middle, values.end()));
  };
  return both;
}

ArraysFn compile_step(nn::Module& model,
                      optimizers::Optimizer& optimizer,
                      ArraysFn step,
                      const std::string& name,
                      CapturedState more) {
  // State that appears while tracing would have nothing to be put back to.
  optimizer.init(model.trainable_parameters());
  CapturedState state =
      joined(nn::captured(model), optimizers::captured(optimizer));
  if (more.get) state = joined(std::move(state), std::move(more));
  CompileOptions options;
  options.name = name;
  options.inputs = state;
  options.outputs = state;
  return compile(std::move(step), std::move(options));
}

}  // namespace treadle::train
