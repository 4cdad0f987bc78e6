// Tapes as values: checking, printing, hashing, and the op that holds one.
#include "treadle/plan/tape.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace treadle::plan {

using Code = TapeValue::Code;

std::string_view name_of(Lane lane) {
  constexpr std::string_view names[kNumLanes] = {
      "f32", "f64", "i32", "i64", "u32", "u64", "c64"};
  return names[static_cast<int>(lane)];
}

int Tape::num_phases() const {
  int last = 0;
  for (const TapeValue& v : values) last = std::max<int>(last, v.phase);
  return last + 1;
}

namespace {

int arity(const TapeValue& v) {
  switch (v.code) {
    case Code::load:
      return 0;
    case Code::row:
      return info(v.row).arity;
    default:
      return 1;
  }
}

bool is_output(const TapeValue& v) {
  return v.code == Code::store || v.code == Code::reduce_column;
}

std::string listing(const TapeValue& v, size_t position) {
  std::string args;
  const uint16_t inputs[] = {v.a, v.b, v.c};
  for (int i = 0; i < arity(v); ++i) {
    args += fmt::format("{}v{}", i == 0 ? "" : ", ", inputs[i]);
  }
  std::string text;
  switch (v.code) {
    case Code::load:
      text = fmt::format("load x{} {}", v.index, name_of(v.dtype));
      break;
    case Code::row:
      text = fmt::format("{} {}", info(v.row).name, args);
      break;
    case Code::convert:
      text = fmt::format("convert {} to {}", args, name_of(v.dtype));
      break;
    case Code::reduce_row:
      text = fmt::format("reduce_row {} {}", treadle::name_of(v.reduce), args);
      break;
    case Code::store:
      return fmt::format("y{} {} = {}", v.index, name_of(v.dtype), args);
    case Code::reduce_column:
      return fmt::format("y{} {} = reduce_column {} {}",
                         v.index,
                         name_of(v.dtype),
                         treadle::name_of(v.reduce),
                         args);
  }
  return fmt::format("v{} {}{} = {}",
                     position,
                     name_of(v.lane),
                     v.uniform ? " per row" : "",
                     text);
}

[[noreturn]] void malformed(const Tape& tape,
                            size_t position,
                            std::string_view what) {
  throw std::logic_error(
      fmt::format("[tape] value {}: {}\n{}", position, what, tape.to_string()));
}

}  // namespace

std::string Tape::to_string() const {
  std::string s;
  for (size_t i = 0; i < values.size(); ++i) {
    s += fmt::format("{}  phase {}\n", listing(values[i], i), values[i].phase);
  }
  return s;
}

