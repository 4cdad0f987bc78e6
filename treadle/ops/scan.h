// scan: a loop over the first axis of arrays, as one op. Its body is planned
// once; its derivative is a scan the other way.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "treadle/graph/graph.h"
#include "treadle/graph/record.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

struct ScanGradient;

// Inputs: the carry before the first step, the xs (length, ...), what the body
// captures. Outputs: the carry after the last step, the ys (length, ...), and
// the ys that only the gradient reads.
struct Scan : Composite<Scan> {
  static constexpr std::string_view op_name = "scan";
  // Inputs: carry, a step of the xs, captures. Outputs: carry, a step of the
  // ys, a step of the residuals.
  std::shared_ptr<const Graph> body;
  // How to go back, made when a trace was open; null otherwise.
  std::shared_ptr<const ScanGradient> gradient;
  Hash128 body_key;
  size_t num_carry = 0, num_xs = 0, num_residuals = 0;
  bool reverse = false;  // steps go from the last element to the first
  int64_t length = 0;

  auto fields() const {
    return std::tie(num_carry, num_xs, num_residuals, reverse);
  }
  auto sizes() const { return std::tie(length); }
  void hash_structure(Hasher& h) const override;
  bool same_as(const Op& other) const override;
  const Graph* graph() const override { return body.get(); }

  Specs infer(std::span<const Spec> in) const override;
  // One step after another: what the loop is checked against.
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
};

// What a step makes of the carry and its element of the xs.
struct ScanStep {
  Arrays carry;  // shapes and dtypes as the carry it got
  Arrays y;
};
using ScanFn = std::function<ScanStep(const Arrays& carry, const Arrays& x)>;

struct ScanOptions {
  std::optional<int64_t> length = {};  // needed when there are no xs
  bool reverse = false;                // from the last element to the first
};

// carry = init; for t: carry, ys[t] = f(carry, xs[t]). Returns the last carry
// and the ys (length, ...). f is called once, on arrays without value; random
// numbers that it draws differ from step to step. Gradients keep what the
// steps' gradients need, and sum weight gradients over time in one product
// where they are products. Throws std::invalid_argument when lengths differ, or
// the carry changes its shape or dtype.
std::pair<Arrays, Arrays> scan(const ScanFn& f,
                               const Arrays& init,
                               const Arrays& xs,
                               const ScanOptions& options = {});

}  // namespace treadle
