// The parity table, tests/cases/nn_cases.json: every row's names, shapes, repr,
// output, gradients and state are those of MLX.
#include "tests/support/parity.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "treadle/graph/tree.h"
#include "treadle/nn/modules/activations.h"
#include "treadle/nn/modules/attention.h"
#include "treadle/nn/modules/conv.h"
#include "treadle/nn/modules/dropout.h"
#include "treadle/nn/modules/embedding.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/nn/modules/normalization.h"
#include "treadle/nn/modules/pooling.h"
#include "treadle/nn/modules/position.h"
#include "treadle/nn/modules/recurrent.h"
#include "treadle/nn/modules/transformer.h"
#include "treadle/nn/modules/unary.h"
#include "treadle/nn/modules/upsample.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/autodiff.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using Json = nlohmann::json;
using test::Bits;
using test::expect_values;
using test::fill;

// A row's constructor arguments: by position, else by name, else the default.
class Args {
 public:
  explicit Args(const Json& row) : row_(row) {}
  template <class T>
  T get(size_t position, const char* name, T otherwise) const {
    const Json* v = find(position, name);
    return v ? v->get<T>() : otherwise;
  }
  Size3 size3(size_t position, const char* name, Size3 otherwise) const {
    const Json* v = find(position, name);
    if (!v) return otherwise;
    if (!v->is_array()) return Size3(v->get<int>());
    return Size3((*v)[0].get<int>(), (*v)[1].get<int>(), (*v)[2].get<int>());
  }
  template <class Size>
  Size length(size_t position, const char* name, Size otherwise) const {
    if constexpr (std::is_same_v<Size, int>) {
      return get(position, name, otherwise);
    } else if constexpr (std::is_same_v<Size, Size2>) {
      return size(position, name, otherwise);
    } else {
      return size3(position, name, otherwise);
    }
  }
  bool has_list(size_t position) const {
    return row_["args"][position].is_array();
  }
  std::string call() const { return row_["call"]; }
  Size2 size(size_t position, const char* name, Size2 otherwise) const {
    const Json* v = find(position, name);
    if (!v) return otherwise;
    if (v->is_array()) return Size2((*v)[0].get<int>(), (*v)[1].get<int>());
    return Size2(v->get<int>());
  }

 private:
  const Json* find(size_t position, const char* name) const {
    if (position < row_["args"].size()) return &row_["args"][position];
    auto it = row_["kwargs"].find(name);
    return it == row_["kwargs"].end() ? nullptr : &*it;
  }
  const Json& row_;
};

// A row's layer and how it is called.
struct Subject {
  std::shared_ptr<Module> module;
  std::function<array(const array&)> call;
  std::function<Subject()> copy;
};

template <class M, class F>
Subject subject(M m, F call) {
  auto layer = std::make_shared<M>(std::move(m));
  return {layer,
          [=](const array& x) { return array(call(*layer, x)); },
          [=] { return subject(M(*layer), call); }};
}
template <class M>
Subject once(M m) {
  return subject(std::move(m), [](const M& f, const array& x) { return f(x); });
}
template <class M>
Subject twice(M m) {
  return subject(std::move(m),
                 [](const M& f, const array& x) { return f(x, x); });
}

template <class M, class Size>
Subject pool(const Args& a) {
  const Size k = a.length<Size>(0, "kernel_size", 0);
  return once(
      M(k, a.length<Size>(1, "stride", k), a.length<Size>(2, "padding", 0)));
}

template <class M>
Subject plain(const Args&) {
  return once(M());
}

TransformerOptions transformer_options(const Args& a, size_t mlp_dims) {
  TransformerOptions o;
  o.mlp_dims = a.get(mlp_dims, "mlp_dims", 0);
  o.norm_first = a.get(99, "norm_first", true);
  return o;
}

using Factory = std::function<Subject(const Args&)>;

