#include "treadle/nn/modules/module.h"

#include <cstdio>
#include <filesystem>

#include <gmock/gmock.h>
#include <unistd.h>

#include "treadle/base/error.h"
#include "treadle/io/gguf.h"
#include "treadle/io/safetensors.h"
#include "treadle/nn/functional/losses.h"
#include "treadle/nn/modules/activations.h"
#include "treadle/nn/modules/checkpoint.h"
#include "treadle/nn/modules/embedding.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/nn/modules/normalization.h"
#include "treadle/nn/modules/sequential.h"
#include "treadle/nn/modules/shared.h"
#include "treadle/nn/modules/transformer.h"
#include "treadle/nn/modules/value_and_grad.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/optimizers/optimizers.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Mlp : Module {
  Unary l1 = Linear(4, 3), l2 = Linear(3, 2);
  TREADLE_MODULE(Mlp, l1, l2)
  array operator()(const array& x) const { return l2(relu(l1(x))); }
};

// One member of every kind that TREADLE_MODULE takes.
struct Zoo : Module {
  array scale = ones({2});
  array absent;
  std::optional<array> maybe = ones({3}), nothing;
  Linear direct{2, 2, false};
  std::vector<Unary> layers_ = {Linear(2, 2, false), relu, Linear(2, 2, false)};
  std::vector<array> arrays = {ones({1}), ones({2})};
  std::map<std::string, Linear> heads = {{"a", Linear(2, 1, false)},
                                         {"b", Linear(2, 1, false)}};
  std::tuple<array, Linear> both = {ones({5}), Linear(1, 1, false)};
  TREADLE_MODULE(
      Zoo, scale, absent, maybe, nothing, direct, layers_, arrays, heads, both)
};

std::vector<std::string> paths(const Tree& t) {
  std::vector<std::string> out;
  for (auto& [path, value] : t.flatten()) out.push_back(path);
  return out;
}
std::vector<std::string> names(
    const std::vector<std::pair<std::string, Module*>>& modules) {
  std::vector<std::string> out;
  for (auto& [path, m] : modules) out.push_back(path);
  return out;
}

TEST(Module, ListsParametersOfEveryKindOfMemberInOrder) {
  Zoo zoo;
  EXPECT_THAT(paths(zoo.parameters()),
              ElementsAre("scale",
                          "maybe",
                          "direct.weight",
                          "layers.0.weight",
                          "layers.2.weight",
                          "arrays.0",
                          "arrays.1",
                          "heads.a.weight",
                          "heads.b.weight",
                          "both.0",
                          "both.1.weight"));
  Tree t = zoo.parameters();
  EXPECT_EQ(t.at("layers").kind(), Tree::Kind::list);
  EXPECT_EQ(t.at("layers").size(), 3u);
  EXPECT_EQ(t.at("heads").kind(), Tree::Kind::map);
  EXPECT_EQ(t.at("both").kind(), Tree::Kind::tuple);
}

TEST(Module, UpdatesThePlacesThatTheTreeNames) {
  Mlp m;
  Tree t = Tree::map({{"l2", Tree::map({{"bias", Tree(array({5.f, 6.f}))}})}});
  m.update(t);
  expect_values(m.l2.as<Linear>().bias, {5, 6}, 0);
  Zoo zoo;
  zoo.update({{"layers.2.weight", fill({2, 2}, 1)},
              {"both.1.weight", array({2.f}, {1, 1})}});
  expect_values(std::get<1>(zoo.both).weight, {2}, 0);
}

TEST(Module, RefusesAnUpdateThatDoesNotFitAndChangesNothing) {
  Mlp m;
  array before = m.l1.as<Linear>().bias;
  Tree unknown = Tree::map({{"l1", Tree::map({{"bias", Tree(zeros({3}))}})},
                            {"l9", Tree::map({{"weight", Tree(zeros({2}))}})}});
  EXPECT_THAT(message_of([&] { m.update(unknown); }),
              HasSubstr("[update] the model has no parameter 'l9.weight'"));
  Tree misshapen = Tree::map({{"l1",
                               Tree::map({{"bias", Tree(zeros({3}))},
                                          {"weight", Tree(zeros({4, 3}))}})}});
  EXPECT_THAT(
      message_of([&] { m.update(misshapen); }),
      HasSubstr("'l1.weight' has shape (4, 3); the model's has (3, 4)."));
  EXPECT_TRUE(same_array(m.l1.as<Linear>().bias, before));
  m.update(unknown, false);
  expect_values(m.l1.as<Linear>().bias, {0, 0, 0}, 0);
}

