// Weights in PyTorch's names and layouts; recurrent layers against figures of
// PyTorch (tests/cases/torch_cases.json).
#include "treadle/nn/modules/torch_weights.h"

#include <fstream>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "treadle/treadle.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;  // state_dicts have an order

array drawn(const Shape& shape) {
  array x = random::normal(shape);
  x.eval();
  return x;
}

float difference(const array& a, const array& b) {
  return max(abs(a - b)).item<float>();
}

array output_of(const Json& row, const NamedArrays& weights, const array& x) {
  const Json& k = row["kwargs"];
  const int in = k["input_size"], hidden = k["hidden_size"];
  const int layers = k.value("num_layers", 1);
  const bool bias = k.value("bias", true),
             both = k.value("bidirectional", false);
  if (row["class"] == "GRU") {
    GRU layer(in, hidden, bias, layers, both);
    layer.load_torch_state_dict(weights);
    return layer(x);
  }
  if (row["class"] == "LSTM") {
    LSTM layer(in, hidden, bias, layers, both);
    layer.load_torch_state_dict(weights);
    return layer(x).first;
  }
  const std::string word = k.value("nonlinearity", "tanh");
  RNN layer(in, hidden, bias, word.c_str(), layers, both);
  layer.load_torch_state_dict(weights);
  return layer(x);
}

array filled(const Json& shape, int seed, double scale) {
  const auto dims = shape.get<std::vector<int64_t>>();
  return fill(Shape(dims.begin(), dims.end()), seed, scale);
}

// As make_torch_cases.py fills them.
NamedArrays weights_of(const Json& row) {
  NamedArrays weights;
  for (const auto& [name, shape] : row["weights"].items()) {
    weights.emplace_back(name, filled(shape, int(weights.size()) + 1, 0.5));
  }
  return weights;
}

Json table() {
  return Json::parse(std::ifstream("tests/cases/torch_cases.json"));
}

void expect_output(const array& y, const Json& row) {
  SCOPED_TRACE(row["class"].dump() + row["kwargs"].dump());
  expect_values(y, row["output"]["values"].get<std::vector<double>>(), 5e-6);
}

TEST(TorchWeights, RecurrentLayersComputeWhatPyTorchDoes) {
  int rows = 0;
  for (const Json& row : table()) {
    if (!row["kwargs"].contains("hidden_size")) continue;
    ++rows;
    expect_output(output_of(row, weights_of(row), filled(row["input"], 0, 2)),
                  row);
  }
  EXPECT_GE(rows, 6);
}

TEST(TorchWeights, TransformersComputeWhatPyTorchDoes) {
  int rows = 0;
  for (const Json& row : table()) {
    if (row["class"] != "Transformer") continue;
    ++rows;
    const Json& k = row["kwargs"];
    Transformer model(k["dims"],
                      k["num_heads"],
                      k["num_encoder_layers"],
                      k["num_decoder_layers"],
                      {.mlp_dims = k["mlp_dims"],
                       .norm_first = k["norm_first"],
                       .attention_bias = k["attention_bias"]});
    model.load_torch_state_dict(weights_of(row));
    const array x = filled(row["input"], 0, 2);
    expect_output(model(x, x), row);
  }
  EXPECT_EQ(rows, 2);
}

TEST(TorchWeights, KernelsAreTurned) {
  const array w = drawn({4, 3, 2, 5}), t = drawn({3, 4, 2, 5});
  Conv2d conv(3, 4, {2, 5}, 1, 0, 1, 1, false);
  conv.load_torch_state_dict({{"weight", w}});
  EXPECT_EQ(difference(conv.weight, transpose(w, {0, 2, 3, 1})), 0);
  ConvTranspose2d back(3, 4, {2, 5}, 1, 0, 1, 0, false);
  back.load_torch_state_dict({{"weight", t}});
  EXPECT_EQ(difference(back.weight, transpose(t, {1, 2, 3, 0})), 0);
  const array b = drawn({4, 2, 3});
  Bilinear bilinear(2, 3, 4, false);
  bilinear.load_torch_state_dict({{"weight", b}});
  EXPECT_EQ(difference(bilinear.weight, swapaxes(b, 1, 2)), 0);
}

