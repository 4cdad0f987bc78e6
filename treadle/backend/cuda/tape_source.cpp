#include "treadle/backend/cuda/tape_source.h"

#include <algorithm>
#include <set>

#include "treadle/backend/cuda/device_text.h"
#include "treadle/backend/cuda/tape_printer.h"

namespace treadle::backend::cuda {

using plan::TapeValue;

std::string tape_source(const plan::Tape& tape, const LayoutClass& layout) {
  return Printer(tape, layout).print();
}

std::string Printer::print() {
  preamble();
  switch (facts_.geometry.family) {
    case Family::map:
      map();
      break;
    case Family::rows:
      rows();
      break;
    case Family::columns:
      columns();
      break;
  }
  if (facts_.geometry.column_sums > 0) finish();
  return std::move(out_);
}

void Printer::preamble() {
  std::set<Row> rows;
  bool complex = false;
  for (const TapeValue& v : tape_.values) {
    if (v.code == Code::row) rows.insert(v.row);
    complex |= v.lane == plan::Lane::c64;
  }
  out_ += kDeviceText;
  if (complex) out_ += kComplexText;
  out_ += kReduceText;
  out_ += row_functions(rows);

  const std::string inputs = str(std::max<size_t>(1, tape_.operands.size()));
  const std::string outputs = str(std::max<size_t>(1, tape_.outputs.size()));
  // tape_launch.cpp fills the same words.
  line("struct Operand { const void* data; s64 stride[$]; };", {str(kMaxRank)});
  line("struct Args {");
  line("s64 rows, length, block_rows, blocks;");
  line("void* workspace;");
  line("s64 outer_rank, inner_rank, size[$];", {str(kMaxRank)});
  line("Operand in[$];", {inputs});
  line("void* out[$];", {outputs});
  line("};");
  if (layout_.outer != Outer::axes && !any_strided()) {
    line("typedef s64 Position;");
    return;
  }
  // Where position `flat` of `rank` axes from `first` on lies in each operand.
  line("typedef $ Position;", {layout_.wide ? "u64" : "u32"});
  line("struct Offsets { s64 at[$]; };", {inputs});
  line("D Offsets offsets(const Args& a, s64 flat, int first, int rank) {");
  line("Offsets o = {};");
  line("Position rest = (Position)flat;");
  line("for (int d = first + rank - 1; d >= first; --d) {");
  line("const Position size = (Position)a.size[d];");
  line("const Position above = d > first ? rest / size : 0;");
  line("const s64 at = rest - above * size;");
  for (size_t i = 0; i < tape_.operands.size(); ++i) {
    line("o.at[$] += at * a.in[$].stride[d];", {str(i), str(i)});
  }
  line("rest = above;");
  line("}");
  line("return o;");
  line("}");
}

// A thread has `unroll` chunks of `width` elements: it loads all, then computes
// and stores one after another.
void Printer::map() {
  const bool flat = layout_.outer == Outer::none;
  const std::string u = str(facts_.geometry.unroll), threads = str(kMapThreads);
  const std::string step = str(facts_.geometry.unroll * kMapThreads);
  // Only a single row may end within a vector.
  const std::string left = flat && layout_.vector ? ", a.length - j" : "";
  const std::vector<bool> need = needed(0, false);
  const Ids loads = moving(need), stores = all(Code::store);
  Ids singles;  // one element for the whole row
  for (size_t i : all(Code::load)) {
    if (need[i] && !moves(i)) singles.push_back(i);
  }

  entry("map", kMapThreads);
  line("const s64 chunks = (a.length + $) / $;",
       {str(facts_.geometry.width - 1), width()});
  line("const s64 items = chunks * a.rows;");
  for (size_t i : singles) {
    if (flat)
      line("const $ $ = *($);", {operand_type(i), name('x', i), row_start(i)});
  }
  line(
      "for (s64 first = (s64)blockIdx.x * $; first < items; first += "
      "(s64)gridDim.x * $) {",
      {step, step});
  for (size_t i : loads) {
    line("Pack<$, $> $[$];", {operand_type(i), width(), name('x', i), u});
  }
  for (size_t i : singles) {
    if (!flat) line("$ $[$];", {operand_type(i), name('z', i), u});
  }
  unrolled("for (int u = 0; u < $; ++u) {", {u});
  line("const s64 i = first + u * $ + threadIdx.x;", {threads});
  line("if (i >= items) continue;");
  if (flat) {
    line("const s64 j = i * $;", {width()});
  } else {
    line("const s64 row = (Position)i / (Position)chunks;");
    line("const s64 j = (i - row * chunks) * $;", {width()});
  }
  outer_offsets();
  load_chunk(loads, "[u]", left);
  for (size_t i : singles) {
    if (!flat) line("$[u] = *($);", {name('z', i), row_start(i)});
  }
  line("}");

  unrolled("for (int u = 0; u < $; ++u) {", {u});
  line("const s64 i = first + u * $ + threadIdx.x;", {threads});
  line("if (i >= items) continue;");
  line("const s64 j = i * $;", {width()});
  for (size_t i : singles) {
    if (!flat)
      line("const $ $ = $[u];", {operand_type(i), name('x', i), name('z', i)});
  }
  for (size_t i : stores) declare_pack(i);
  unrolled("for (int e = 0; e < $; ++e) {", {width()});
  element(need, 0, false, "[u]");
  for (size_t i : stores) to_pack(i);
  line("}");
  for (size_t i : stores) store_pack(i, "j", left);
  line("}");
  line("}");
  line("}");
}

}  // namespace treadle::backend::cuda
