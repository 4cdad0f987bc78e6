#include "treadle/nn/functional/recurrent.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/linear.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/random.h"
#include "treadle/ops/recurrent_cells.h"
#include "treadle/ops/scan.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

// What one layer in one direction makes of its inputs' products with W_x, (T,
// N, G H): (T, N, H) each. Everything has one dtype.
using Layer = std::function<Arrays(const array& x,
                                   const RecurrentWeights& w,
                                   const Arrays& state,
                                   bool reverse)>;

// Runs the layers over x (..., T, D).
class Stack {
 public:
  Stack(std::string_view op,
        const array& x,
        std::span<const RecurrentWeights> weights,
        bool bidirectional,
        int64_t gates)
      : op_(op),
        weights_(weights),
        directions_(bidirectional ? 2 : 1),
        gates_(gates) {
    if (x.ndim() < 2) {
      invalid(op,
              fmt::format("the input is {}; expected (..., T, D).",
                          to_string(x.spec())));
    }
    if (weights.empty() || weights.size() % directions_ != 0) {
      invalid(op,
              fmt::format("got {} weights for {} directions; expected some for "
                          "each.",
                          weights.size(),
                          directions_));
    }
    batch_ = Shape(x.shape().begin(), x.shape().end() - 2);
    num_batch_ = size_of(batch_);
    steps_ = x.shape(-2);
    hidden_ = weights[0].wh.shape(-1);
  }

  Arrays run(const array& x, const Arrays& given, const Layer& layer) const {
    // Time in front: of the input, which is smaller than the products.
    array in = swapaxes(reshape(x, {num_batch_, steps_, x.shape(-1)}), 0, 1);
    Arrays out;
    for (size_t l = 0; l < weights_.size(); l += directions_) {
      std::vector<Arrays> both;
      for (size_t d = 0; d < directions_; ++d) {
        const RecurrentWeights& w = weights_[l + d];
        check(w, in.shape(-1));
        both.push_back(directed(in, w, given, l + d, layer));
      }
      out = both[0];
      for (size_t k = 0; directions_ == 2 && k < out.size(); ++k) {
        out[k] = concatenate({both[0][k], both[1][k]}, -1);
      }
      in = out[0];
    }
    for (array& y : out) {
      Shape shape = batch_;
      shape.push_back(steps_);
      shape.push_back(y.shape(-1));
      y = reshape(swapaxes(y, 0, 1), shape);
    }
    return out;
  }

 private:
  void check(const RecurrentWeights& w, int64_t in) const {
    const int64_t rows = gates_ * hidden_;
    if (w.wx.shape() != Shape{rows, in} ||
        w.wh.shape() != Shape{rows, hidden_}) {
      invalid(op_,
              fmt::format("the weights are {} and {} for an input with {} "
                          "features; expected {} and {}.",
                          to_string(w.wx.spec()),
                          to_string(w.wh.spec()),
                          in,
                          to_string(Shape{rows, in}),
                          to_string(Shape{rows, hidden_})));
    }
  }

  Arrays directed(const array& in,
                  RecurrentWeights w,
                  const Arrays& given,
                  size_t index,
                  const Layer& layer) const {
    const array x = linear(in, w.wx, w.bias);
    Dtype dtype = promote_types(x.dtype(), w.wh.dtype());
    Arrays others = given;
    others.push_back(w.bhn);
    for (const array& a : others) {
      if (!a.null()) dtype = promote_types(dtype, a.dtype());
    }
    w.wh = astype(w.wh, dtype);
    if (!w.bhn.null()) w.bhn = astype(w.bhn, dtype);
    Arrays state;
    for (const array& s : given) state.push_back(state_of(s, index, dtype));
    return layer(astype(x, dtype), w, state, index % directions_ == 1);
  }

  // (N, H) of what was given for all layers; zeros when that is null.
  array state_of(const array& given, size_t index, Dtype dtype) const {
    if (given.null()) return zeros({num_batch_, hidden_}, dtype);
    Shape each = batch_;
    each.push_back(hidden_);
    array s = given;
    if (weights_.size() > 1) {
      if (s.ndim() == 0 || s.shape(0) != int64_t(weights_.size())) {
        invalid(op_,
                fmt::format("the first state is {}; expected one for each of "
                            "{} layers and directions in front.",
                            to_string(given.spec()),
                            weights_.size()));
      }
      s = take_first(s, int64_t(index));
    }
    if (broadcast_shapes(op_, s.shape(), each) != each) {
      invalid(op_,
              fmt::format("the first state is {}; expected shape {}.",
                          to_string(given.spec()),
                          to_string(each)));
    }
    return reshape(broadcast_to(astype(s, dtype), each), {num_batch_, hidden_});
  }