TEST(Module, CopiesAreIndependent) {
  Mlp a;
  Mlp b = a;
  EXPECT_TRUE(same_array(a.l1.as<Linear>().weight, b.l1.as<Linear>().weight));
  b.apply([](const array& x) { return x * 0; });
  EXPECT_NE(sum(abs(a.l1.as<Linear>().weight)).item<float>(), 0);
  EXPECT_EQ(sum(abs(b.l1.as<Linear>().weight)).item<float>(), 0);
}

TEST(Module, FreezesAllOrSomeMembers) {
  Mlp m;
  m.freeze();
  EXPECT_THAT(paths(m.trainable_parameters()), IsEmpty());
  m.unfreeze({.keys = {"bias"}});
  EXPECT_THAT(paths(m.trainable_parameters()),
              ElementsAre("l1.bias", "l2.bias"));
  m.unfreeze();
  m.l1.module().freeze();
  EXPECT_THAT(paths(m.trainable_parameters()),
              ElementsAre("l2.weight", "l2.bias"));
  EXPECT_TRUE(m.trainable_parameters().at("l1").is_map());
  EXPECT_EQ(m.trainable_parameters().at("l1").size(), 0u);
  EXPECT_EQ(paths(m.parameters()).size(), 4u);
  EXPECT_THAT(
      message_of([&] { m.freeze({.keys = {"gamma"}, .strict = true}); }),
      HasSubstr("no module has a member 'gamma'"));
  m.freeze({.keys = {"gamma"}});
}

TEST(Module, FreezesItemsOfContainersAndWholeMembers) {
  Zoo zoo;
  zoo.freeze({.recurse = false, .keys = {"arrays.0", "layers", "heads"}});
  EXPECT_THAT(paths(zoo.trainable_parameters()),
              ElementsAre("scale",
                          "maybe",
                          "direct.weight",
                          "arrays.1",
                          "both.0",
                          "both.1.weight"));
  EXPECT_EQ(zoo.trainable_parameters().at("arrays").size(), 2u);
}

TEST(Module, TellsEveryModuleWhetherItTrains) {
  Mlp m;
  m.eval();
  EXPECT_FALSE(m.training());
  EXPECT_FALSE(m.l2.module().training());
  m.train();
  EXPECT_TRUE(m.l2.module().training());
}

TEST(Module, ListsModulesByPath) {
  Sequential s(Linear(2, 2), Sequential(Linear(2, 2), nn::tanh), ReLU());
  EXPECT_THAT(names(s.named_modules()),
              ElementsAre("",
                          "layers.2",
                          "layers.1",
                          "layers.1.layers.1",
                          "layers.1.layers.0",
                          "layers.0"));
  EXPECT_THAT(names(s.named_children()),
              ElementsAre("layers.0", "layers.1", "layers.2"));
  EXPECT_THAT(
      names(s.named_leaf_modules()),
      ElementsAre(
          "layers.0", "layers.1.layers.0", "layers.1.layers.1", "layers.2"));
}

TEST(Module, PrintsLikeMlx) {
  Sequential s(Linear(2, 3), Sequential(Linear(3, 1, false)), ReLU());
  EXPECT_EQ(s.to_string(),
            "Sequential(\n"
            "  (layers.0): Linear(input_dims=2, output_dims=3, bias=True)\n"
            "  (layers.1): Sequential(\n"
            "    (layers.0): Linear(input_dims=3, output_dims=1, bias=False)\n"
            "  )\n"
            "  (layers.2): ReLU()\n"
            ")");
}

TEST(Module, ConvertsFloatingParametersOnly) {
  struct Mixed : Module {
    array w = ones({2}), table = array({1, 2});
    TREADLE_MODULE(Mixed, w, table)
  } m;
  m.set_dtype(bfloat16);
  EXPECT_EQ(m.w.dtype(), bfloat16);
  EXPECT_EQ(m.table.dtype(), int32);
}

