// BatchNorm, LayerNorm, RMSNorm, GroupNorm and InstanceNorm.
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

// fast::layer_norm (ops/norms.h). weight and bias (dims,) start as ones and
// zeros; an eps that is not positive throws std::invalid_argument, here and
// below.
struct LayerNorm : Module {
  explicit LayerNorm(int dims,
                     double eps = 1e-5,
                     bool affine = true,
                     bool with_bias = true);

  array weight, bias;  // null without
  TREADLE_MODULE(LayerNorm, weight, bias)

  array operator()(const array& x) const;  // (..., dims) -> the same
  std::string extra_repr() const override;
  std::string brief() const override { return std::to_string(dims_); }

 private:
  int dims_;
  double eps_;
};

// fast::rms_norm (ops/norms.h).
struct RMSNorm : Module {
  explicit RMSNorm(int dims, double eps = 1e-5);

  array weight;  // (dims,), ones
  TREADLE_MODULE(RMSNorm, weight)

  array operator()(const array& x) const;  // (..., dims) -> the same
  std::string extra_repr() const override;
  std::string brief() const override { return std::to_string(dims_); }

 private:
  int dims_;
  double eps_;
};

// See group_norm in functional/normalization.h.
struct GroupNorm : Module {
  GroupNorm(int num_groups,
            int dims,
            double eps = 1e-5,
            bool affine = true,
            bool pytorch_compatible = false);

  array bias, weight;  // (dims,), zeros and ones; null unless affine
  TREADLE_MODULE(GroupNorm, bias, weight)

  array operator()(const array& x) const;  // (N, ..., dims) -> the same
  std::string extra_repr() const override;

 private:
  int num_groups_, dims_;
  double eps_;
  bool pytorch_compatible_;
};

// See instance_norm in functional/normalization.h.
struct InstanceNorm : Module {
  explicit InstanceNorm(int dims, double eps = 1e-5, bool affine = false);

  array weight, bias;  // (dims,), ones and zeros; null unless affine
  TREADLE_MODULE(InstanceNorm, weight, bias)

  array operator()(const array& x) const;  // (N, ..., dims) -> the same
  std::string extra_repr() const override;

 private:
  int dims_;
  double eps_;
};

}  // namespace treadle::nn
