#include "treadle/nn/modules/upsample.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

Upsample::Upsample(double scale_factor,
                   const std::string& mode,
                   Interpolation how)
    : Upsample(Scales{scale_factor}, mode, how) {
  one_ = true;
}

Upsample::Upsample(const Scales& scale_factor,
                   const std::string& mode,
                   Interpolation how)
    : scale_(scale_factor), one_(false), mode_(mode), how_(how) {
  if (mode != "nearest" && mode != "linear" && mode != "cubic") {
    invalid("Upsample",
            fmt::format("mode is '{}'; expected 'nearest', 'linear' or "
                        "'cubic'.",
                        mode));
  }
  if (how.antialias && (mode == "nearest" || how.align_corners)) {
    invalid("Upsample",
            "antialias is for the modes 'linear' and 'cubic' without "
            "align_corners.");
  }
}

array Upsample::operator()(const array& x) const {
  const Call call(*this);
  if (!one_ && scale_.size() + 2 != size_t(x.ndim())) {
    invalid("Upsample",
            fmt::format("got {} factors for the input {}; expected one for "
                        "each spatial axis.",
                        scale_.size(),
                        treadle::to_string(x.spec())));
  }
  if (mode_ == "nearest") return call(upsample_nearest(x, scale_));
  return call(mode_ == "linear" ? upsample_linear(x, scale_, how_)
                                : upsample_cubic(x, scale_, how_));
}

std::string Upsample::extra_repr() const {
  std::string scale;
  for (double s : scale_) scale += (scale.empty() ? "" : ", ") + python(s);
  if (!one_) scale = "(" + scale + (scale_.size() == 1 ? ",)" : ")");
  return fmt::format("scale_factor={}, mode='{}', align_corners={}{}",
                     scale,
                     mode_,
                     python(how_.align_corners),
                     how_.antialias ? ", antialias=True" : "");
}

}  // namespace treadle::nn
