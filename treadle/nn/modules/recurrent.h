// RNN, GRU and LSTM. The formulas are in functional/recurrent.h.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "treadle/nn/functional/recurrent.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// What the three share: layers one above the other, each in one direction or in
// both. Parameters are named as in MLX; those of further layers and of the way
// back have the endings that PyTorch gives them: "Wx_l1", "Wx_l0_reverse".
struct Recurrent : Module {
  void visit(Visitor& v) override;
  std::string extra_repr() const override;
  std::string brief() const override;

  int num_layers() const { return num_layers_; }
  bool bidirectional() const { return bidirectional_; }

  // Layer after layer, forward before backward.
  std::vector<RecurrentWeights> weights;

 protected:
  struct Names {
    const char *wx, *wh, *bias, *bhn;
  };
  using Init = Tree (*)(int in, int hidden, bool bias, Dtype dtype);
  Recurrent(Init init,
            const Names& names,
            int input_size,
            int hidden_size,
            bool bias,
            int num_layers,
            bool bidirectional);
  RecurrentOptions options(const array& hidden, const array& cell) const {
    return {hidden, cell, bidirectional_};
  }

 private:
  Names names_;
  int input_size_, hidden_size_, num_layers_;
  bool bias_, bidirectional_;
};

// (..., T, input_size) -> (..., T, hidden_size), twice that in both directions.
// `hidden` is the state before the first step; see RecurrentOptions.
struct RNN : Recurrent {
  RNN(int input_size,
      int hidden_size,
      bool bias = true,
      Nonlinearity nonlinearity = {},
      int num_layers = 1,
      bool bidirectional = false);
  std::string_view type_name() const override { return "RNN"; }
  std::string extra_repr() const override;

  array operator()(const array& x) const { return (*this)(x, array()); }
  array operator()(const array& x, const array& hidden) const;

 private:
  Nonlinearity nonlinearity_;
};

struct GRU : Recurrent {
  GRU(int input_size,
      int hidden_size,
      bool bias = true,
      int num_layers = 1,
      bool bidirectional = false);
  std::string_view type_name() const override { return "GRU"; }

  array operator()(const array& x) const { return (*this)(x, array()); }
  array operator()(const array& x, const array& hidden) const;
};

// The hidden and the cell states of all steps.
struct LSTM : Recurrent {
  LSTM(int input_size,
       int hidden_size,
       bool bias = true,
       int num_layers = 1,
       bool bidirectional = false);
  std::string_view type_name() const override { return "LSTM"; }

  std::pair<array, array> operator()(const array& x,
                                     const array& hidden = {},
                                     const array& cell = {}) const;
};

}  // namespace treadle::nn
