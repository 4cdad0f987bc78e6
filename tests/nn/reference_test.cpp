// The calls that users of MLX's nn are taught, in C++: what
// python/tests/test_reference_nn.py says in Python.
#include <filesystem>

#include <gmock/gmock.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

using testing::ElementsAre;

struct Mixer : nn::Module {
  Mixer(int in_dims, int out_dims)
      : linear(nn::Linear(in_dims, out_dims)), norm(out_dims) {}
  nn::Unary linear;
  nn::RMSNorm norm;
  TREADLE_MODULE(Mixer, linear, norm)
  array operator()(const array& x) const { return norm(linear(x)); }
};

struct Tower : nn::Module {
  std::vector<Mixer> layers{Mixer(8, 6), Mixer(6, 4)};
  TREADLE_MODULE(Tower, layers)
  array operator()(const array& x) const {
    array y = x;
    for (const Mixer& layer : layers) y = layer(y);
    return y;
  }
};

std::vector<std::string> names_of(const Tree& tree) {
  std::vector<std::string> names;
  for (const auto& [name, value] : tree.flatten()) names.push_back(name);
  return names;
}

TEST(Reference, ModulesInVectorsAreChildren) {
  Tower model;
  EXPECT_EQ(model(zeros({2, 8})).shape(), (Shape{2, 4}));
  EXPECT_THAT(names_of(model.parameters()),
              ElementsAre("layers.0.linear.weight",
                          "layers.0.linear.bias",
                          "layers.0.norm.weight",
                          "layers.1.linear.weight",
                          "layers.1.linear.bias",
                          "layers.1.norm.weight"));
  EXPECT_EQ(model.named_children().size(), 2u);
  EXPECT_EQ(model.named_leaf_modules()[0].first, "layers.0.linear");
}

TEST(Reference, SequentialComposes) {
  nn::Sequential encoder(nn::Linear(12, 8), nn::ReLU(), nn::Linear(8, 3));
  EXPECT_EQ(encoder(zeros({5, 12})).shape(), (Shape{5, 3}));
}

TEST(Reference, FreezingAllButWhatANameSays) {
  Tower model;
  model.freeze();
  EXPECT_TRUE(names_of(model.trainable_parameters()).empty());
  model.apply_to_modules([](const std::string& key, nn::Module& m) {
    if (key.find("norm") != std::string::npos) m.unfreeze();
  });
  EXPECT_THAT(names_of(model.trainable_parameters()),
              ElementsAre("layers.0.norm.weight", "layers.1.norm.weight"));
}

TEST(Reference, ParametersAreUpdatedConvertedAndExchangedWithFiles) {
  Tower model, other;
  model.update({{"layers.0.linear.bias", ones({6})}});
  const std::string path =
      (std::filesystem::temp_directory_path() / "reference_nn.safetensors")
          .string();
  model.save_weights(path);
  other.load_weights(path);
  std::filesystem::remove(path);
  EXPECT_EQ(other.parameters().flatten()[1].second.to_vector<float>(),
            std::vector<float>(6, 1));
  model.set_dtype(bfloat16);
  for (const array& a : model.parameters().leaves()) {
    EXPECT_EQ(a.dtype(), bfloat16);
  }
}

TEST(Reference, InitializersTakeTheShapeOfAWeight) {
  Tower model;
  model.apply_to_modules([](const std::string&, nn::Module& m) {
    if (auto* linear = dynamic_cast<nn::Linear*>(&m)) {
      linear->weight = nn::init::he_normal()(linear->weight.shape());
      linear->bias = full(linear->bias.shape(), 7);
    }
  });
  EXPECT_EQ(model.parameters().flatten()[4].second.to_vector<float>(),
            std::vector<float>(4, 7));
}

constexpr int B = 2, T = 6, C = 4;

TEST(Reference, LayersAreMadeAndCalled) {
  const array row = zeros({B, C}), sequence = zeros({B, T, C}),
              image = zeros({B, 5, 6, C}), volume = zeros({B, 4, 4, 4, C});
  struct Row {
    nn::Unary layer;
    array x;
    Shape shape;
  };
  const std::vector<Row> rows = {
      {nn::Linear(C, 3), row, {B, 3}},
      {nn::Linear(C, 3, false), row, {B, 3}},
      {nn::Conv1d(C, 3, 3, 1, 0), sequence, {B, 4, 3}},
      {nn::Conv2d(C, 3, 3, 2, 1), image, {B, 3, 3, 3}},
      {nn::Conv3d(C, 3, 2), volume, {B, 3, 3, 3, 3}},
      {nn::ConvTranspose1d(C, 3, 3), sequence, {B, 8, 3}},
      {nn::ConvTranspose2d(C, 3, 3), image, {B, 7, 8, 3}},
      {nn::ConvTranspose3d(C, 3, 2), volume, {B, 5, 5, 5, 3}},
      {nn::LayerNorm(C, 1e-5), sequence, {B, T, C}},
      {nn::RMSNorm(C, 1e-5), sequence, {B, T, C}},
      {nn::BatchNorm(C, 1e-5, 0.1), image, {B, 5, 6, C}},
      {nn::GroupNorm(2, C, 1e-5), image, {B, 5, 6, C}},
      {nn::InstanceNorm(C, 1e-5), image, {B, 5, 6, C}},
      {nn::MaxPool1d(2), sequence, {B, 3, C}},
      {nn::MaxPool2d(2), image, {B, 2, 3, C}},
      {nn::MaxPool3d(2), volume, {B, 2, 2, 2, C}},
      {nn::AvgPool1d(2), sequence, {B, 3, C}},
      {nn::AvgPool2d(2), image, {B, 2, 3, C}},
      {nn::AvgPool3d(2), volume, {B, 2, 2, 2, C}},
      {nn::AdaptiveAvgPool2d(2), image, {B, 2, 2, C}},
      {nn::AdaptiveMaxPool1d(4), sequence, {B, 4, C}},
      {nn::Dropout(0.5), row, {B, C}},
      {nn::Dropout2d(0.5), image, {B, 5, 6, C}},
      {nn::Dropout3d(0.5), volume, {B, 4, 4, 4, C}},
      {nn::RNN(C, 3, true, "tanh"), sequence, {B, T, 3}},
      {nn::GRU(C, 3), zeros({T, C}), {T, 3}},
      {nn::TransformerEncoder(2, C, 2), sequence, {B, T, C}},
      {nn::TransformerEncoderLayer(C, 2), sequence, {B, T, C}},
      {nn::Embedding(9, C), array({1, 2, 8}), {3, C}},
      {nn::RoPE(C, false, 10000), zeros({B, 2, T, C}), {B, 2, T, C}},
      {nn::SinusoidalPositionalEncoding(C), arange(T), {T, C}},
      {nn::ALiBi(), zeros({B, 2, T, T}), {B, 2, T, T}},
      {nn::Identity(), row, {B, C}},
      {nn::Upsample(2, "nearest"), image, {B, 10, 12, C}},
      {nn::Upsample({2, 1}, "linear"), image, {B, 10, 6, C}},
  };
  for (const Row& r : rows) {
    EXPECT_EQ(r.layer(r.x).shape(), r.shape) << r.layer.module();
  }
}

