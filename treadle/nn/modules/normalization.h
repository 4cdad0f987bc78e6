// BatchNorm.
#pragma once

#include <string>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// See functional/normalization.h. While training a call normalises with the
// statistics of its input and moves the running ones, which is why it is const
// but not thread-safe; otherwise it uses the running ones. Those are parameters
// (saved, loaded) that are always frozen.
struct BatchNorm : Module {
  explicit BatchNorm(int num_features,
                     double eps = 1e-5,
                     double momentum = 0.1,
                     bool affine = true,
                     bool track_running_stats = true);

  array weight, bias;  // (num_features,), ones and zeros; null unless affine
  mutable array running_mean,
      running_var;  // zeros and ones; null unless tracked
  TREADLE_MODULE(BatchNorm, weight, bias, running_mean, running_var)

  array operator()(const array& x) const;  // (..., num_features) -> the same
  bool always_frozen(std::string_view key) const override;
  std::string extra_repr() const override;
  std::string brief() const override { return std::to_string(num_features_); }

 private:
  int num_features_;
  double eps_, momentum_;
};

}  // namespace treadle::nn