TEST(Module, ErrorsNameThePathOfTheLayer) {
  Sequential s(Linear(4, 8), Linear(8, 2));
  std::string direct = message_of([&] { s(zeros({3, 5})); });
  EXPECT_THAT(direct, HasSubstr("Linear 4->8"));
  s.eval();
  EXPECT_THAT(message_of([&] {
                s(zeros({3, 5}));
              }),
              HasSubstr("layers.0 (Linear 4->8): [linear] the input is float32 "
                        "(3, 5) and the "
                        "weight float32 (8, 4)"));
  EXPECT_EQ(current_module_path(), "");
}

TEST(Unary, IsReplacedByPathAndReadByType) {
  Sequential s(Linear(4, 8), Sequential(Linear(8, 8)));
  s.replace("layers.1.layers.0", Linear(8, 2));
  EXPECT_EQ(s(zeros({1, 4})).shape(), (Shape{1, 2}));
  EXPECT_EQ(s.layers[0].as<Linear>().weight.shape(0), 8);
  EXPECT_EQ(s.layers[0].try_as<ReLU>(), nullptr);
  EXPECT_THAT(message_of([&] { s.layers[0].as<ReLU>(); }),
              HasSubstr("is a Linear"));
  EXPECT_THAT(message_of([&] { s.replace("layers.7", Linear(1, 1)); }),
              HasSubstr("'layers.7' names no layer"));
  Unary empty;
  EXPECT_THAT(message_of([&] { empty(zeros({1})); }),
              HasSubstr("no layer has been put here"));
}

struct Places : Module {
  AnyEmbedding table = Embedding(5, 3);
  Linear own{3, 2};
  std::vector<LayerNorm> norms{LayerNorm(2)};
  Unary last = Linear(2, 2);
  TREADLE_MODULE(Places, table, own, norms, last)
};

TEST(Replace, TakesWhatAPlaceCanHold) {
  Places m;
  m.replace("table", Embedding(7, 3));
  EXPECT_EQ(m.table.try_as<Embedding>()->weight.shape(), (Shape{7, 3}));
  m.replace("own", Linear(3, 4));
  EXPECT_EQ(m.own.weight.shape(), (Shape{4, 3}));
  m.replace("norms.0", LayerNorm(4, 1e-3));
  EXPECT_EQ(m.norms[0].weight.shape(), (Shape{4}));
  m.replace("last", ReLU());
  m.replace("last", relu);
  for (const char* path : {"table", "own", "norms.0", "norms.1", "elsewhere"}) {
    EXPECT_THAT(message_of([&] { m.replace(path, ReLU()); }),
                HasSubstr(std::string("'") + path + "' names no layer"));
  }
  EXPECT_THAT(message_of([&] { m.replace("own", relu); }),
              HasSubstr("names no layer"));
}

TEST(Weights, AreReadFromGguf) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "module_test.gguf").string();
  Linear a(3, 2), b(3, 2);
  save_gguf(path, a.parameters().flatten());
  b.load_weights(path);
  std::filesystem::remove(path);
  EXPECT_EQ(a.weight.to_vector<float>(), b.weight.to_vector<float>());
  EXPECT_THAT(message_of([&] { b.load_weights("w.bin"); }),
              HasSubstr(".safetensors, .npz or .gguf"));
}

TEST(Checkpoint, GivesTheGradientsOfTheModule) {
  Sequential m(Linear(3, 4), relu, Linear(4, 2));
  const array x = fill({5, 3}, 1);
  const auto plain =
      value_and_grad(m, [&](const array& v) { return sum(square(m(v))); })(x);
  const auto kept = value_and_grad(
      m, [&](const array& v) { return sum(square(checkpoint(m)(v))); })(x);
  const Arrays a = plain.second.leaves(), b = kept.second.leaves();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    expect_values(b[i], a[i].to_vector<double>());
  }

  TransformerEncoder once(2, 4, 2), again(2, 4, 2, {.checkpoint = true});
  again.update(once.parameters());
  const array s = fill({2, 3, 4}, 2);
  auto gradient = [&](TransformerEncoder& t) {
    return value_and_grad(t,
                          [&](const array& v) { return sum(square(t(v))); })(s)
        .second.leaves();
  };
  const Arrays c = gradient(once), d = gradient(again);
  for (size_t i = 0; i < c.size(); ++i) {
    expect_values(d[i], c[i].to_vector<double>(), 4e-6);
  }
}