const std::map<std::string, Factory>& factories() {
  static const std::map<std::string, Factory> all = {
      {"Identity", plain<Identity>},
      {"Linear",
       [](const Args& a) {
         return once(Linear(a.get(0, "input_dims", 0),
                            a.get(1, "output_dims", 0),
                            a.get(2, "bias", true)));
       }},
      {"Sigmoid", plain<Sigmoid>},
      {"Tanh", plain<Tanh>},
      {"ReLU", plain<ReLU>},
      {"ReLU2", plain<ReLU2>},
      {"ReLU6", plain<ReLU6>},
      {"SELU", plain<SELU>},
      {"SiLU", plain<SiLU>},
      {"Mish", plain<Mish>},
      {"Hardswish", plain<Hardswish>},
      {"HardTanh", plain<HardTanh>},
      {"Softplus", plain<Softplus>},
      {"Softsign", plain<Softsign>},
      {"Softmax", plain<Softmax>},
      {"Softmin", plain<Softmin>},
      {"LogSoftmax", plain<LogSoftmax>},
      {"LogSigmoid", plain<LogSigmoid>},
      {"LeakyReLU",
       [](const Args& a) {
         return once(LeakyReLU(a.get(0, "negative_slope", 0.01)));
       }},
      {"ELU", [](const Args& a) { return once(ELU(a.get(0, "alpha", 1.0))); }},
      {"CELU",
       [](const Args& a) { return once(CELU(a.get(0, "alpha", 1.0))); }},
      {"GELU",
       [](const Args& a) {
         return once(GELU(a.get(0, "approx", std::string("none"))));
       }},
      {"HardShrink",
       [](const Args& a) { return once(HardShrink(a.get(0, "lambd", 0.5))); }},
      {"Softshrink",
       [](const Args& a) { return once(Softshrink(a.get(0, "lambd", 0.5))); }},
      {"Step",
       [](const Args& a) { return once(Step(a.get(0, "threshold", 0.0))); }},
      {"GLU", [](const Args& a) { return once(GLU(a.get(0, "axis", -1))); }},
      {"PReLU",
       [](const Args& a) {
         return once(
             PReLU(a.get(0, "num_parameters", 1), a.get(1, "init", 0.25)));
       }},
      {"Conv2d",
       [](const Args& a) {
         return once(Conv2d(a.get(0, "in_channels", 0),
                            a.get(1, "out_channels", 0),
                            a.size(2, "kernel_size", 0),
                            a.size(3, "stride", 1),
                            a.size(4, "padding", 0),
                            a.size(5, "dilation", 1),
                            a.get(6, "groups", 1),
                            a.get(7, "bias", true)));
       }},
      {"Conv1d",
       [](const Args& a) {
         return once(Conv1d(a.get(0, "in_channels", 0),
                            a.get(1, "out_channels", 0),
                            a.get(2, "kernel_size", 0),
                            a.get(3, "stride", 1),
                            a.get(4, "padding", 0),
                            a.get(5, "dilation", 1),
                            a.get(6, "groups", 1),
                            a.get(7, "bias", true)));
       }},
      {"Conv3d",
       [](const Args& a) {
         return once(Conv3d(a.get(0, "in_channels", 0),
                            a.get(1, "out_channels", 0),
                            a.size3(2, "kernel_size", 0),
                            a.size3(3, "stride", 1),
                            a.size3(4, "padding", 0),
                            a.size3(5, "dilation", 1),
                            a.get(6, "bias", true)));
       }},
      {"ConvTranspose1d",
       [](const Args& a) {
         return once(ConvTranspose1d(a.get(0, "in_channels", 0),
                                     a.get(1, "out_channels", 0),
                                     a.get(2, "kernel_size", 0),
                                     a.get(3, "stride", 1),
                                     a.get(4, "padding", 0),
                                     a.get(5, "dilation", 1),
                                     a.get(6, "output_padding", 0),
                                     a.get(7, "bias", true)));
       }},
      {"ConvTranspose2d",
       [](const Args& a) {
         return once(ConvTranspose2d(a.get(0, "in_channels", 0),
                                     a.get(1, "out_channels", 0),
                                     a.size(2, "kernel_size", 0),
                                     a.size(3, "stride", 1),
                                     a.size(4, "padding", 0),
                                     a.size(5, "dilation", 1),
                                     a.size(6, "output_padding", 0),
                                     a.get(7, "bias", true)));
       }},
      {"ConvTranspose3d",
       [](const Args& a) {
         return once(ConvTranspose3d(a.get(0, "in_channels", 0),
                                     a.get(1, "out_channels", 0),
                                     a.size3(2, "kernel_size", 0),
                                     a.size3(3, "stride", 1),
                                     a.size3(4, "padding", 0),
                                     a.size3(5, "dilation", 1),
                                     a.size3(6, "output_padding", 0),
                                     a.get(7, "bias", true)));
       }},
      {"MaxPool1d", pool<MaxPool1d, int>},
      {"MaxPool2d", pool<MaxPool2d, Size2>},
      {"MaxPool3d", pool<MaxPool3d, Size3>},
      {"AvgPool1d", pool<AvgPool1d, int>},
      {"AvgPool2d", pool<AvgPool2d, Size2>},
      {"AvgPool3d", pool<AvgPool3d, Size3>},
      {"Upsample",
       [](const Args& a) {
         const std::string mode = a.get(1, "mode", std::string("nearest"));
         const Interpolation how{a.get(2, "align_corners", false),
                                 a.get(3, "antialias", false)};
         return a.has_list(0)
                    ? once(Upsample(
                          a.get(0, "scale_factor", Scales{}), mode, how))
                    : once(Upsample(a.get(0, "scale_factor", 1.0), mode, how));
       }},
      {"BatchNorm",
       [](const Args& a) {
         return once(BatchNorm(a.get(0, "num_features", 0),
                               a.get(1, "eps", 1e-5),
                               a.get(2, "momentum", 0.1),
                               a.get(3, "affine", true),
                               a.get(4, "track_running_stats", true)));
       }},
      {"Dropout",
       [](const Args& a) { return once(Dropout(a.get(0, "p", 0.5))); }},
      {"Dropout2d",
       [](const Args& a) { return once(Dropout2d(a.get(0, "p", 0.5))); }},
      {"Dropout3d",
       [](const Args& a) { return once(Dropout3d(a.get(0, "p", 0.5))); }},
      {"Bilinear",
       [](const Args& a) {
         return twice(Bilinear(a.get(0, "input1_dims", 0),
                               a.get(1, "input2_dims", 0),
                               a.get(2, "output_dims", 0),
                               a.get(3, "bias", true)));
       }},
      {"Embedding",
       [](const Args& a) {
         return once(
             Embedding(a.get(0, "num_embeddings", 0), a.get(1, "dims", 0)));
       }},
      {"LayerNorm",
       [](const Args& a) {
         return once(LayerNorm(a.get(0, "dims", 0),
                               a.get(1, "eps", 1e-5),
                               a.get(2, "affine", true),
                               a.get(3, "bias", true)));
       }},
      {"RMSNorm",
       [](const Args& a) {
         return once(RMSNorm(a.get(0, "dims", 0), a.get(1, "eps", 1e-5)));
       }},
      {"GroupNorm",
       [](const Args& a) {
         return once(GroupNorm(a.get(0, "num_groups", 0),
                               a.get(1, "dims", 0),
                               a.get(2, "eps", 1e-5),
                               a.get(3, "affine", true),
                               a.get(4, "pytorch_compatible", false)));
       }},
      {"InstanceNorm",
       [](const Args& a) {
         return once(InstanceNorm(a.get(0, "dims", 0),
                                  a.get(1, "eps", 1e-5),
                                  a.get(2, "affine", false)));
       }},
      {"RoPE",
       [](const Args& a) {
         return once(RoPE(a.get(0, "dims", 0),
                          a.get(1, "traditional", false),
                          a.get(2, "base", 10000.0),
                          a.get(3, "scale", 1.0)));
       }},
      {"SinusoidalPositionalEncoding",
       [](const Args& a) {
         const int dims = a.get(0, "dims", 0);
         return once(SinusoidalPositionalEncoding(
             dims,
             a.get(1, "min_freq", 1e-4),
             a.get(2, "max_freq", 1.0),
             a.get(3, "scale", std::sqrt(2.0 / dims)),
             a.get(4, "cos_first", false),
             a.get(5, "full_turns", false)));
       }},
      {"ALiBi", plain<ALiBi>},
      {"MultiHeadAttention",
       [](const Args& a) {
         MultiHeadAttention layer(
             a.get(0, "dims", 0),
             a.get(1, "num_heads", 0),
             {.query_input = a.get(2, "query_input_dims", 0),
              .key_input = a.get(3, "key_input_dims", 0),
              .value_input = a.get(4, "value_input_dims", 0),
              .value = a.get(5, "value_dims", 0),
              .value_output = a.get(6, "value_output_dims", 0)},
             a.get(7, "bias", false));
         const bool causal = a.call() == "causal";
         return subject(std::move(layer),
                        [=](const MultiHeadAttention& f, const array& x) {
                          if (!causal) return f(x);
                          return f(x, additive_causal_mask(int(x.shape(1))));
                        });
       }},
      {"TransformerEncoderLayer",
       [](const Args& a) {
         return once(TransformerEncoderLayer(a.get(0, "dims", 0),
                                             a.get(1, "num_heads", 0),
                                             transformer_options(a, 2)));
       }},
      {"TransformerEncoder",
       [](const Args& a) {
         return once(TransformerEncoder(a.get(0, "num_layers", 0),
                                        a.get(1, "dims", 0),
                                        a.get(2, "num_heads", 0),
                                        transformer_options(a, 3)));
       }},
      {"TransformerDecoderLayer",
       [](const Args& a) {
         return twice(TransformerDecoderLayer(a.get(0, "dims", 0),
                                              a.get(1, "num_heads", 0),
                                              transformer_options(a, 2)));
       }},
      {"TransformerDecoder",
       [](const Args& a) {
         return twice(TransformerDecoder(a.get(0, "num_layers", 0),
                                         a.get(1, "dims", 0),
                                         a.get(2, "num_heads", 0),
                                         transformer_options(a, 3)));
       }},
      {"Transformer",
       [](const Args& a) {
         return twice(Transformer(a.get(0, "dims", 0),
                                  a.get(1, "num_heads", 0),
                                  a.get(2, "num_encoder_layers", 0),
                                  a.get(3, "num_decoder_layers", 0),
                                  transformer_options(a, 4)));
       }},
      {"RNN",
       [](const Args& a) {
         return once(RNN(a.get(0, "input_size", 0),
                         a.get(1, "hidden_size", 0),
                         a.get(2, "bias", true)));
       }},
      {"GRU",
       [](const Args& a) {
         return once(GRU(a.get(0, "input_size", 0),
                         a.get(1, "hidden_size", 0),
                         a.get(2, "bias", true)));
       }},
      {"LSTM",
       [](const Args& a) {
         return subject(LSTM(a.get(0, "input_size", 0),
                             a.get(1, "hidden_size", 0),
                             a.get(2, "bias", true)),
                        [](const LSTM& f, const array& x) {
                          auto [h, c] = f(x);
                          return concatenate({h, c}, -1);
                        });
       }},
  };
  return all;
}

