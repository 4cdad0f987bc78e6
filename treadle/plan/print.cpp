// Plans as text and as graphs, and the check that a plan is sound.
#include <map>
#include <stdexcept>

#include <fmt/format.h>

#include "treadle/plan/fuse.h"
#include "treadle/plan/plan.h"

namespace treadle::plan {

namespace {

std::string name_of(const Plan& plan, const Program& p, uint32_t v) {
  v = plan.values[v].same_as;
  std::string views;
  while (plan.values[v].place == Place::view) {
    views = fmt::format(
        "{}.{}", p.nodes[size_t(plan.values[v].node)].node->op->name(), views);
    v = plan.values[plan.values[v].base].same_as;
  }
  if (!views.empty()) views.pop_back();
  return fmt::format(
      "{}{}{}{}", p.is_leaf(v) ? "x" : "v", v, views.empty() ? "" : ".", views);
}

std::string text_of(const Spec& spec) { return treadle::to_string(spec); }

std::string label_of(const PlanStep& step, const Program& p) {
  switch (step.kind) {
    case PlanStep::Kind::copy:
      return "copy";
    case PlanStep::Kind::op: {
      const Node& n = *p.nodes[size_t(step.node)].node;
      std::string fields = n.op->describe();
      std::string at = n.module_path ? *n.module_path + ": " : "";
      return fmt::format("{}{}{}{}{}",
                         at,
                         n.op->name(),
                         fields.empty() ? "" : "(",
                         fields,
                         fields.empty() ? "" : ")");
    }
    case PlanStep::Kind::fused:
      break;
  }
  std::string ops;
  for (uint32_t n : step.members) {
    ops += fmt::format(
        "{}{}", ops.empty() ? "" : " ", p.nodes[n].node->op->name());
  }
  // Done with the step before it, where its kernel does that.
  return fmt::format("{}fused[{}]", step.follows ? "+ " : "", ops);
}

}  // namespace

static bool is_product_of(const PlanStep& step,
                          uint32_t value,
                          const Plan& plan) {
  uint32_t v = plan.values[step.in[step.product]].same_as;
  while (plan.values[v].place == Place::view) {
    v = plan.values[plan.values[v].base].same_as;
  }
  return v == value;
}

// Why the step that makes a value and the one that reads it are two.
static std::string why_not_fused(const Program& p,
                                 const Plan& plan,
                                 const PlanStep& maker,
                                 const PlanStep& reader,
                                 uint32_t value) {
  if (maker.kind == PlanStep::Kind::copy ||
      reader.kind == PlanStep::Kind::copy) {
    return "a copy to row order";
  }
  auto kernel = [&](const PlanStep& s) { return s.kind == PlanStep::Kind::op; };
  if (reader.follows && kernel(maker) && is_product_of(reader, value, plan)) {
    return "done with it row by row, where that pays";
  }
  if (kernel(maker)) {
    return fmt::format("{} is a kernel of its own",
                       p.nodes[size_t(maker.node)].node->op->name());
  }
  if (kernel(reader)) {
    return fmt::format("{} is a kernel of its own",
                       p.nodes[size_t(reader.node)].node->op->name());
  }
  const Tape& a = static_cast<const Fused&>(*maker.fused).tape;
  const Tape& b = static_cast<const Fused&>(*reader.fused).tape;
  const Shape& made = p.spec(plan.values[maker.space].spec).shape;
  const Shape& read = p.spec(plan.values[reader.space].spec).shape;
  for (size_t j = 0; j < maker.out.size(); ++j) {
    if (maker.out[j] == value && a.outputs[j].form == OutputForm::column) {
      return "a sum over the rows is complete only when all rows are done";
    }
  }
  if (made != read) {
    return fmt::format(
        "spaces {} and {} differ", to_string(made), to_string(read));
  }
  if (a.inner_axes != b.inner_axes) {
    return fmt::format("rows of {} and of {} axes", a.inner_axes, b.inner_axes);
  }
  return "joining them would make a cycle, or too long a tape";
}

std::string to_string(const Plan& plan, const Program& p) {
  std::string out;
  std::map<uint32_t, size_t> made_by;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    out += fmt::format("{:3} {}\n", i, label_of(step, p));
    for (uint32_t v : step.in) {
      out += fmt::format("      in  {} {}",
                         name_of(plan, p, v),
                         text_of(p.spec(plan.values[v].spec)));
      uint32_t root = plan.values[v].same_as;
      while (plan.values[root].place == Place::view) {
        root = plan.values[plan.values[root].base].same_as;
      }
      auto it = made_by.find(root);
      if (it != made_by.end()) {
        out += fmt::format(
            "  (from {}, {}{})",
            it->second,
            step.follows && is_product_of(step, root, plan) ? ""
                                                            : "not fused: ",
            why_not_fused(p, plan, plan.steps[it->second], step, root));
      }
      out += "\n";
    }
    for (uint32_t v : step.out) {
      const PlanValue& value = plan.values[v];
      out += fmt::format("      out {} {}{}\n",
                         name_of(plan, p, v),
                         text_of(p.spec(value.spec)),
                         value.owned ? "" : "  (arena)");
      made_by[v] = i;
    }
  }
  return out;
}

