// Dropout.
#pragma once

#include <string>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Zeroes elements with probability p while training; gives back what it gets
// otherwise.
struct Dropout : Module {
  explicit Dropout(double p = 0.5);
  TREADLE_MODULE(Dropout)

  array operator()(const array& x) const { return (*this)(x, {}); }
  array operator()(const array& x, const array& key) const;
  std::string extra_repr() const override;

 private:
  double p_;
};

}  // namespace treadle::nn
