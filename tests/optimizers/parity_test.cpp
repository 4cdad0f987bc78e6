// The parity table, tests/cases/optimizer_cases.json: a hundred steps of every
// optimizer with its options are those of MLX, and so are schedules. The test
// in Python compares the bits in every dtype.
#include "tests/support/parity.h"

#include <cmath>
#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "treadle/graph/tree.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"
#include "treadle/optimizers/multi.h"
#include "treadle/optimizers/optimizers.h"
#include "treadle/optimizers/schedules.h"

#include "tests/nn/values.h"

namespace treadle::optimizers {
namespace {

using Json = nlohmann::ordered_json;
using test::Bits;
using test::fill;
using Made = std::shared_ptr<Optimizer>;

const Json& table() {
  static const Json all =
      Json::parse(std::ifstream("tests/cases/optimizer_cases.json"));
  return all;
}

Schedule schedule_of(const Json& v) {
  const std::string name = v["schedule"];
  if (name == "exponential_decay") {
    return exponential_decay(
        v["init"], v["decay_rate"], v.value("decay_steps", 1.0));
  }
  if (name == "step_decay") {
    return step_decay(v["init"], v["decay_rate"], v["step_size"]);
  }
  if (name == "cosine_decay") {
    return cosine_decay(v["init"], v["decay_steps"], v.value("end", 0.0));
  }
  if (name == "linear_schedule") {
    return linear_schedule(v["init"], v["end"], v["steps"]);
  }
  EXPECT_EQ(name, "join_schedules");
  std::vector<Schedule> parts;
  for (const Json& part : v["schedules"]) parts.push_back(schedule_of(part));
  return join_schedules(parts, v["boundaries"]);
}

// The options of a row, each with its default.
class Options {
 public:
  explicit Options(const Json& row) : o_(row["options"]) {}
  template <class T>
  void set(const char* name, T& to) const {
    if (o_.contains(name)) to = o_[name].get<T>();
  }
  void set_pair(const char* name, double& first, double& second) const {
    if (!o_.contains(name)) return;
    first = o_[name][0];
    second = o_[name][1];
  }
  double number(const char* name, double otherwise) const {
    return o_.value(name, otherwise);
  }
  bool has_rate() const { return o_.contains("learning_rate"); }
  Rate rate(double otherwise = 0) const {
    if (!has_rate()) return otherwise;
    const Json& v = o_["learning_rate"];
    return v.is_object() ? Rate(schedule_of(v)) : Rate(v.get<double>());
  }
  const Json& json() const { return o_; }