const Json& table() {
  static const Json rows =
      Json::parse(std::ifstream("tests/cases/nn_cases.json"));
  return rows;
}

class Parity : public testing::TestWithParam<size_t> {};

void expect_described(const array& got,
                      const Json& expected,
                      double tolerance,
                      const std::string& what) {
  SCOPED_TRACE(what);
  EXPECT_EQ(std::vector<int64_t>(got.shape().begin(), got.shape().end()),
            expected["shape"].get<std::vector<int64_t>>());
  expect_values(got, expected["values"].get<std::vector<double>>(), tolerance);
}

void expect_copies_are_independent(const Subject& layer,
                                   const array& x,
                                   const Json& row,
                                   double tolerance) {
  const Subject copy = layer.copy();
  EXPECT_EQ(copy.module->to_string(), layer.module->to_string());
  EXPECT_EQ(copy.module->training(), layer.module->training());
  copy.module->apply([](const array& p) { return p + 1; });
  const auto changed = copy.module->parameters().flatten();
  const auto own = layer.module->parameters().flatten();
  ASSERT_EQ(changed.size(), own.size());
  for (size_t i = 0; i < own.size(); ++i) {
    EXPECT_EQ(changed[i].first, own[i].first);
    expect_values(changed[i].second - own[i].second,
                  std::vector<double>(size_t(own[i].second.size()), 1));
  }
  expect_described(
      layer.copy().call(x), row["output"], tolerance, "output of a copy");
}

