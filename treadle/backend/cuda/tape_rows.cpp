// Kernels that reduce rows: a group of threads, up to a block, walks over a row
// once for each phase, with its values in registers or read and computed again.
#include "treadle/backend/cuda/tape_printer.h"

namespace treadle::backend::cuda {

// CHUNKS: how many a thread keeps in registers; 0: none, for rows of any
// length. GROUPED: a part of a warp takes a row, else a block does.
void Printer::rows() {
  line("template <int CHUNKS, bool GROUPED> D void rows(const Args& a) {");
  line("constexpr int N = CHUNKS > 0 ? CHUNKS : 1;");
  line("const int threads = blockDim.x;");
  line("const int t = threadIdx.x;");
  line(
      "const s64 at = GROUPED ? (s64)blockIdx.x * blockDim.y + threadIdx.y"
      " : (s64)blockIdx.x * a.block_rows;");
  line("const s64 end = GROUPED ? at + 1 : at + a.block_rows;");
  line("const s64 last = end < a.rows ? end : a.rows;");
  // Groups share warps, so one that has no row walks over nothing beside them.
  line("const bool idle = GROUPED && at >= a.rows;");
  line("const s64 first = idle ? a.rows - 1 : at;");
  line("const s64 length = idle ? 0 : a.length;");
  line("const bool leader = t == 0 && !idle;");
  for (size_t i : all(Code::reduce_row)) {
    line("__shared__ $ $[32];", {lane(i), name('s', i)});
  }
  for (size_t i : all(Code::reduce_column)) {
    const std::string c = name('c', i);
    line("$ $[N][$];", {lane(i), c, width()});
    line("$* const $ = $ + blockIdx.x * a.length;",
         {lane(i), name('w', i), workspace_of(i)});
    unrolled("for (int k = 0; k < N; ++k)");
    line("  for (int e = 0; e < $; ++e) $[k][e] = $::first();",
         {width(), c, reducer(i)});
  }
  line("for (s64 row = first; row < last; ++row) {");
  outer_offsets();
  row_loads();
  for (size_t i = 0; i < count(); ++i) {
    if (facts_.home[i] < 0) continue;
    if (moves(i)) {
      line("Pack<$, $> $[N];", {operand_type(i), width(), name('x', i)});
    } else if (facts_.kept[i] && value(i).code != Code::load) {
      line("$ $[N][$];", {lane(i), name('k', i), width()});
    }
  }
  for (int phase = 0; phase < facts_.phases; ++phase) row_phase(phase);
  if (!all(Code::reduce_row).empty()) {
    line(
        "if constexpr (!GROUPED) __syncthreads();  // before the slots are "
        "used again");
  }
  line("}");
  if (facts_.geometry.column_sums > 0) column_sums_of_rows();
  line("}");

  const Geometry& g = facts_.geometry;
  if (g.group_chunks > 0)
    rows_entry("group_rows", kGroupThreads, g.group_chunks, "true");
  if (g.block_chunks > 0)
    rows_entry("block_rows", kRowThreads, g.block_chunks, "false");
  rows_entry("long_rows", kRowThreads, 0, "false");
}

void Printer::rows_entry(std::string_view name,
                         int threads,
                         int chunks,
                         std::string_view grouped) {
  entry(name, threads);
  line("rows<$, $>(a);", {str(chunks), std::string(grouped)});
  line("}");
}

void Printer::column_sums_of_rows() {
  line("if constexpr (CHUNKS > 0) {");
  unrolled("for (int k = 0; k < N; ++k) {");
  line("const s64 j = (s64)(k * threads + t) * $;", {width()});
  line("if (j < length) {");
  for (size_t i : all(Code::reduce_column)) {
    line("for (int e = 0; e < $; ++e) $[j + e] = $[k][e];",
         {width(), name('w', i), name('c', i)});
  }
  line("}");
  line("}");
  line("}");
}

void Printer::row_phase(int phase) {
  line("// phase $", {str(phase)});
  row_values(phase);
  const Ids sums = sinks(phase, Code::reduce_row);
  for (size_t i : sums)
    line("$ $ = $::first();", {lane(i), name('r', i), reducer(i)});
  const bool idle = sums.empty() && sinks(phase, Code::store).empty() &&
                    sinks(phase, Code::reduce_column).empty();
  if (!idle) {
    line("if constexpr (CHUNKS > 0) {");
    phase_in_registers(phase);
    line("} else {");
    phase_read_again(phase);
    line("}");
  }
  if (sums.empty()) return;
  for (size_t i : sums) {
    const std::string r = name('r', i);
    line("$ = over_threads<$>($, GROUPED ? threads : 32);", {r, reducer(i), r});
  }
  line("if constexpr (!GROUPED) {");
  line("if ((t & 31) == 0) {");
  for (size_t i : sums) line("$[t >> 5] = $;", {name('s', i), name('r', i)});
  line("}");
  line("__syncthreads();");
  for (size_t i : sums) {
    line("$ = over_slots<$>($);", {name('r', i), reducer(i), name('s', i)});
  }
  line("}");
  for (size_t i : sums) define(i, name('r', i));
}

void Printer::phase_in_registers(int phase) {
  const std::vector<bool> need = needed(phase, true);
  const Ids loads = moving(need, phase);
  auto each_chunk = [&] {
    unrolled("for (int k = 0; k < N; ++k) {");
    line("const int j = (k * threads + t) * $;", {width()});
    line("if (j < length) {");
  };
  // What the row begins with comes from far: all of it first. Later loads are
  // mostly of what other rows have loaded too, and would take registers.
  if (phase == 0 && !loads.empty()) {
    each_chunk();
    load_chunk(loads, "[k]");
    line("}");
    line("}");
  }
  each_chunk();
  if (phase > 0) load_chunk(loads, "[k]");
  chunk(need, phase, true, "[k]");
  line("}");
  line("}");
}

void Printer::phase_read_again(int phase) {
  const std::vector<bool> need = needed(phase, false);
  line("#pragma unroll 4");
  line("for (s64 j = (s64)t * $; j < length; j += (s64)threads * $) {",
       {width(), width()});
  load_chunk(moving(need), "[0]");
  chunk(need, phase, false, "[0]");
  line("}");
}

void Printer::chunk(const std::vector<bool>& need,
                    int phase,
                    bool registers,
                    const std::string& slot) {
  const Ids stores = sinks(phase, Code::store);
  for (size_t i : stores) declare_pack(i);
  unrolled("for (int e = 0; e < $; ++e) {", {width()});
  element(need, phase, registers, slot);
  for (size_t i : sinks(phase, Code::reduce_row)) combine(i, name('r', i));
  for (size_t i : stores) to_pack(i);
  for (size_t i : sinks(phase, Code::reduce_column)) {
    if (registers) {
      combine(i, name('c', i) + slot + "[e]");
    } else {
      // A row of any length: the block's sums so far lie in its workspace.
      const std::string sum = name('w', i) + "[j + e]";
      line("if (row == first) $ = $::first();", {sum, reducer(i)});
      combine(i, sum);
    }
  }
  line("}");
  for (size_t i : stores) store_pack(i, "row * a.length + j");
}

}  // namespace treadle::backend::cuda
