// What a tape means, evaluated value by value in double, and the tapes that
// several tests run.
#pragma once

#include <string>
#include <vector>

#include "tests/backend/tape_maker.h"

namespace treadle::testing {

double rounded_to(Dtype t, double x);
std::vector<std::vector<double>> meaning(const plan::Tape& tape,
                                         const Shape& space,
                                         const std::vector<Tensor>& in);
// Runs a tape with 1, 2 and 4 threads, which must agree bit by bit, and
// compares with its meaning: |error| <= tolerance * (1 + |value|).
void expect_meaning(const OpPtr& op,
                    const Shape& space,
                    const std::vector<Tensor>& in,
                    double tolerance,
                    const std::string& what = "");

OpPtr chain_tape(Dtype dtype = float32);
// Rounding of a chain: its terms reach 30, of which a float is 2e-6 apart.
constexpr double kChain = 4e-6;
OpPtr softmax_tape(Dtype dtype = float32);
OpPtr layer_norm_tape();
// Full, row and column outputs from one pass.
OpPtr mixed_tape();

// 0, 1, ... limit in disorder.
Tensor naturals(Dtype dtype, const Shape& shape, int seed, int limit = 3);
Tensor scalar_over(const Shape& space, Dtype dtype, double v);

}  // namespace treadle::testing