struct Tied : Module {
  Shared<Linear> encode{Linear(3, 3, false)}, decode = encode;
  TREADLE_MODULE(Tied, encode, decode)
  array operator()(const array& x) const { return decode(encode(x)); }
};

TEST(Shared, ACopyOfTheModelIsTiedWithinItselfOnly) {
  Tied a;
  Tied b = a;
  EXPECT_EQ(&*b.encode, &*b.decode);
  EXPECT_NE(&*a.encode, &*b.encode);
  const std::vector<double> before = a.encode->weight.to_vector<double>();
  b.apply([](const array& x) { return x + 1; });
  EXPECT_EQ(a.encode->weight.to_vector<double>(), before);
  EXPECT_FLOAT_EQ(float(b.decode->weight.to_vector<double>()[0]),
                  float(before[0] + 1));
  a = b;
  EXPECT_EQ(&*a.encode, &*a.decode);
  EXPECT_NE(&*a.encode, &*b.encode);
  const Sequential inside{Unary(a), Unary(b)}, copy = inside;
  const Tied &first = inside.layers[0].as<Tied>(),
             &second = copy.layers[0].as<Tied>();
  EXPECT_NE(&*first.encode, &*second.encode);
  EXPECT_EQ(&*second.encode, &*second.decode);
  // A place that is copied by itself is tied.
  Shared<Linear> more = a.encode;
  EXPECT_EQ(&*more, &*a.encode);
}

TEST(Shared, IsListedTwiceDifferentiatedAndUpdatedOnce) {
  Tied m;
  m.update({{"encode.weight", fill({3, 3}, 1)}});
  EXPECT_TRUE(same_array(m.encode->weight, m.decode->weight));
  EXPECT_THAT(paths(m.parameters()),
              ElementsAre("encode.weight", "decode.weight"));
  EXPECT_THAT(paths(m.trainable_parameters()), ElementsAre("encode.weight"));
  array x = fill({2, 3}, 4);
  auto [loss, grads] =
      value_and_grad(m, [&](const array& in) { return sum(m(in)); })(x);
  array w = fill({3, 3}, 1);
  array expected = grad([&](const array& v) {
    return sum(matmul(matmul(x, transpose(v)), transpose(v)));
  })(w);
  expect_values(grads.at("encode").at("weight").leaf(),
                expected.to_vector<double>());
  m.apply([](const array& v) { return v + 1; });
  expect_values(m.decode->weight, (w + 1).to_vector<double>());
}

TEST(ValueAndGrad, MatchesDerivativesByHand) {
  Linear m(3, 2);
  array x = fill({4, 3}, 2), w = m.weight, b = m.bias;
  auto f =
      value_and_grad(m, [&](const array& in) { return sum(square(m(in))); });
  auto [loss, grads] = f(x);
  array y = matmul(x, transpose(w)) + b;
  expect_values(loss, sum(square(y)).to_vector<double>());
  expect_values(grads.at("weight").leaf(),
                matmul(transpose(2 * y), x).to_vector<double>());
  expect_values(grads.at("bias").leaf(), sum(2 * y, 0).to_vector<double>());
  EXPECT_TRUE(same_array(m.weight, w));
  EXPECT_TRUE(same_array(m.bias, b));
}

TEST(ValueAndGrad, RestoresTheModelWhenTheFunctionThrows) {
  Linear m(3, 2);
  array w = m.weight;
  auto f = value_and_grad(m, [&](const array& in) -> array {
    if (in.size() > 0) throw std::runtime_error("no");
    return in;
  });
  EXPECT_THROW(f(zeros({1, 3})), std::runtime_error);
  EXPECT_TRUE(same_array(m.weight, w));
}

