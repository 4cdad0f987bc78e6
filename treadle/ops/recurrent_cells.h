// What one step of an LSTM or a GRU does with its gates, apart from the
// product with the state: ops of their own, so that gradients of all gates are
// written side by side, as the product behind them reads them.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// Inputs: x and p (..., 4 H), whose sum are the gates i, f, g, o; c (..., H).
// Outputs, (..., H) each: h = o' tanh(c'), c' = f' c + i' g', and what only the
// gradient reads: i', f', o' (sigmoids) and g' (tanh), in the order of gates.
// (Hochreiter & Schmidhuber 1997; Gers et al. 2000)
struct LstmCell : Composite<LstmCell> {
  static constexpr std::string_view op_name = "lstm_cell";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Arrays expand(const Arrays& x) const override;
};

// Inputs: c, c', i', f', g', o' of the above, and cotangents of h and c'.
// Outputs: that of the gates (..., 4 H), and that of c.
struct LstmCellGrad : Composite<LstmCellGrad> {
  static constexpr std::string_view op_name = "lstm_cell_grad";
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
};

// Inputs: x and p (..., 3 H), made from the step's input and from the state,
// for the gates r, z, n; h (..., H). Outputs, (..., H) each: h' = (1 - z') n' +
// z' h with n' = tanh(x_n + r' p_n), and r', z', n' for the gradient.
// (Cho et al. 2014)
struct GruCell : Composite<GruCell> {
  static constexpr std::string_view op_name = "gru_cell";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Arrays expand(const Arrays& x) const override;
};

// {h, c'} of LstmCell, and h' of GruCell.
std::pair<array, array> lstm_cell(const array& x,
                                  const array& p,
                                  const array& c);
array gru_cell(const array& x, const array& p, const array& h);

}  // namespace treadle