TEST(Reference, LayersOfSeveralInputsAndResults) {
  const array x = zeros({B, T, C});
  EXPECT_EQ(nn::Bilinear(C, 3, 5)(x, zeros({B, T, 3})).shape(),
            (Shape{B, T, 5}));
  auto [hidden, cell] = nn::LSTM(C, 3)(x);
  EXPECT_EQ(hidden.shape(), (Shape{B, T, 3}));
  EXPECT_EQ(cell.shape(), (Shape{B, T, 3}));
  EXPECT_EQ(nn::MultiHeadAttention(C, 2)(x, x, x).shape(), (Shape{B, T, C}));
  EXPECT_EQ(nn::TransformerDecoder(1, C, 2)(x, x).shape(), (Shape{B, T, C}));
  EXPECT_EQ(nn::TransformerDecoderLayer(C, 2)(x, x).shape(), (Shape{B, T, C}));
  EXPECT_EQ(nn::Transformer(C, 2, 1, 1)(x, x).shape(), (Shape{B, T, C}));
  nn::Embedding table(9, C);
  EXPECT_EQ(table.as_linear(x).shape(), (Shape{B, T, 9}));
}

TEST(Reference, LossesReduceAsTheyAreTold) {
  const array a = random::normal({5, 3}), b = random::normal({5, 3});
  const array classes = array({0, 2, 1, 1, 0}),
              signs = select(b > 0, ones_like(b), -ones_like(b));
  using Loss = std::function<array(nn::Reduction)>;
  const std::vector<Loss> losses = {
      [&](auto r) { return nn::cross_entropy(a, classes, {.reduction = r}); },
      [&](auto r) {
        return nn::cross_entropy(
            a, classes, {.label_smoothing = 0.1, .reduction = r});
      },
      [&](auto r) {
        return nn::binary_cross_entropy(a, sigmoid(b), {.reduction = r});
      },
      [&](auto r) { return nn::l1_loss(a, b, r); },
      [&](auto r) { return nn::mse_loss(a, b, r); },
      [&](auto r) { return nn::nll_loss(nn::log_softmax(a), classes, -1, r); },
      [&](auto r) {
        return nn::kl_div_loss(nn::log_softmax(a), nn::log_softmax(b), -1, r);
      },
      [&](auto r) { return nn::hinge_loss(a, signs, r); },
      [&](auto r) { return nn::log_cosh_loss(a, b, r); },
      [&](auto r) { return nn::smooth_l1_loss(a, b, 0.5, r); },
      [&](auto r) { return nn::huber_loss(a, b, 0.5, r); },
      [&](auto r) {
        return nn::gaussian_nll_loss(a, b, square(b) + 0.1, false, 1e-6, r);
      },
      [&](auto r) { return nn::triplet_loss(a, b, a + b, -1, 2, 1, 1e-6, r); },
      [&](auto r) { return nn::cosine_similarity_loss(a, b, 1, 1e-8, r); },
      [&](auto r) { return nn::margin_ranking_loss(a, b, signs, 0, r); },
  };
  for (const Loss& loss : losses) {
    const array each = loss({});
    EXPECT_GE(each.ndim(), 1);
    EXPECT_NEAR(loss("sum").item<float>(), sum(each).item<float>(), 1e-4);
    EXPECT_NEAR(loss("mean").item<float>(), mean(each).item<float>(), 1e-5);
  }
}

TEST(Reference, InitializersTakeAnArrayOrAShape) {
  namespace init = nn::init;
  for (const init::Initializer& f : {init::constant(0.5),
                                     init::normal(0, 1),
                                     init::uniform(0, 1),
                                     init::identity(),
                                     init::glorot_normal(),
                                     init::glorot_uniform(),
                                     init::he_normal(),
                                     init::he_uniform(),
                                     init::sparse(0.25),
                                     init::orthogonal(1)}) {
    EXPECT_EQ(f({8, 8}).shape(), (Shape{8, 8}));
    EXPECT_EQ(f(zeros({8, 8})).shape(), (Shape{8, 8}));
  }
}

}  // namespace
}  // namespace treadle