TEST(ValueAndGrad, LeavesFrozenParametersOutAndPassesFurtherValuesOn) {
  Mlp m;
  m.l1.module().freeze();
  auto f = value_and_grad(m, [&](const array& in) {
    array y = m(in);
    return Arrays{mean(y), y};
  });
  auto [values, grads] = f(ones({2, 4}));
  EXPECT_EQ(values.size(), 2u);
  EXPECT_EQ(values[1].shape(), (Shape{2, 2}));
  EXPECT_THAT(paths(grads), ElementsAre("l2.weight", "l2.bias"));
}

TEST(ValueAndGrad, NamesAParameterThatHasNoGradient) {
  struct Table : Module {
    array codes = array({1, 2});
    TREADLE_MODULE(Table, codes)
  } m;
  auto f = value_and_grad(m, [&] { return sum(m.codes * 1.0f); });
  EXPECT_THAT(message_of([&] { f(); }),
              HasSubstr("parameter 'codes' is int32 (2,), which has "
                        "no gradient; freeze it."));
}

class WeightFile : public testing::Test {
 protected:
  ~WeightFile() override { std::remove(path_.c_str()); }
  std::string path_ = testing::TempDir() + "module_test_" +
                      std::to_string(::getpid()) + ".safetensors";
};

TEST_F(WeightFile, BringsAModelBack) {
  Mlp a, b;
  a.save_weights(path_);
  b.load_weights(path_);
  array x = fill({2, 4}, 3);
  expect_values(b(x), a(x).to_vector<double>(), 0);
}

TEST_F(WeightFile, ThatDoesNotFitIsRefusedWithAllNames) {
  Mlp m;
  save_safetensors(path_,
                   {{"l1.weight", zeros({3, 4})},
                    {"l1.bias", zeros({4})},
                    {"l2.weight", zeros({2, 3})},
                    {"head.weight", zeros({1})}});
  EXPECT_EQ(message_of([&] { m.load_weights(path_); }),
            "[load_weights] the weights do not fit the model. 1 not in the "
            "model: head.weight. "
            "1 missing: l2.bias. 1 of another shape: l1.bias is (4,), the "
            "model's (3,).");
  m.load_weights(path_, false);
  expect_values(m.l2.as<Linear>().weight, std::vector<double>(6, 0), 0);
  EXPECT_THAT(message_of([&] { m.load_weights("weights.bin"); }),
              HasSubstr(".safetensors"));
  EXPECT_THAT(message_of([&] { m.save_weights("weights.bin"); }),
              HasSubstr(".safetensors"));
}

TEST(Training, LearnsEagerlyAndCompiledAlike) {
  array x = fill({16, 4}, 3), y = matmul(x, fill({4, 2}, 5));
  random::seed(3);
  Sequential eager(Linear(4, 16), nn::tanh, Linear(16, 2));
  Sequential compiled = eager;
  auto train = [&](Sequential& m, bool compile_it) {
    optimizers::Adam o(0.05);
    o.init(m.trainable_parameters());
    auto f = value_and_grad(m, [&](const array& in, const array& t) {
      return mse_loss(m(in), t, "mean");
    });
    ArraysFn step = [&](const Arrays& in) {
      auto [loss, grads] = f(in[0], in[1]);
      o.update(m, grads);
      return Arrays{loss};
    };
    if (compile_it) {
      CapturedState a = captured(m), b = optimizers::captured(o);
      CapturedState both{[=] {
                           Arrays v = a.get(), w = b.get();
                           v.insert(v.end(), w.begin(), w.end());
                           return v;
                         },
                         [=](const Arrays& v) {
                           auto middle = v.begin() + long(a.get().size());
                           a.set(Arrays(v.begin(), middle));
                           b.set(Arrays(middle, v.end()));
                         }};
      step = compile(step, {.name = "step", .inputs = both, .outputs = both});
    }
    std::vector<double> losses;
    for (int i = 0; i < 60; ++i)
      losses.push_back(step({x, y})[0].item<double>());
    return losses;
  };
  std::vector<double> a = train(eager, false), b = train(compiled, true);
  EXPECT_LT(a.back(), a.front() / 4);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
}

}  // namespace
}  // namespace treadle::nn