  static array take_first(const array& x, int64_t i) {
    Shape start(x.shape().size(), 0), stop = x.shape();
    start[0] = i;
    stop[0] = i + 1;
    return squeeze(slice(x, start, stop), 0);
  }

  const std::string_view op_;
  const std::span<const RecurrentWeights> weights_;
  const size_t directions_;
  const int64_t gates_;
  Shape batch_;
  int64_t num_batch_ = 1, steps_ = 0, hidden_ = 0;
};

Tree init(int in,
          int hidden,
          int gates,
          Dtype dtype,
          std::initializer_list<const char*> weights,
          std::initializer_list<std::pair<const char*, int>> biases) {
  if (in <= 0 || hidden <= 0) {
    invalid("recurrent_init",
            fmt::format("got {} inputs and {} hidden units; expected at least "
                        "one of each.",
                        in,
                        hidden));
  }
  const double k = 1 / std::sqrt(double(hidden));
  Tree t = Tree::map();
  int columns = in;
  for (const char* name : weights) {
    t[name] = random::uniform(-k, k, {gates * hidden, columns}, dtype);
    columns = hidden;
  }
  for (auto [name, times] : biases) {
    t[name] = random::uniform(-k, k, {times * hidden}, dtype);
  }
  return t;
}

}  // namespace

Nonlinearity::Nonlinearity(std::string_view name)
    : Nonlinearity(activation_named(name), name) {}

Nonlinearity::Nonlinearity(std::function<array(const array&)> f,
                           std::string_view name)
    : f_(std::move(f)), name_(name) {
  if (!f_) invalid("rnn", "the nonlinearity is an empty function.");
}

array rnn(const array& x,
          std::span<const RecurrentWeights> weights,
          const RecurrentOptions& o,
          const Nonlinearity& f) {
  const Stack stack("rnn", x, weights, o.bidirectional, 1);
  auto layer = [&](const array& in,
                   const RecurrentWeights& w,
                   const Arrays& state,
                   bool reverse) {
    auto step = [&](const Arrays& h, const Arrays& s) {
      const array next = f(s[0] + matmul(h[0], transpose(w.wh)));
      return ScanStep{{next}, {next}};
    };
    return scan(step, state, {in}, {.reverse = reverse}).second;
  };
  return stack.run(x, {o.hidden}, layer)[0];
}

array gru(const array& x,
          std::span<const RecurrentWeights> weights,
          const RecurrentOptions& o) {
  const Stack stack("gru", x, weights, o.bidirectional, 3);
  auto layer = [&](const array& in,
                   const RecurrentWeights& w,
                   const Arrays& state,
                   bool reverse) {
    array b;
    if (!w.bhn.null()) {
      const array none = zeros({2 * w.bhn.shape(0)}, w.bhn.dtype());
      b = concatenate({none, w.bhn});
    }
    auto step = [&](const Arrays& h, const Arrays& s) {
      array p = matmul(h[0], transpose(w.wh));
      if (!b.null()) p = p + b;
      const array next = gru_cell(s[0], p, h[0]);
      return ScanStep{{next}, {next}};
    };
    return scan(step, state, {in}, {.reverse = reverse}).second;
  };
  return stack.run(x, {o.hidden}, layer)[0];
}

std::pair<array, array> lstm(const array& x,
                             std::span<const RecurrentWeights> weights,
                             const RecurrentOptions& o) {
  const Stack stack("lstm", x, weights, o.bidirectional, 4);
  auto layer = [&](const array& in,
                   const RecurrentWeights& w,
                   const Arrays& state,
                   bool reverse) {
    auto step = [&](const Arrays& hc, const Arrays& s) {
      auto [h, c] = lstm_cell(s[0], matmul(hc[0], transpose(w.wh)), hc[1]);
      return ScanStep{{h, c}, {h, c}};
    };
    return scan(step, state, {in}, {.reverse = reverse}).second;
  };
  Arrays y = stack.run(x, {o.hidden, o.cell}, layer);
  return {std::move(y[0]), std::move(y[1])};
}

Tree rnn_init(int in, int hidden, bool bias, Dtype dtype) {
  if (!bias) return init(in, hidden, 1, dtype, {"Wxh", "Whh"}, {});
  return init(in, hidden, 1, dtype, {"Wxh", "Whh"}, {{"bias", 1}});
}

Tree gru_init(int in, int hidden, bool bias, Dtype dtype) {
  if (!bias) return init(in, hidden, 3, dtype, {"Wx", "Wh"}, {});
  return init(in, hidden, 3, dtype, {"Wx", "Wh"}, {{"b", 3}, {"bhn", 1}});
}

Tree lstm_init(int in, int hidden, bool bias, Dtype dtype) {
  if (!bias) return init(in, hidden, 4, dtype, {"Wx", "Wh"}, {});
  return init(in, hidden, 4, dtype, {"Wx", "Wh"}, {{"bias", 4}});
}

}  // namespace treadle::nn