TEST(TorchWeights, JoinedProjectionsAreSplit) {
  const array w = drawn({18, 6}), b = drawn({18});
  MultiHeadAttention layer(6, 2, {}, true);
  layer.load_torch_state_dict({{"in_proj_weight", w},
                               {"in_proj_bias", b},
                               {"out_proj.weight", drawn({6, 6})},
                               {"out_proj.bias", drawn({6})}});
  const Linear& key = layer.key_proj.as<Linear>();
  EXPECT_EQ(difference(key.weight, slice(w, {6, 0}, {12, 6})), 0);
  EXPECT_EQ(difference(key.bias, slice(b, {6}, {12})), 0);
  MultiHeadAttention apart(6, 2, {.key_input = 4});
  const array v = drawn({6, 4});
  apart.load_torch_state_dict({{"q_proj_weight", drawn({6, 6})},
                               {"k_proj_weight", drawn({6, 4})},
                               {"v_proj_weight", v},
                               {"out_proj.weight", drawn({6, 6})}});
  EXPECT_EQ(difference(apart.value_proj.as<Linear>().weight, v), 0);
}

TEST(TorchWeights, BiasesThatAnAttentionDoesNotHaveAreListed) {
  MultiHeadAttention layer(6, 2);
  EXPECT_THAT(message_of([&] {
                layer.load_torch_state_dict({{"in_proj_weight", drawn({18, 6})},
                                             {"in_proj_bias", drawn({18})},
                                             {"out_proj.weight", drawn({6, 6})},
                                             {"out_proj.bias", drawn({6})}});
              }),
              HasSubstr("2 names have no place in the model: in_proj_bias, "
                        "out_proj.bias"));
}

TEST(TorchWeights, NamesOfModelsAreTranslated) {
  Sequential model(Conv1d(2, 3, 3), BatchNorm(3), Sequential(PReLU()));
  const array variance = square(drawn({3})), slope = drawn({1});
  model.load_torch_state_dict({{"0.weight", drawn({3, 2, 3})},
                               {"0.bias", drawn({3})},
                               {"1.weight", drawn({3})},
                               {"1.bias", drawn({3})},
                               {"1.running_mean", drawn({3})},
                               {"1.running_var", variance},
                               {"1.num_batches_tracked", array(7)},
                               {"2.0.weight", slope}});
  std::map<std::string, array> own;
  for (const auto& [name, value] : model.parameters().flatten()) {
    own.emplace(name, value);
  }
  EXPECT_EQ(difference(own.at("layers.1.running_var"), variance), 0);
  EXPECT_EQ(difference(own.at("layers.2.layers.0.weight"), slope), 0);
  TransformerEncoderLayer layer(4, 2, {.mlp_dims = 6});
  const array norm = drawn({4});
  layer.load_torch_state_dict({{"self_attn.in_proj_weight", drawn({12, 4})},
                               {"self_attn.out_proj.weight", drawn({4, 4})},
                               {"linear1.weight", drawn({6, 4})},
                               {"linear1.bias", drawn({6})},
                               {"linear2.weight", drawn({4, 6})},
                               {"linear2.bias", drawn({4})},
                               {"norm1.weight", drawn({4})},
                               {"norm1.bias", drawn({4})},
                               {"norm2.weight", drawn({4})},
                               {"norm2.bias", norm}});
  EXPECT_EQ(difference(layer.ln2.bias, norm), 0);
}

TEST(TorchWeights, WrongNamesAndShapesAreListed) {
  Sequential model(Linear(2, 3));
  const array w = drawn({3, 2}), b = drawn({3});
  EXPECT_THAT(message_of([&] {
                model.load_torch_state_dict(
                    {{"0.weight", w}, {"0.bias", b}, {"0.scale", b}});
              }),
              HasSubstr("1 names have no place in the model: 0.scale"));
  EXPECT_THAT(message_of([&] {
                model.load_torch_state_dict({{"0.weight", w}});
              }),
              HasSubstr("1 missing: layers.0.bias"));
  EXPECT_THAT(message_of([&] {
                model.load_torch_state_dict(
                    {{"0.weight", transpose(w)}, {"0.bias", b}});
              }),
              HasSubstr("of another shape"));
  model.load_torch_state_dict({{"0.weight", w}, {"other", b}}, false);
  EXPECT_EQ(difference(model.parameters().leaves()[0], w), 0);
}

}  // namespace
}  // namespace treadle::nn