std::string to_dot(const Plan& plan, const Program& p) {
  std::string out = "digraph plan {\n  rankdir=TB;\n  node [shape=box];\n";
  std::map<uint32_t, size_t> made_by;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    std::string label;
    for (char c : label_of(step, p))
      label += c == '"' ? std::string("\\\"") : std::string(1, c);
    out += fmt::format("  s{} [label=\"{}: {}\"];\n", i, i, label);
    for (uint32_t v : step.in) {
      uint32_t root = plan.values[v].same_as;
      while (plan.values[root].place == Place::view) {
        root = plan.values[plan.values[root].base].same_as;
      }
      std::string shape = text_of(p.spec(plan.values[v].spec));
      auto it = made_by.find(root);
      if (it == made_by.end()) {
        out += fmt::format(
            "  x{} [shape=ellipse];\n  x{} -> s{} [label=\"{}\"];\n",
            root,
            root,
            i,
            shape);
      } else {
        out +=
            fmt::format("  s{} -> s{} [label=\"{}\"];\n", it->second, i, shape);
      }
    }
    for (uint32_t v : step.out) made_by[v] = i;
  }
  return out + "}\n";
}

void verify(const Plan& plan, const Program& p) {
  auto fail = [](const std::string& what) {
    throw std::logic_error("plan: " + what);
  };
  std::vector<uint8_t> written(plan.values.size(), 0);
  auto root_of = [&](uint32_t v) {
    v = plan.values[v].same_as;
    while (plan.values[v].place == Place::view)
      v = plan.values[plan.values[v].base].same_as;
    return v;
  };
  for (uint32_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    if (step.kind == PlanStep::Kind::fused) {
      check(static_cast<const Fused&>(*step.fused).tape);
    }
    for (uint32_t v : step.in) {
      uint32_t r = root_of(v);
      const PlanValue& value = plan.values[r];
      if (value.place == Place::leaf) continue;
      if (value.place != Place::memory)
        fail(fmt::format("step {} reads value {} that is nowhere", i, r));
      if (!written[r])
        fail(fmt::format("step {} reads value {} before it is written", i, r));
      if (!value.owned && value.last_use < i) {
        fail(fmt::format("step {} reads value {} after its last use", i, r));
      }
    }
    for (uint32_t v : step.out) {
      if (written[v]) fail(fmt::format("step {} writes value {} again", i, v));
      written[v] = 1;
    }
  }
  for (uint32_t v = 0; v < p.values.size(); ++v) {
    uint32_t r = root_of(v);
    if (plan.values[v].wanted && plan.values[r].place != Place::leaf &&
        !written[r]) {
      fail(fmt::format("wanted value {} is never written", v));
    }
  }
}

}  // namespace treadle::plan