TEST_P(Parity, IsThatOfMlx) {
  const Json& row = table()[GetParam()];
  SCOPED_TRACE(row["repr"].get<std::string>());
  auto factory = factories().find(row["class"]);
  ASSERT_NE(factory, factories().end()) << "no factory for " << row["class"];
  Subject layer = factory->second(Args(row));
  Module& m = *layer.module;
  m.train(row["training"]);
  EXPECT_EQ(m.to_string(), row["repr"].get<std::string>());

  std::map<std::string, std::vector<int64_t>> shapes;
  NamedArrays filled;
  for (auto& [name, value] : m.parameters().flatten()) {
    shapes[name] = {value.shape().begin(), value.shape().end()};
    array v = fill(value.shape(), int(filled.size()) + 1, 0.5);
    filled.emplace_back(name, name.ends_with("var") ? abs(v) + 0.5 : v);
  }
  EXPECT_EQ(Json(shapes), row["parameters"]);
  // What Python saved is read here, and the other way round.
  const std::string number = std::to_string(GetParam());
  const std::string in_file = test::parity_file(number + ".in.safetensors");
  in_file.empty() ? m.update(filled) : m.load_weights(in_file);
  const std::string out_file = test::parity_file(number + ".out.safetensors");
  if (!out_file.empty()) m.save_weights(out_file);
  std::vector<std::string> trainable;
  for (auto& [name, value] : m.trainable_parameters().flatten())
    trainable.push_back(name);
  EXPECT_EQ(Json(trainable), row["trainable"]);

  auto shape = row["input"]["shape"].get<std::vector<int64_t>>();
  array x = fill(Shape(shape.begin(), shape.end()), 0, row["input"]["scale"]);
  const int integers = row["input"]["integers"];
  if (integers) x = astype(floor((x + 1) * (integers / 2.0)), int32);
  // Sums of a few dozen float32 products.
  constexpr double kTolerance = 4e-6;
  expect_copies_are_independent(layer, x, row, kTolerance);
  std::vector<array*> slots = m.trainable_slots();
  Arrays in{x};
  std::vector<int> argnums;
  if (!integers) argnums.push_back(0);
  for (array* p : slots) {
    argnums.push_back(int(in.size()));
    in.push_back(*p);
  }
  auto [values, gradients] = value_and_grad(
      [&](const Arrays& v) {
        for (size_t i = 0; i < slots.size(); ++i) *slots[i] = v[i + 1];
        array y = layer.call(v[0]);
        return Arrays{sum(y * fill(y.shape(), 7)), y};
      },
      argnums)(in);
  for (size_t i = 0; i < slots.size(); ++i) *slots[i] = in[i + 1];

  // All at once, as in Python: what is computed together may be rounded
  // together.
  Arrays all = gradients;
  all.push_back(values[1]);
  eval(all);
  Bits bits(number);
  bits.add("output", values[1]);
  if (!integers) bits.add("input gradient", gradients[0]);
  for (size_t i = 0; i < trainable.size(); ++i) {
    bits.add(trainable[i], gradients[i + !integers]);
  }

  expect_described(values[1], row["output"], kTolerance, "output");
  if (!integers) {
    expect_described(
        gradients[0], row["input_gradient"], kTolerance, "input gradient");
  }
  for (size_t i = 0; i < trainable.size(); ++i) {
    expect_described(gradients[i + !integers],
                     row["gradients"][trainable[i]],
                     kTolerance,
                     "gradient of " + trainable[i]);
  }
  auto after = m.parameters().flatten();
  for (auto& [name, value] : after) {
    if (row["state_after"].contains(name)) {
      expect_described(value, row["state_after"][name], kTolerance, name);
    }
  }
}

std::string case_name(const testing::TestParamInfo<size_t>& info) {
  const Json& row = table()[info.param];
  return std::to_string(info.param) + "_" + row["class"].get<std::string>();
}

INSTANTIATE_TEST_SUITE_P(Table,
                         Parity,
                         testing::Range<size_t>(0, table().size()),
                         case_name);

}  // namespace
}  // namespace treadle::nn