 private:
  const Json& o_;
};

AdamOptions adam_options(const Options& o) {
  AdamOptions out;
  o.set_pair("betas", out.beta1, out.beta2);
  o.set("eps", out.eps);
  o.set("bias_correction", out.bias_correction);
  return out;
}

Made sgd(const Options& o) {
  SgdOptions s;
  o.set("momentum", s.momentum);
  o.set("weight_decay", s.weight_decay);
  o.set("dampening", s.dampening);
  o.set("nesterov", s.nesterov);
  return std::make_shared<SGD>(o.rate(), s);
}

Made adamax(const Options& o) {
  AdamaxOptions s;
  o.set_pair("betas", s.beta1, s.beta2);
  o.set("eps", s.eps);
  return std::make_shared<Adamax>(o.rate(1e-3), s);
}

Made lion(const Options& o) {
  LionOptions s;
  o.set_pair("betas", s.beta1, s.beta2);
  o.set("weight_decay", s.weight_decay);
  return std::make_shared<Lion>(o.rate(1e-4), s);
}

Made muon(const Options& o) {
  MuonOptions s;
  o.set("momentum", s.momentum);
  o.set("weight_decay", s.weight_decay);
  o.set("nesterov", s.nesterov);
  o.set("ns_steps", s.ns_steps);
  return std::make_shared<Muon>(o.rate(), s);
}

Made adafactor(const Options& o) {
  AdafactorOptions s;
  o.set_pair("eps", s.eps1, s.eps2);
  o.set("clip_threshold", s.clip_threshold);
  o.set("decay_rate", s.decay_rate);
  if (o.json().contains("beta_1")) s.beta1 = o.number("beta_1", 0);
  o.set("weight_decay", s.weight_decay);
  o.set("scale_parameter", s.scale_parameter);
  o.set("relative_step", s.relative_step);
  o.set("warmup_init", s.warmup_init);
  return o.has_rate() ? std::make_shared<Adafactor>(o.rate(), s)
                      : std::make_shared<Adafactor>(s);
}

Tree tree_of(int first_seed, Dtype dtype) {
  std::vector<std::pair<std::string, array>> flat;
  for (const auto& [path, shape] : table()["shapes"].items()) {
    auto lengths = shape.get<std::vector<int64_t>>();
    array a = fill(Shape(lengths.begin(), lengths.end()),
                   first_seed + int(flat.size()));
    flat.emplace_back(path, astype(a, dtype));
  }
  return Tree::unflatten(flat);
}

Made make(const std::string& name, const Options& o) {
  if (name == "SGD") return sgd(o);
  if (name == "Adam")
    return std::make_shared<Adam>(o.rate(1e-3), adam_options(o));
  if (name == "AdamW") {
    return std::make_shared<AdamW>(
        o.rate(1e-3), o.number("weight_decay", 0.01), adam_options(o));
  }
  if (name == "Adamax") return adamax(o);
  if (name == "Adagrad") {
    return std::make_shared<Adagrad>(o.rate(1e-2), o.number("eps", 1e-8));
  }
  if (name == "AdaDelta") {
    return std::make_shared<AdaDelta>(
        o.rate(1), o.number("rho", 0.9), o.number("eps", 1e-6));
  }
  if (name == "RMSprop") {
    return std::make_shared<RMSprop>(
        o.rate(1e-2), o.number("alpha", 0.99), o.number("eps", 1e-8));
  }
  if (name == "Lion") return lion(o);
  if (name == "Adafactor") return adafactor(o);
  if (name == "Muon") return muon(o);
  EXPECT_EQ(name, "MultiOptimizer");
  std::vector<std::pair<std::string, Made>> parts;
  for (const auto& [key, part] : o.json().items()) {
    const Json row = {{"options", part[1]}};
    parts.emplace_back(key, make(part[0], Options(row)));
  }
  return std::make_shared<MultiOptimizer>(parts, tree_of(0, float32));
}

// The parameters after all steps, and the state.
std::pair<Tree, Tree> trajectory(const Json& row, Dtype dtype) {
  Made optimizer = make(row["optimizer"], Options(row));
  Tree parameters = tree_of(0, dtype);
  const Tree minimum = tree_of(10, dtype);
  const Arrays to = minimum.leaves();
  for (int step = 0; step < table()["steps"].get<int>(); ++step) {
    Arrays gradients = parameters.leaves();
    for (size_t i = 0; i < to.size(); ++i) gradients[i] = gradients[i] - to[i];
    parameters = optimizer->apply_gradients(parameters.with_leaves(gradients),
                                            parameters);
    Arrays all = parameters.leaves();
    for (const array& a : optimizer->state().leaves()) all.push_back(a);
    eval(all);
  }
  return {parameters, optimizer->state()};
}

// Within `units` of float32's last place of the largest number.
void expect_described(const Tree& got, const Json& expected, double units) {
  auto flat = got.flatten();
  EXPECT_EQ(flat.size(), expected.size());
  for (const auto& [path, a] : flat) {
    ASSERT_TRUE(expected.contains(path)) << path;
    auto values = expected[path].get<std::vector<double>>();
    std::vector<double> v = a.to_vector<double>();
    ASSERT_EQ(v.size(), values.size()) << path;
    double most = 0;
    for (double x : values) most = std::max(most, std::abs(x));
    for (size_t i = 0; i < v.size(); ++i) {
      EXPECT_NEAR(v[i], values[i], most * units * 0x1p-24)
          << path << " element " << i;
    }
  }
}

class Parity : public testing::TestWithParam<size_t> {};

TEST_P(Parity, IsThatOfMlx) {
  const Json& row = table()["optimizers"][GetParam()];
  SCOPED_TRACE(row["options"].dump());
  for (Dtype dtype : {float32, bfloat16, float16}) {
    auto [parameters, state] = trajectory(row, dtype);
    Bits bits(std::to_string(GetParam()) + std::string(name_of(dtype)));
    for (const auto& [path, a] : parameters.flatten()) {
      EXPECT_EQ(a.dtype(), dtype);
      bits.add("parameters." + path, a);
    }
    for (const auto& [path, a] : state.flatten()) bits.add("state." + path, a);
    if (dtype != float32) continue;
    // Elementwise rules round as MLX does; sums and products have an order.
    const std::string name = row["optimizer"];
    const double units = name == "Muon" || name == "Adafactor" ? 32 : 4;
    expect_described(parameters, row["parameters"], units);
    expect_described(state, row["state"], units);
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         Parity,
                         testing::Range<size_t>(0,
                                                table()["optimizers"].size()),
                         [](const auto& info) {
                           const Json& row = table()["optimizers"][info.param];
                           return std::to_string(info.param) + "_" +
                                  row["optimizer"].template get<std::string>();
                         });

class ScheduleParity : public testing::TestWithParam<size_t> {};

TEST_P(ScheduleParity, IsThatOfMlx) {
  const Json& row = table()["schedules"][GetParam()];
  Schedule schedule = schedule_of(row["value"]);
  EXPECT_EQ(schedule.to_string(), row["text"].get<std::string>());
  EXPECT_EQ(schedule, schedule_of(row["value"]));
  Bits bits("schedule" + std::to_string(GetParam()));
  // A cosine near its end is what remains of the largest rate.
  double most = 0;
  for (const Json& rate : row["rates"]) {
    most = std::max(most, rate.get<double>());
  }
  for (size_t i = 0; i < row["times"].size(); ++i) {
    const auto time = row["times"][i].get<int64_t>();
    array rate = schedule(array(Scalar(time), uint64));
    EXPECT_EQ(rate.dtype(), float32);
    EXPECT_NEAR(rate.item<float>(), row["rates"][i].get<double>(), 1e-7 * most)
        << "after " << time << " steps";
    bits.add(std::to_string(time), rate);
  }
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ScheduleParity,
                         testing::Range<size_t>(0,
                                                table()["schedules"].size()));

}  // namespace
}  // namespace treadle::optimizers