void check(const Tape& tape) {
  std::vector<bool> loaded(tape.operands.size()), written(tape.outputs.size());
  const auto& values = tape.values;
  for (size_t i = 0; i < values.size(); ++i) {
    const TapeValue& v = values[i];
    const auto expect = [&](bool ok, std::string_view what) {
      if (!ok) malformed(tape, i, what);
    };
    const TapeValue* in[3] = {};
    const uint16_t inputs[] = {v.a, v.b, v.c};
    uint16_t phase = 0;
    bool uniform = true;
    for (int k = 0; k < arity(v); ++k) {
      expect(inputs[k] < i, "used before it is defined");
      in[k] = &values[inputs[k]];
      expect(!is_output(*in[k]), "uses what is not a value");
      phase = std::max<uint16_t>(
          phase, in[k]->phase + (in[k]->code == Code::reduce_row ? 1 : 0));
      uniform = uniform && in[k]->uniform;
    }
    if (v.code == Code::load) {
      expect(v.index < tape.operands.size(), "no such operand");
      expect(v.dtype == tape.operands[v.index], "not the operand's dtype");
      expect(v.lane == lane_of(v.dtype), "a wrong lane");
      loaded[v.index] = true;
    } else {
      expect(v.phase == phase, "a wrong phase");
    }
    switch (v.code) {
      case Code::load:
        break;
      case Code::row: {
        const RowInfo& row = info(v.row);
        const bool choose = row.rule == Rule::choose;
        const Lane lane = in[choose ? 1 : 0]->lane;
        expect(takes_lane(row.rule, lane), "the row does not take the lane");
        expect(v.lane == result_lane(row.rule, lane), "a wrong lane");
        for (int k = 0; k < row.arity; ++k) {
          expect(in[k]->lane == (choose && k == 0 ? Lane::u32 : lane),
                 "inputs of different lanes");
        }
        expect(v.uniform == uniform, "a wrong uniform");
        break;
      }
      case Code::convert:
        expect(v.lane == lane_of(v.dtype), "a wrong lane");
        expect(v.uniform == uniform, "a wrong uniform");
        break;
      case Code::reduce_row:
        expect(tape.inner_axes > 0, "reduces a row, but there are no rows");
        expect(v.lane == in[0]->lane, "a wrong lane");
        expect(v.uniform, "one number per row, but not uniform");
        break;
      case Code::store:
      case Code::reduce_column: {
        expect(v.index < tape.outputs.size(), "no such output");
        expect(!written[v.index], "an output written twice");
        written[v.index] = true;
        const TapeOutput& out = tape.outputs[v.index];
        const bool column = v.code == Code::reduce_column;
        expect(v.dtype == out.dtype, "not the output's dtype");
        expect(v.lane == in[0]->lane, "a wrong lane");
        expect(lane_of(v.dtype) == v.lane, "stored as a dtype of another lane");
        expect((out.form == OutputForm::column) == column,
               "does not fit the form of the output");
        expect(out.form != OutputForm::row || in[0]->uniform,
               "a row output that is not uniform");
        expect(out.form == OutputForm::full || tape.inner_axes > 0,
               "a row or column output, but there are no rows");
        break;
      }
    }
  }
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (!loaded[i])
      malformed(tape, values.size(), fmt::format("x{} is never loaded", i));
  }
  for (size_t i = 0; i < written.size(); ++i) {
    if (!written[i])
      malformed(tape, values.size(), fmt::format("y{} is never written", i));
  }
}

const Prepared::Base* Prepared::set(std::unique_ptr<const Base> made) const {
  const Base* first = nullptr;
  if (value_.compare_exchange_strong(first,
                                     made.get(),
                                     std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
    return made.release();
  }
  return first;
}

void Fused::hash_structure(Hasher& h) const {
  h.add(name());
  h.add(uint64_t(tape.inner_axes));
  h.add(tape.operands.size());
  for (Dtype t : tape.operands) h.add(uint64_t(t));
  h.add(tape.outputs.size());
  for (const TapeOutput& o : tape.outputs) {
    h.add(uint64_t(o.dtype) << 8 | uint64_t(o.form));
  }
  h.add(tape.values.size());
  for (const TapeValue& v : tape.values) {
    h.add(uint64_t(v.code) | uint64_t(v.lane) << 8 | uint64_t(v.uniform) << 16 |
          uint64_t(v.row) << 24 | uint64_t(v.reduce) << 32 |
          uint64_t(v.dtype) << 40 | uint64_t(v.index) << 48);
    h.add(uint64_t(v.a) | uint64_t(v.b) << 16 | uint64_t(v.c) << 32 |
          uint64_t(v.phase) << 48);
  }
}

bool Fused::same_as(const Op& other) const {
  const Fused* o = as<Fused>(other);
  return o && o->tape == tape;
}

std::string Fused::describe() const {
  return fmt::format("{} values, {} operands, {} outputs",
                     tape.values.size(),
                     tape.operands.size(),
                     tape.outputs.size());
}

// A tape exists inside a plan only, where shapes are known from the nodes it
// stands for and nothing is differentiated any more.
Specs Fused::infer(std::span<const Spec>) const {
  throw std::logic_error("[fused] exists in plans only; it infers nothing");
}
Arrays Fused::jvp(const Arrays&, const Arrays&, const Arrays&, Argnums) const {
  return not_differentiable(name());
}
Arrays Fused::vjp(const Arrays&, const Arrays&, const Arrays&, Argnums) const {
  return not_differentiable(name());
}
Mapped Fused::vmap(const Arrays&, std::span<const int>) const {
  return not_mappable(name(), "it exists in plans only");
}

OpPtr make_fused(Tape tape) {
  check(tape);
  return OpPtr(new Fused(std::move(tape)));
}

}  // namespace treadle::plan
