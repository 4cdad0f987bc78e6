// Kernels that reduce columns: `columns` gives a tile of columns and a run of
// rows to each block, and `finish` adds up what the blocks have left in the
// workspace.
#include "treadle/backend/cuda/tape_printer.h"

namespace treadle::backend::cuda {

void Printer::columns() {
  const std::vector<bool> need = needed(0, false);
  const Ids sums = all(Code::reduce_column), stores = sinks(0, Code::store);
  const Ids loads = moving(need);
  entry("columns", kColumnThreads);
  line("const s64 j = ((s64)blockIdx.x * blockDim.x + threadIdx.x) * $;",
       {width()});
  line("const bool leader = j == 0;");
  line("const s64 first = (s64)blockIdx.y * a.block_rows;");
  line("const s64 end = first + a.block_rows;");
  line("const s64 last = end < a.rows ? end : a.rows;");
  for (size_t i : sums) {
    line("$ $[$];", {lane(i), name('c', i), width()});
    unrolled("for (int e = 0; e < $; ++e) $[e] = $::first();",
             {width(), name('c', i), reducer(i)});
  }
  line("if (j < a.length) {");
  line("#pragma unroll 4");
  line("for (s64 row = first + threadIdx.y; row < last; row += blockDim.y) {");
  outer_offsets();
  row_loads();
  row_values(0);
  for (size_t i : loads)
    line("Pack<$, $> $;", {operand_type(i), width(), name('x', i)});
  load_chunk(loads, "");
  for (size_t i : stores) declare_pack(i);
  unrolled("for (int e = 0; e < $; ++e) {", {width()});
  element(need, 0, false, "");
  for (size_t i : sums) combine(i, name('c', i) + "[e]");
  for (size_t i : stores) to_pack(i);
  line("}");
  for (size_t i : stores) store_pack(i, "row * a.length + j");
  line("}");
  line("}");

  line("__shared__ u64 shared[$ * $];", {str(kColumnThreads), width()});
  line("const int at = (threadIdx.y * blockDim.x + threadIdx.x) * $;",
       {width()});
  line("const int step = blockDim.x * $;", {width()});
  for (size_t i : sums) combine_block(i);
  line("}");
}

// Threads of a block that have the same columns, from the first to the last.
void Printer::combine_block(size_t i) {
  const std::string c = name('c', i), s = name('s', i), type = lane(i);
  line("{");
  line("$* $ = ($*)shared;", {type, s, type});
  line("for (int e = 0; e < $; ++e) $[at + e] = $[e];", {width(), s, c});
  line("__syncthreads();");
  line("if (threadIdx.y == 0 && j < a.length) {");
  line("$* to = $ + blockIdx.y * a.length + j;", {type, workspace_of(i)});
  line("for (int e = 0; e < $; ++e) {", {width()});
  line(
      "for (int y = 1; y < blockDim.y; ++y) $[e] = $::both($[e], $[at + y * "
      "step + e]);",
      {c, reducer(i), c, s});
  line("to[e] = $[e];", {c});
  line("}");
  line("}");
  line("__syncthreads();");
  line("}");
}

void Printer::finish() {
  const std::string side = str(kFinishWidth);
  entry("finish", kFinishWidth * kFinishWidth);
  line("__shared__ u64 shared[$][$];", {side, side});
  line("const s64 j = (s64)blockIdx.x * $ + threadIdx.x;", {side});
  for (size_t i : all(Code::reduce_column)) {
    const std::string n = str(value(i).index), out = output_type(i),
                      type = lane(i);
    line("{");
    line("$ (*s)[$] = ($ (*)[$])shared;", {type, side, type, side});
    line("const $* from = $;", {type, workspace_of(i)});
    line("$ sum = $::first();", {type, reducer(i)});
    line("if (j < a.length) {");
    line(
        "for (s64 b = threadIdx.y; b < a.blocks; b += $) sum = $::both(sum, "
        "from[b * a.length + j]);",
        {side, reducer(i)});
    line("}");
    line("s[threadIdx.y][threadIdx.x] = sum;");
    line("__syncthreads();");
    line("if (threadIdx.y == 0 && j < a.length && a.out[$]) {", {n});
    line("for (int y = 1; y < $; ++y) sum = $::both(sum, s[y][threadIdx.x]);",
         {side, reducer(i)});
    line("(($*)a.out[$])[j] = As<$>::from(sum);", {out, n, out});
    line("}");
    line("__syncthreads();");
    line("}");
  }
  line("}");
}

}  // namespace treadle::backend::cuda
