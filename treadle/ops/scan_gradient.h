// The derivative of a scan: its steps split into a part that runs forward and
// a part that runs backward, with what the one keeps for the other.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "treadle/graph/graph.h"
#include "treadle/ops/scan.h"

namespace treadle {

// A weight's gradient that is a sum over time of products, or of plain sums:
// the steps store the factors, and one product or sum follows the loop.
struct HoistedSum {
  size_t capture = 0;
  // Which of the backward ys hold the factors; a bias has only `right`.
  size_t left = 0, right = 0;
  bool product = false;
  std::vector<int> axes;  // of a plain sum, in one step
};

struct ScanGradient {
  // The forward body with the kept values as its last outputs.
  Arrays forward_inputs, forward_outputs;
  Arrays residuals;  // one step's, as the forward body names them

  // Inputs: cotangents of the carry, sums over time so far; cotangents of the
  // ys, residuals, xs; captures. Outputs: cotangents of the carry before the
  // step, the sums; cotangents of the xs, factors of hoisted sums.
  std::shared_ptr<Graph> backward;
  std::vector<size_t> carry;   // those with a cotangent
  std::vector<size_t> ys;      // those with a cotangent
  std::vector<size_t> summed;  // captures that are summed in the carry
  std::vector<size_t> xs;      // those with a gradient
  std::vector<HoistedSum> hoisted;
};

// For a body as Scan's, without residuals. Records in the open trace.
std::shared_ptr<const ScanGradient> make_scan_gradient(const Graph& body,
                                                       size_t num_carry,
                                                       size_t num_xs);

// A loop's body has its results in row order.
void in_row_order(Graph& body);

// Records a scan of a closed body: fills in op's body and key.
Arrays record_scan(Scan op, std::shared_ptr<Graph> body, Arrays inputs);

}  // namespace treadle
