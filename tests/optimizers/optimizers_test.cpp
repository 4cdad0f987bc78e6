// Five steps of each optimizer against MLX 0.32.
#include "treadle/optimizers/optimizers.h"

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/compile.h"

#include "tests/nn/values.h"

namespace treadle::optimizers {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::HasSubstr;

Tree parameters(Dtype dtype = float32) {
  return Tree::map({{"w", Tree(astype(fill({4}, 1, 0.5), dtype))}});
}
Tree gradients(int step, Dtype dtype = float32) {
  return Tree::map({{"w", Tree(astype(fill({4}, step + 2), dtype))}});
}

Tree run(Optimizer& o, int steps, Dtype dtype = float32) {
  Tree p = parameters(dtype);
  for (int s = 0; s < steps; ++s) p = o.apply_gradients(gradients(s, dtype), p);
  return p;
}

struct Case {
  std::string name;
  std::function<std::unique_ptr<Optimizer>()> make;
  std::vector<double> first, fifth;  // the parameter after one and five steps
  std::string state_name;
  std::vector<double> state;  // after five steps
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

template <class O, class... Args>
auto maker(Args... args) {
  return [=]() -> std::unique_ptr<Optimizer> {
    return std::make_unique<O>(args...);
  };
}

const std::vector<double> kPlainM = {
    0.006542873, 0.1065799, -0.2124031, 0.08763397};
const std::vector<double> kPlainV = {
    0.000477789, 0.002388018, 0.00206037, 0.0006156176};

const Case kCases[] = {
    {"sgd",
     maker<SGD>(0.1),
     {-0.2950495, -0.001980199, 0.4910891, -0.2158416},
     {-0.3267327, -0.1267327, 0.6732673, -0.3267327},
     "v",
     {0, 0, 0, 0}},
    {"momentum",
     maker<SGD>(0.1, SgdOptions{.momentum = 0.9}),
     {-0.2950495, -0.001980199, 0.4910891, -0.2158416},
     {-0.1341835, -0.5308799, 1.301244, -0.2954528},
     "v",
     {0.06542876, 1.065799, -2.12403, 0.8763396}},
    {"weight_decay",
     maker<SGD>(0.1, SgdOptions{.momentum = 0.9, .weight_decay = 0.05}),
     {-0.2933416, -0.002103962, 0.4891337, -0.2146287},
     {-0.1170488, -0.5262266, 1.262538, -0.2816914},
     "v",
     {0.02166426, 1.032904, -1.975242, 0.8355128}},
    {"dampening",
     maker<SGD>(0.1, SgdOptions{.momentum = 0.8, .dampening = 0.3}),
     {-0.3090099, 0.006039603, 0.4610891, -0.2238614},
     {-0.2279796, -0.3141939, 0.9370958, -0.2891186},
     "v",
     {0.154061, 0.4781291, -1.104043, 0.6200253}},
    {"nesterov",
     maker<SGD>(
         0.1,
         SgdOptions{.momentum = 0.9, .weight_decay = 0.01, .nesterov = true}),
     {-0.2525193, -0.02608664, 0.580346, -0.1913213},
     {-0.1364017, -0.6242598, 1.480139, -0.3709579},
     "v",
     {0.05812719, 1.05549, -2.088431, 0.8682253}},
    {"adam",
     maker<Adam>(0.05),
     {-0.1834704, -0.1333612, 0.5492029, -0.08446057},
     {0.2970785, -0.9529973, 1.474496, -0.1418509},
     "m",
     kPlainM},
    {"adam_corrected",
     maker<Adam>(
         0.05,
         AdamOptions{
             .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-4, .bias_correction = true}),
     {-0.2915949, -0.02522884, 0.4410841, -0.1925929},
     {-0.2037872, -0.1858496, 0.6214603, -0.2071956},
     "v",
     {0.03840937, 0.2123805, 0.1484732, 0.05705825}},
    {"adamw",
     maker<AdamW>(0.05),
     {-0.1832996, -0.1333736, 0.5490074, -0.08433928},
     {0.2970738, -0.9520611, 1.472529, -0.1418122},
     "v",
     kPlainV},
    {"adamw_corrected",
     maker<AdamW>(0.05, 0.3, AdamOptions{.bias_correction = true}),
     {-0.2864607, -0.02561848, 0.4352224, -0.188936},
     {-0.1709438, -0.1842306, 0.5879276, -0.1786437},
     "m",
     kPlainM},
    {"adamax",
     maker<Adamax>(0.05),
     {-0.3365842, 0.01975248, 0.3960891, -0.2375743},
     {-0.3192695, -0.01479366, 0.436702, -0.241578},
     "v",
     {0.463488, 0.9198713, 0.9960061, 0.6039604}},
    {"adagrad",
     maker<Adagrad>(0.1),
     {-0.2415842, -0.07524753, 0.4910891, -0.1425743},
     {-0.2812243, -0.2573766, 0.6264725, -0.330969},
     "v",
     {0.4788746, 2.390844, 2.066954, 0.616116}},
    {"rmsprop",
     maker<RMSprop>(0.01, 0.9, 1e-4),
     {-0.3099828, -0.006832939, 0.4227019, -0.2109888},
     {-0.3253217, -0.06507291, 0.4684999, -0.2736097},
     "v",
     {0.03840937, 0.2123805, 0.1484732, 0.05705825}},
    {"adadelta",
     maker<AdaDelta>(0.5, 0.8, 1e-3),
     {-0.30663, -0.009427372, 0.4263564, -0.2083944},
     {-0.3373974, -0.1072585, 0.512051, -0.327077},
     "u",
     {0.002110964, 0.007781783, 0.001483595, 0.004560574}},
    {"lion",
     maker<Lion>(0.01,
                 LionOptions{.beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.1}),
     {-0.3312426, 0.01472772, 0.400698, -0.2323317},
     {-0.3299595, -0.00527114, 0.4390377, -0.2514037},
     "m",
     {-0.001670131, 0.06407453, -0.1226189, 0.04312572}},
    {"muon",
     maker<Muon>(0.02),
     {-0.34067, 0.02423071, 0.3930315, -0.2420482},
     {-0.3391544, 0.01758214, 0.403187, -0.2437932},
     "v",
     {-0.002439057, 0.06412435, -0.1217233, 0.04257808}},
    {"adafactor",
     maker<Adafactor>(AdafactorOptions{.beta1 = 0.8}),
     {-0.3410105, 0.02417882, 0.3916628, -0.2420006},
     {-0.3397007, 0.01832095, 0.3961599, -0.2436666},
     "exp_avg",
     {0.0004943834, 0.00105216, -0.001098156, 0.001406907}},
    {"schedule",
     maker<SGD>(
         [](const array& step) {
           return 0.1 * power(0.5, astype(step, float32));
         },
         SgdOptions{.momentum = 0.9}),
     {-0.2950495, -0.001980199, 0.4910891, -0.2158416},
     {-0.2416771, -0.1055985, 0.6681439, -0.2082775},
     "v",
     {0.06542876, 1.065799, -2.12403, 0.8763396}},
};

class Trajectory : public testing::TestWithParam<Case> {};

TEST_P(Trajectory, IsThatOfMlx) {
  auto once = GetParam().make();
  expect_values(run(*once, 1).at("w").leaf(), GetParam().first);
  auto o = GetParam().make();
  expect_values(run(*o, 5).at("w").leaf(), GetParam().fifth, 2e-6);
  expect_values(o->state().at("w").at(GetParam().state_name).leaf(),
                GetParam().state,
                2e-6);
  EXPECT_EQ(o->step().item<int>(), 5);
  EXPECT_EQ(o->step().dtype(), uint64);
}

TEST_P(Trajectory, KeepsTheDtypeOfItsParameters) {
  for (Dtype t : {float16, bfloat16, float64}) {
    auto o = GetParam().make();
    array w = run(*o, 3, t).at("w").leaf();
    EXPECT_EQ(w.dtype(), t);
    EXPECT_EQ(o->state().at("w").at(GetParam().state_name).leaf().dtype(), t);
    auto reference = GetParam().make();
    expect_values(w,
                  run(*reference, 3).at("w").leaf().to_vector<double>(),
                  t == float64   ? 2e-6
                  : t == float16 ? 4e-3
                                 : 3e-2);
  }
}

TEST_P(Trajectory, IsTheSameCompiled) {
  auto o = GetParam().make();
  Tree p = parameters();
  o->init(p);
  CapturedState rest = captured(*o);
  CapturedState all{[&] {
                      Arrays a = rest.get();
                      a.push_back(p.at("w").leaf());
                      return a;
                    },
                    [&](const Arrays& values) {
                      rest.set(Arrays(values.begin(), values.end() - 1));
                      p["w"] = Tree(values.back());
                    }};
  auto step = compile(
      [&](const Arrays& g) {
        p = o->apply_gradients(Tree::map({{"w", Tree(g[0])}}), p);
        return Arrays{};
      },
      {.name = "step", .inputs = all, .outputs = all});
  for (int s = 0; s < 5; ++s) step({gradients(s).at("w").leaf()});
  expect_values(p.at("w").leaf(), GetParam().fifth, 2e-6);
  expect_values(o->state().at("w").at(GetParam().state_name).leaf(),
                GetParam().state,
                2e-6);
  EXPECT_EQ(o->step().item<int>(), 5);
}

INSTANTIATE_TEST_SUITE_P(Optimizers,
                         Trajectory,
                         testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(Optimizer, FollowsNestedTreesAndTakesPartOfTheParameters) {
  auto tree = [](float a, float b) {
    return Tree::map({{"layers",
                       Tree::list({Tree::map({{"w", Tree(array(a))}}),
                                   Tree::map(),
                                   Tree::map({{"w", Tree(array(b))}})})}});
  };
  Tree p = tree(1, 2);
  p["other"] = Tree(array(7.0f));
  SGD o(0.5, {.momentum = 0.9});
  Tree updated = o.apply_gradients(tree(1, 1), p);
  EXPECT_TRUE(updated.same_structure(tree(0, 0)));
  EXPECT_EQ(updated.at("layers")[2].at("w").leaf().item<float>(), 1.5f);
  EXPECT_EQ(o.state().at("layers")[0].at("w").at("v").leaf().item<float>(), 1);
}

TEST(Optimizer, NamesAGradientThatFitsNoParameter) {
  SGD o(0.1), other(0.1);
  Tree p = Tree::map({{"a", Tree::map({{"w", Tree(array({1.f, 2.f}))}})}});
  Tree wrong_shape = Tree::map({{"a", Tree::map({{"w", Tree(array({1.f}))}})}});
  Tree wrong_name = Tree::map({{"a", Tree::map({{"v", Tree(array({1.f}))}})}});
  EXPECT_THAT(message_of([&] { o.apply_gradients(wrong_shape, p); }),
              HasSubstr("the gradient of 'a.w' is float32 (1,); the parameter "
                        "is float32 (2,)"));
  EXPECT_THAT(message_of([&] { other.apply_gradients(wrong_name, p); }),
              HasSubstr("there is a gradient for 'a.v' but no such parameter"));
}

array of_a_matrix(Optimizer& o) {
  Tree p = Tree::map({{"w", Tree(fill({3, 2}, 1, 0.5))}});
  for (int s = 0; s < 5; ++s) {
    Tree g = Tree::map({{"w", Tree(fill({3, 2}, s + 2))}});
    p = o.apply_gradients(g, p);
  }
  return p.at("w").leaf();
}

TEST(Optimizer, TreatsAMatrixAsOneWhereTheRuleDoes) {
  Muon muon(0.02);
  expect_values(
      of_a_matrix(muon),
      {-0.3365068, -0.04158506, 0.4833673, -0.2246045, 0.1083751, 0.5667544},
      2e-6);
  Adafactor adafactor;
  expect_values(
      of_a_matrix(adafactor),
      {-0.3394597, 0.01067251, 0.4036328, -0.2486276, 0.1223799, 0.5004154},
      2e-6);
  const Tree& state = adafactor.state().at("w");
  EXPECT_EQ(state.at("exp_avg_sq_row").leaf().shape(), Shape{3});
  EXPECT_EQ(state.at("exp_avg_sq_col").leaf().shape(), Shape{2});
}

TEST(Optimizer, RefusesOptionsThatMakeNoSense) {
  EXPECT_THROW(SGD(0.1, {.nesterov = true}), std::invalid_argument);
  EXPECT_THROW(SGD(0.1, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
               std::invalid_argument);
  EXPECT_THROW(Adam(0.1, {.beta1 = 1.0}), std::invalid_argument);
  EXPECT_THROW(Adam(0.1, {.eps = -1}), std::invalid_argument);
  EXPECT_THROW(Adagrad(0.1, 0), std::invalid_argument);
  EXPECT_THROW(RMSprop(0.1, -1), std::invalid_argument);
  EXPECT_THROW(AdaDelta(1, 0.9, 0), std::invalid_argument);
  EXPECT_THROW(Lion(0.1, {.beta2 = 1}), std::invalid_argument);
  Adafactor without_rate({.relative_step = false});
  EXPECT_THAT(message_of([&] { run(without_rate, 1); }),
              HasSubstr("there must be a learning rate"));
}

TEST(Optimizer, TakesANewLearningRate) {
  SGD o(0.1);
  Tree p = Tree::map({{"w", Tree(array(1.0f))}}),
       g = Tree::map({{"w", Tree(array(1.0f))}});
  o.set_learning_rate(0.5f);
  EXPECT_EQ(o.apply_gradients(g, p).at("w").leaf().item<float>(), 0.5f);
}

}  // namespace
}  // namespace treadle::optimizers
