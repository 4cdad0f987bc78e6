// docs/ops.md: every op of the library, its dtypes, rules and kernels, found by
// asking the ops that the case tables record. An op that no row records fails
// the test, and so does a page that is out of date; UPDATE_DOCS=1 writes it.
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/io/function_ops.h"
#include "treadle/ops/elementwise.h"
#include "treadle/plan/fuse.h"
#include "treadle/runtime/kernel.h"

#include "tests/cases/composed.h"
#include "tests/cases/core.h"
#include "tests/cases/cumulative.h"
#include "tests/cases/elementwise.h"
#include "tests/cases/fast.h"
#include "tests/cases/indexing.h"
#include "tests/cases/linalg.h"
#include "tests/cases/others.h"
#include "tests/cases/products.h"
#include "tests/cases/sort.h"
#include "tests/cases/spatial.h"

namespace treadle::testing {
namespace {

namespace fs = std::filesystem;

// An op as a case recorded it.
struct Example {
  OpPtr op;
  Arrays in;
  bool inexact = false;             // its output
  std::set<std::string> functions;  // whose cases record it
  std::set<Dtype> dtypes;           // of the first input, as computed
};
using Examples = std::map<std::string, Example>;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// All matches of a pattern's first group in the sources of a folder.
std::set<std::string> found_in(const fs::path& folder,
                               const std::string& pattern) {
  std::set<std::string> out;
  const std::regex regex(pattern);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cpp") continue;
    std::string line;
    std::istringstream text(text_of(entry.path()));
    while (std::getline(text, line)) {
      if (line.find("//") < line.find_first_not_of(" /")) continue;
      std::smatch match;
      if (std::regex_search(line, match, regex)) out.insert(match[1]);
    }
  }
  return out;
}

// Every op there is: the rows, and what declares an op_name.
std::set<std::string> ops_of_the_sources() {
  std::set<std::string> names =
      found_in("treadle", R"re(^\s+static .*op_name = "([\w.]+)")re");
  for (const RowInfo& row : kRows) names.insert(std::string(row.name));
  // Asked for their derivatives alone, by ops for products of others.
  for (const char* name : {"product_tree",
                           "product_steps",
                           "cumprod_exact_derivative",
                           "exact_other_updates"}) {
    EXPECT_EQ(names.erase(name), 1u) << name;
  }
  // These have a name for each of their kinds.
  const std::pair<const char*, std::vector<const char*>> kinds[] = {
      {"reduce", {"sum", "prod", "max", "min"}},
      {"arg_reduce", {"argmax", "argmin"}},
      {"cumulative", {"cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"}},
  };
  for (const auto& [family, members] : kinds) {
    EXPECT_EQ(names.erase(family), 1u) << family;
    names.insert(members.begin(), members.end());
  }
  return names;
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (const auto& table : {elementwise_cases(),
                            core_cases(),
                            composed_cases(),
                            cumulative_cases(),
                            einsum_cases(),
                            factor_cases(),
                            fast_cases(),
                            fft_cases(),
                            indexing_cases(),
                            other_cases(),
                            sort_cases(),
                            spatial_cases(),
                            system_cases()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

class Collector {
 public:
  Collector() {
    const auto python = found_in("python/src", R"re("([a-z]\w*)")re");
    const auto cpp = found_in("treadle", R"re(^[\w:<>, ]+ (\w+)\()re");
    for (const std::string& name : python) {
      if (cpp.count(name)) bound_.insert(name);
    }
    for (const RowInfo& row : kRows) bound_.insert(std::string(row.name));
  }

  // The ops behind `outputs`, those that composites expand to, and those of a
  // region's graph.
  void walk(const Arrays& outputs, const std::string& function) {
    Arrays stack = outputs;
    std::set<const Node*> seen;
    while (!stack.empty()) {
      const array a = stack.back();
      stack.pop_back();
      if (a.null() || !a.node()->op || !seen.insert(a.node()).second) continue;
      Node& node = *a.node();
      Arrays in = node.input_arrays();
      Example& example = examples_[std::string(node.op->name())];
      auto inexact = [](const Arrays& x) {
        return std::any_of(x.begin(), x.end(), [](const array& v) {
          return is_inexact(v.dtype());
        });
      };
      // Rather one that has derivatives.
      if (!example.op || (inexact(in) && is_inexact(a.dtype()) &&
                          !(inexact(example.in) && example.inexact))) {
        example.op = node.op;
        example.in = in;
        example.inexact = is_inexact(a.dtype());
      }
      // The condition of select comes first.
      const bool row = node.op->kind() == OpKind::row;
      example.dtypes.insert((in.empty() ? a : row ? in.back() : in[0]).dtype());
      if (!function.empty()) example.functions.insert(function);
      const OpKind kind = node.op->kind();
      if (kind == OpKind::composite) walk(node.op->expand(in), "");
      if (const Graph* graph = node.op->graph()) walk(graph->outputs, "");
      stack.insert(stack.end(), in.begin(), in.end());
    }
  }

  // The longest beginning of a case's name that Python has a function of.
  std::string function_of(const std::string& name) const {
    if (name.ends_with("_by_hand") || name.find("_pool") != name.npos)
      return "";
    for (size_t end = name.size(); end != std::string::npos && end > 0;
         end = name.rfind('_', end - 1)) {
      if (bound_.count(name.substr(0, end))) return name.substr(0, end);
    }
    return "";
  }
  bool bound(const std::string& name) const { return bound_.count(name) > 0; }

  void collect(const OpCase& c) {
    collect(c, draw(c));
    for (int i = 0; i < kNumDtypes; ++i) {
      const Dtype t = Dtype(i);
      Arrays x = draw(c, t);
      // Rows of integers are drawn as such.
      const bool floats =
          std::any_of(c.inputs.begin(), c.inputs.end(), [](const Input& in) {
            return is_floating(in.dtype);
          });
      if (!floats) {
        for (array& a : x) a = astype(a, t);
      }
      try {
        collect(c, x);
      } catch (const std::exception&) {
        // Said when it is recorded.
      }
    }
  }

  const Examples& examples() const { return examples_; }

 private:
  void collect(const OpCase& c, const Arrays& x) {
    const array y = c.f(x);
    Collector here(*this);
    here.walk({y}, function_of(c.name));
    std::vector<int> args;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (c.inputs[i].differentiable && is_floating(x[i].dtype()))
        args.push_back(int(i));
    }
    array(y).eval();
    examples_ = here.examples_;
    if (!c.gradient || args.empty() || !is_floating(y.dtype())) return;
    Arrays some;
    for (int i : args) some.push_back(x[size_t(i)]);
    ArraysFn f = [&](const Arrays& v) {
      Arrays all = x;
      for (size_t k = 0; k < args.size(); ++k) all[size_t(args[k])] = v[k];
      const array traced = c.f(all);
      // Some ops stand in traces only.
      here.walk({traced}, function_of(c.name));
      return Arrays{traced};
    };
    Arrays g = vjp(f, some, {ones_like(y)}).second;
    Arrays dy = jvp(f, some, some).second;
    g.insert(g.end(), dy.begin(), dy.end());
    here.walk(g, "");
    eval(g);
    examples_ = here.examples_;
  }

  std::set<std::string> bound_;
  Examples examples_;
};

// ---- what an op answers ----

// The error of a call, or "" when it goes well.
template <class F>
std::string failure(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

Arrays outputs_of(const Example& e, const Arrays& in) {
  return record_all(e.op, in, resolve({}));
}

std::string rule(const std::string& error) {
  if (error.empty()) return "yes";
  std::string why = error.substr(error.find("] ") + 2);
  return "no: " + why.substr(0, why.find_first_of(".;"));
}

std::vector<int> active(const Example& e) {
  std::vector<int> args;
  for (size_t i = 0; i < e.in.size(); ++i) {
    if (is_inexact(e.in[i].dtype())) args.push_back(int(i));
  }
  return args;
}

// Zero: the rule exists, and no output moves.
std::string derivative(const Example& e, bool forward) {
  const std::vector<int> args = active(e);
  if (args.empty()) return "of integers";
  Arrays got;
  const std::string error = failure([&] {
    Arrays y = outputs_of(e, e.in), t;
    if (forward) {
      for (int i : args) t.push_back(ones_like(e.in[size_t(i)]));
      got = e.op->jvp(e.in, y, t, args);
    } else {
      for (const array& o : y) t.push_back(ones_like(o));
      got = e.op->vjp(e.in, y, t, args);
    }
    for (const array& g : got) {
      if (!g.null()) g.eval();
    }
  });
  if (!error.empty()) return rule(error);
  for (const array& g : got) {
    if (!g.null()) return "yes";
  }
  return "zero";
}

std::string mapped(const Example& e) {
  return rule(failure([&] {
    Arrays in;
    std::vector<int> axes;
    for (const array& a : e.in) {
      in.push_back(stack({a, a}));
      axes.push_back(0);
    }
    if (!in.empty()) e.op->vmap(in, axes);
  }));
}

// The dtypes of the first input with which a case computed the op.
std::string dtypes(const Example& e) {
  std::vector<bool> takes;
  for (int i = 0; i < kNumDtypes; ++i)
    takes.push_back(e.dtypes.count(Dtype(i)));
  // Runs of a class are said in a word.
  struct Class {
    std::string_view name;
    std::vector<Dtype> members;
  };
  const Class classes[] = {
      {"bool", {bool_}},
      {"integers", {uint8, uint16, uint32, uint64, int8, int16, int32, int64}},
      {"floats", {float16, bfloat16, float32, float64}},
      {"complex64", {complex64}}};
  std::string out;
  auto add = [&](std::string_view name) {
    out += (out.empty() ? "" : ", ") + std::string(name);
  };
  bool every = true;
  for (bool b : takes) every = every && b;
  if (every) return "all";
  for (const Class& c : classes) {
    size_t count = 0;
    for (Dtype t : c.members) count += takes[size_t(t)];
    if (count == c.members.size()) {
      add(c.name);
    } else {
      for (Dtype t : c.members) {
        if (takes[size_t(t)]) add(name_of(t));
      }
    }
  }
  return out;
}

std::string kernels(const Example& e) {
  std::string out = plan::fusible(*e.op) ? "cpu::tape" : "";
  for (const auto& k : runtime::kernel_table(Device::Type::cpu).list(*e.op)) {
    out += (out.empty() ? "" : ", ") + std::string(k.name);
  }
  if (!out.empty()) return out;
  switch (e.op->kind()) {
    case OpKind::view:
      return "none: a view";
    case OpKind::composite:
      return "none: expanded";
    case OpKind::region:
      return "those of its graph";
    default:
      return "none";
  }
}

std::string kind(const Example& e) {
  constexpr std::string_view names[] = {
      "row", "plain", "view", "composite", "region"};
  return std::string(names[size_t(e.op->kind())]);
}

std::string fused(const Example& e) {
  if (plan::fusible(*e.op)) return "yes";
  if (e.op->kind() == OpKind::view) return "read in place";
  if (e.op->kind() == OpKind::composite &&
      runtime::kernel_table(Device::Type::cpu).list(*e.op).empty()) {
    return "its parts";
  }
  return "no";
}

std::string functions(const Collector& all,
                      const std::string& name,
                      const Example& e) {
  std::set<std::string> names;
  if (all.bound(name)) {
    names.insert(name);
  } else {
    names = e.functions;
  }
  std::string out;
  for (const std::string& f : names) {
    out += (out.empty() ? "`" : ", `") + f + "`";
  }
  return out;
}

constexpr std::string_view kHead =
    R"(# Operations

Every op of the library: what a node of a graph may be. Made from the code by `UPDATE_DOCS=1 build/release/tests/ops_test
--gtest_filter='OpTable.*'`; a test compares this page with what the ops answer, and fails for an op that no case row records.
Other functions are written in these ops.

- **functions**: those of the same name in C++ (`treadle::`) and Python (`treadle.core`); where it is not the op's own name, those
  whose test cases record it. Empty: recorded by layers, transforms and gradients.
- **dtypes** of the first input (of `select` the last), as computed in the case rows. An elementwise function converts its
  arguments first: `exp` of integers is float32.
- **jvp, vjp, vmap**: "zero" is a rule whose result is always zero; "no" says why.
- **kernels** of the CPU, fastest first, the reference last. What is fused runs as part of a tape, `cpu::tape` on the CPU and
  generated source on CUDA; no other op has a CUDA kernel yet.
- **fused**: computed in one pass with its neighbours.

| op | functions | kind | dtypes | jvp | vjp | vmap | kernels (CPU) | CUDA | fused |
|---|---|---|---|---|---|---|---|---|---|
)";

std::string page(const Collector& all) {
  std::string out(kHead);
  for (const auto& [name, e] : all.examples()) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                       name,
                       functions(all, name, e),
                       kind(e),
                       dtypes(e),
                       derivative(e, true),
                       derivative(e, false),
                       mapped(e),
                       kernels(e),
                       plan::fusible(*e.op) ? "tape source" : "-",
                       fused(e));
  }
  return out;
}

class OpTable : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    all_ = new Collector();
    for (const OpCase& c : all_cases()) all_->collect(c);
  }
  static Collector* all_;
};
Collector* OpTable::all_ = nullptr;

TEST_F(OpTable, EveryOpIsRecordedByARow) {
  const std::set<std::string> names = ops_of_the_sources();
  EXPECT_GT(names.size(), 90u) << "the sources are read from the project root";
  for (const std::string& name : names) {
    EXPECT_TRUE(all_->examples().count(name))
        << "no row of tests/cases records " << name << "; add one";
  }
}

// What cannot be written as itself must be written in other ops.
TEST_F(OpTable, EveryOpCanBeWrittenToAFile) {
  for (const auto& [name, e] : all_->examples()) {
    const OpKind kind = e.op->kind();
    const bool expands = kind == OpKind::composite || kind == OpKind::region ||
                         name == "depends";
    EXPECT_TRUE(can_save(*e.op) || expands)
        << name << ": give io/function_ops.cpp a make() of it";
  }
}

TEST_F(OpTable, ThePageIsUpToDate) {
  const std::string want = page(*all_);
  if (std::getenv("UPDATE_DOCS")) std::ofstream("docs/ops.md") << want;
  EXPECT_EQ(text_of("docs/ops.md"), want)
      << "write it with UPDATE_DOCS=1 build/release/tests/ops_test "
         "--gtest_filter='OpTable.*'";
}

}  // namespace
}  // namespace treadle::testing
