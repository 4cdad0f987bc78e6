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

// Dropout of whole channels: of images (N, H, W, C) or (H, W, C).
struct Dropout2d : Module {
  explicit Dropout2d(double p = 0.5);
  TREADLE_MODULE(Dropout2d)

  array operator()(const array& x) const { return (*this)(x, {}); }
  array operator()(const array& x, const array& key) const;
  std::string extra_repr() const override;

 private:
  double p_;
};

// Of volumes (N, D, H, W, C) or (D, H, W, C).
struct Dropout3d : Module {
  explicit Dropout3d(double p = 0.5);
  TREADLE_MODULE(Dropout3d)

  array operator()(const array& x) const { return (*this)(x, {}); }
  array operator()(const array& x, const array& key) const;
  std::string extra_repr() const override;

 private:
  double p_;
};

}  // namespace treadle::nn
