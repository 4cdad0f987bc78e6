#include "treadle/backend/cuda/tape_printer.h"

#include "treadle/backend/cuda/device_text.h"

namespace treadle::backend::cuda {

using plan::OutputForm;
using plan::TapeValue;

// --- text ------------------------------------------------------------------

std::string Printer::fill(std::string_view text, Args args) {
  std::string s;
  const std::string* next = args.begin();
  for (char c : text) {
    if (c == '$') {
      s += *next++;
    } else {
      s += c;
    }
  }
  return s;
}

void Printer::line(std::string_view text, Args args) {
  const std::string s = fill(text, args);
  if (s[0] == '}') indent_ -= 2;
  out_ += std::string(size_t(indent_), ' ') + s + "\n";
  if (s.back() == '{') indent_ += 2;
}

void Printer::unrolled(std::string_view text, Args args) {
  line("#pragma unroll");
  line(text, args);
}

// --- facts -----------------------------------------------------------------

std::string Printer::lane(size_t i) const {
  return std::string(lane_name(value(i).lane));
}
std::string Printer::operand_type(size_t load) const {
  return std::string(storage_name(tape_.operands[value(load).index]));
}
std::string Printer::output_type(size_t sink) const {
  return std::string(storage_name(tape_.outputs[value(sink).index].dtype));
}
Access Printer::access(size_t load) const {
  return layout_.operands[value(load).index];
}

bool Printer::moves(size_t i) const {
  return value(i).code == Code::load && !value(i).uniform &&
         access(i) != Access::repeated;
}

bool Printer::is_row_store(size_t i) const {
  return value(i).code == Code::store &&
         tape_.outputs[value(i).index].form == OutputForm::row;
}

Printer::Ids Printer::all(Code code) const {
  Ids ids;
  for (size_t i = 0; i < count(); ++i) {
    if (value(i).code == code) ids.push_back(i);
  }
  return ids;
}

Printer::Ids Printer::sinks(int phase, Code code) const {
  Ids ids;
  for (size_t i : all(code)) {
    if (facts_.home[i] == phase && !is_row_store(i)) ids.push_back(i);
  }
  return ids;
}

Printer::Ids Printer::moving(const std::vector<bool>& need, int home) const {
  Ids ids;
  for (size_t i : all(Code::load)) {
    if (need[i] && moves(i) && (home < 0 || facts_.home[i] == home))
      ids.push_back(i);
  }
  return ids;
}

std::vector<bool> Printer::needed(int phase, bool registers) const {
  std::vector<bool> need(count(), false);
  for (size_t i = count(); i-- > 0;) {
    const TapeValue& v = value(i);
    const bool sink = is_sink(v) && !is_row_store(i);
    if (sink && facts_.home[i] == phase) need[i] = true;
    if (!need[i] || (!sink && registers && facts_.home[i] < phase)) continue;
    for (int k = 0; k < arity(v); ++k) {
      const size_t from = argument(v, k);
      if (!value(from).uniform) need[from] = true;
    }
  }
  return need;
}

std::string Printer::reducer(size_t i) const {
  static constexpr std::string_view kinds[] = {"sum", "prod", "max", "min"};
  return fill("reduce::$<$>",
              {std::string(kinds[size_t(value(i).reduce)]), lane(i)});
}

std::string Printer::expression(size_t i) const {
  const TapeValue& v = value(i);
  if (v.code == Code::convert) {
    return fill("lane(As<$>::from($))",
                {std::string(storage_name(v.dtype)), name('v', v.a)});
  }
  std::string args;
  for (int k = 0; k < arity(v); ++k)
    args += (k ? ", " : "") + name('v', argument(v, k));
  return fill("row::$($)", {std::string(info(v.row).name), args});
}

std::string Printer::row_start(size_t load) const {
  const std::string n = str(value(load).index);
  std::string at;
  if (layout_.outer == Outer::axis)
    at = fill(" + row * a.in[$].stride[0]", {n});
  if (layout_.outer == Outer::axes) at = fill(" + o.at[$]", {n});
  return fill("(const $*)a.in[$].data$", {operand_type(load), n, at});
}

std::string Printer::workspace_of(size_t i) const {
  int64_t before = 0;
  for (size_t c : all(Code::reduce_column)) before += c < i;
  return fill("($*)((u64*)a.workspace + $ * a.blocks * a.length)",
              {lane(i), str(before)});
}

// --- statements ------------------------------------------------------------

void Printer::entry(std::string_view name, int threads) {
  line(
      R"(extern "C" __global__ void __launch_bounds__($) $(const __grid_constant__ Args a) {)",
      {str(threads), std::string(name)});
}

// In braces, so that a value of another lane does not compile.
void Printer::define(size_t i, const std::string& what) {
  line("const $ ${$};", {lane(i), name('v', i), what});
}

void Printer::outer_offsets() {
  if (layout_.outer == Outer::axes) {
    line("const Offsets o = offsets(a, row, 0, (int)a.outer_rank);");
  }
}

void Printer::row_loads() {
  for (size_t i : all(Code::load)) {
    if (facts_.home[i] < 0 || moves(i)) continue;
    line("const $ $ = *($);", {operand_type(i), name('x', i), row_start(i)});
  }
}

void Printer::row_values(int phase) {
  for (size_t i = 0; i < count(); ++i) {
    const TapeValue& v = value(i);
    if (facts_.depth[i] != phase) continue;
    if (is_row_store(i)) {
      const std::string n = str(v.index), type = output_type(i);
      line("if (leader && a.out[$]) (($*)a.out[$])[row] = As<$>::from($);",
           {n, type, n, type, name('v', v.a)});
    } else if (v.uniform && !is_sink(v) && facts_.home[i] >= 0) {
      define(i,
             v.code == Code::load ? fill("lane($)", {name('x', i)})
                                  : expression(i));
    }
  }
}

void Printer::load_chunk(const Ids& loads,
                         const std::string& slot,
                         const std::string& left) {
  for (size_t i : loads) {
    if (access(i) != Access::strided) continue;
    line(
        "const Offsets n = offsets(a, j, (int)a.outer_rank, "
        "(int)a.inner_rank);");
    break;
  }
  for (size_t i : loads) {
    const std::string x = name('x', i) + slot;
    if (access(i) == Access::strided) {
      line("$.v[0] = ($)[n.at[$]];", {x, row_start(i), str(value(i).index)});
    } else {
      line("load($, $ + j$);", {x, row_start(i), left});
    }
  }
}

void Printer::element(const std::vector<bool>& need,
                      int phase,
                      bool registers,
                      const std::string& slot) {
  for (size_t i = 0; i < count(); ++i) {
    const TapeValue& v = value(i);
    if (!need[i] || is_sink(v)) continue;
    if (v.code == Code::load) {
      const std::string x = name('x', i);
      define(
          i,
          moves(i) ? fill("lane($$.v[e])", {x, slot}) : fill("lane($)", {x}));
    } else if (registers && facts_.home[i] < phase) {
      define(i, name('k', i) + slot + "[e]");
    } else {
      define(i, expression(i));
      if (registers && facts_.kept[i]) {
        line("$$[e] = $;", {name('k', i), slot, name('v', i)});
      }
    }
  }
}

void Printer::combine(size_t reduction, const std::string& total) {
  line("$ = $::both($, $);",
       {total, reducer(reduction), total, name('v', value(reduction).a)});
}

void Printer::declare_pack(size_t store) {
  line("Pack<$, $> $;", {output_type(store), width(), name('y', store)});
}
void Printer::to_pack(size_t store) {
  line("$.v[e] = As<$>::from($);",
       {name('y', store), output_type(store), name('v', value(store).a)});
}
void Printer::store_pack(size_t store,
                         const std::string& at,
                         const std::string& left) {
  const std::string n = str(value(store).index);
  line("if (a.out[$]) store(($*)a.out[$] + $, $$);",
       {n, output_type(store), n, at, name('y', store), left});
}

}  // namespace treadle::backend::cuda
