#include "treadle/nn/modules/hooks.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include "treadle/base/listing.h"

namespace treadle::nn {

namespace {

thread_local const Call* innermost = nullptr;
thread_local std::vector<Hooks*> watching;

}  // namespace

Call::Call(const Module& module)
    : module_(module),
      outer_(innermost),
      seen_(outer_ && &outer_->module_ == &module),
      scope_(module.label()) {
  innermost = this;
}

Call::~Call() { innermost = outer_; }

void Call::show(Arrays& outputs) const {
  // Hooks that are made or gone while one runs are for the next call.
  const std::vector<Hooks*> now = watching;
  for (Hooks* h : now) {
    const auto found = h->paths_.find(&module_);
    if (found == h->paths_.end()) continue;
    const size_t count = outputs.size();
    h->hook_(found->second, module_, outputs);
    if (outputs.size() == count) continue;
    invalid("Hooks",
            fmt::format("a hook gives {} results for '{}'; expected {}.",
                        outputs.size(),
                        found->second,
                        count));
  }
}

array Call::operator()(array output) const {
  if (seen_ || watching.empty()) return output;
  Arrays outputs = {std::move(output)};
  show(outputs);
  return outputs[0];
}

std::pair<array, array> Call::operator()(
    std::pair<array, array> outputs) const {
  if (seen_ || watching.empty()) return outputs;
  Arrays both = {std::move(outputs.first), std::move(outputs.second)};
  show(both);
  return {both[0], both[1]};
}

Hooks::Hooks(Module& model, Hook hook, std::vector<std::string> patterns)
    : hook_(std::move(hook)) {
  std::vector<bool> found(patterns.size());
  std::vector<std::string> paths;
  for (const auto& [path, module] : model.named_modules()) {
    paths.push_back(path);
    for (size_t i = 0; i < patterns.size(); ++i) {
      if (fnmatch(patterns[i].c_str(), path.c_str(), 0) != 0) continue;
      paths_.emplace(module, path);
      found[i] = true;
    }
  }
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (found[i]) continue;
    invalid("Hooks",
            fmt::format("no module is at '{}'; there are {}.",
                        patterns[i],
                        some_of(paths)));
  }
  watching.push_back(this);
}

Hooks::~Hooks() { std::erase(watching, this); }

Capture::Capture(Module& model, std::vector<std::string> patterns)
    : hooks_(
          model,
          [this](const std::string& path, const Module&, Arrays& outputs) {
            calls_.emplace_back(path, outputs);
          },
          std::move(patterns)) {}

const array& Capture::operator[](const std::string& path) const {
  const auto last =
      std::find_if(calls_.rbegin(), calls_.rend(), [&](const auto& call) {
        return call.first == path;
      });
  if (last != calls_.rend()) return last->second[0];
  std::vector<std::string> paths;
  for (const auto& call : calls_) {
    if (std::find(paths.begin(), paths.end(), call.first) == paths.end()) {
      paths.push_back(call.first);
    }
  }
  out_of_range("Capture",
               fmt::format("nothing was captured at '{}'; there are: {}.",
                           path,
                           fmt::join(paths, ", ")));
}

}  // namespace treadle::nn
