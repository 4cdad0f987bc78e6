// Upsample: other lengths for spatial axes. The formulas are in
// functional/upsample.h.
#pragma once

#include <string>

#include "treadle/nn/functional/upsample.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// mode: "nearest", "linear" or "cubic". One factor stands for all spatial axes.
// Throws std::invalid_argument for other modes, for antialias with "nearest" or
// with align_corners.
struct Upsample : Module {
  explicit Upsample(double scale_factor,
                    const std::string& mode = "nearest",
                    Interpolation how = {});
  explicit Upsample(const Scales& scale_factor,
                    const std::string& mode = "nearest",
                    Interpolation how = {});
  TREADLE_MODULE(Upsample)

  array operator()(const array& x) const;  // (N, ..., C) -> (N, ..., C)
  std::string extra_repr() const override;

 private:
  Scales scale_;
  bool one_;  // factor was given
  std::string mode_;
  Interpolation how_;
};

}  // namespace treadle::nn
