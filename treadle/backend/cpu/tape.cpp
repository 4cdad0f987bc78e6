// The kernel of tapes: cuts a call into blocks, hands them to workers, and
// combines their partial sums.
#include "treadle/backend/cpu/tape.h"

#include <algorithm>
#include <memory>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/tape_layout.h"
#include "treadle/backend/cpu/tape_program.h"
#include "treadle/backend/cpu/tape_worker.h"

namespace treadle::backend::cpu {
namespace {

using runtime::Operand;
using runtime::Task;

// Work for less time than this is not worth waking another thread.
constexpr double kThreadNanoseconds = 10000;
// Of an addition in a tile, and of a byte from memory, per element.
constexpr double kStepNanoseconds = 0.04, kByteNanoseconds = 0.03;
// Outputs larger than this would push everything else out of the caches, so
// they are written past them.
constexpr int64_t kStreamBytes = 16 << 20;

// Bytes from the first to past the last that an operand touches.
struct Extent {
  const char *begin, *end;
};
Extent extent(const Operand& o) {
  const char* data = static_cast<const char*>(o.data);
  int64_t low = 0, high = 1;
  for (size_t i = 0; i < o.shape.size(); ++i) {
    if (o.shape[i] == 0) return {data, data};
    const int64_t d = (o.shape[i] - 1) * o.strides[i];
    (d < 0 ? low : high) += d;
  }
  const auto size = static_cast<int64_t>(size_of(o.dtype));
  return {data + low * size, data + high * size};
}

// Decides for each full output whether values may be computed right in its
// memory and whether it bypasses the caches. True: some output overwrites an
// operand.
bool choose_outputs(TapeCall* call) {
  const Task& task = call->task;
  const Order& order = call->program.order;
  const bool single = call->layout.pass == Pass::single;
  bool overlaps = false;
  call->direct.assign(task.out.size(), false);
  call->stream.assign(task.out.size(), false);
  for (size_t k = 0; k < task.out.size(); ++k) {
    const Operand& out = task.out[k];
    if (!out.data) continue;
    const Extent e = extent(out);
    bool direct = true, aliased = false;
    for (size_t i = 0; i < task.in.size(); ++i) {
      const Extent x = extent(task.in[i]);
      if (x.end <= e.begin || e.end <= x.begin) continue;
      aliased = true;
      // In place is safe when the last reader comes no later, on the same
      // element.
      const bool same = x.begin == e.begin && x.end == e.end &&
                        call->layout.operands[i].access == Access::linear;
      if (!single || !same || order.last_read[i] > order.written[k])
        direct = false;
    }
    overlaps = overlaps || aliased;
    call->stream[k] = !aliased && e.end - e.begin >= kStreamBytes;
    // Vectors past the caches must be aligned, in every tile.
    const bool aligned =
        reinterpret_cast<uintptr_t>(out.data) % 64 == 0 &&
        (call->layout.row_length * 4 % 64 == 0 || call->layout.rows == 1) &&
        call->layout.tile_cols % 16 == 0;
    call->direct[k] =
        direct && (!call->stream[k] || (aligned && call->program.streams[k]));
  }
  return overlaps;
}

const Program& program_of(const plan::Fused& op) {
  const plan::Prepared::Base* p = op.prepared.get();
  if (!p) p = op.prepared.set(std::make_unique<Program>(op.tape));
  return static_cast<const Program&>(*p);
}

// Combines the partial sums of split rows.
void finish_split(const TapeCall& call, int phase, int threads) {
  const TapeLayout& l = call.layout;
  char* ws = static_cast<char*>(call.task.workspace);
  parallel_tasks(l.rows > 64 ? threads : 1, l.rows, [&](int64_t row) {
    for (size_t i = 0; i < call.program.reductions.size(); ++i) {
      const Reduction& r = call.program.reductions[i];
      if (r.phase != phase) continue;
      const auto size = static_cast<int64_t>(r.fns->acc_size);
      char* parts = ws + l.partial_at[i] + row * l.col_blocks * size;
      for (int64_t b = 1; b < l.col_blocks; ++b)
        r.fns->merge(1, parts, parts + b * size);
      r.fns->finish(1, ws + l.result_at[i] + row * r.size, parts);
    }
  });
}

// Combines the row blocks of column reductions, in order, and writes the
// outputs.
void merge_columns(const TapeCall& call, int threads) {
  const TapeLayout& l = call.layout;
  constexpr int64_t kChunk = 512;
  const int64_t chunks = (l.row_length + kChunk - 1) / kChunk;
  if (l.row_blocks * l.row_length < 1 << 15) threads = 1;
  for (size_t i = 0; i < call.program.columns.size(); ++i) {
    const Column& c = call.program.columns[i];
    const auto size = static_cast<int64_t>(c.fns->acc_size);
    char* acc = static_cast<char*>(call.task.workspace) + l.column_at[i];
    parallel_tasks(threads, chunks, [&](int64_t chunk) {
      const int64_t col = chunk * kChunk;
      const int64_t n = std::min(kChunk, l.row_length - col);
      char* first = acc + col * size;
      for (int64_t b = 1; b < l.row_blocks; ++b) {
        c.fns->merge(
            static_cast<size_t>(n), first, first + b * l.row_length * size);
      }
      write_column(call.task, c, col, n, first);
    });
  }
}

// As many threads as a call is worth.
int useful_threads(const TapeCall& call) {
  const TapeLayout& l = call.layout;
  int64_t bytes = 0;
  for (const TapeOperand& o : l.operands) {
    if (o.access != Access::constant) bytes += o.size;
  }
  for (const Operand& o : call.task.out)
    bytes += static_cast<int64_t>(size_of(o.dtype));
  const double time = static_cast<double>(l.rows * l.row_length) *
                      (call.program.weight * kStepNanoseconds +
                       static_cast<double>(bytes) * kByteNanoseconds);
  const double useful = std::min(time / kThreadNanoseconds, 1024.0);
  return std::clamp(
      static_cast<int>(useful), 1, std::max(call.task.threads, 1));
}

void run(const Task& task) {
  const Program& program = program_of(static_cast<const plan::Fused&>(task.op));
  const TapeLayout layout(program, task);
  TapeCall probe{task, program, layout, program.single, {}, {}};
  const bool overlaps = choose_outputs(&probe);
  const Schedule* schedule = &program.single;
  if (layout.pass != Pass::single) {
    const bool late = overlaps && !program.saving_late.phases.empty();
    schedule = layout.use_buffers
                   ? (late ? &program.saving_late : &program.saving)
                   : (late ? &program.recomputing_late : &program.recomputing);
  }
  const TapeCall call{
      task, program, layout, *schedule, probe.direct, probe.stream};

  const int threads = task.threads > 1 ? useful_threads(call) : 1;
  const bool streams = std::any_of(
      call.stream.begin(), call.stream.end(), [](bool b) { return b; });
  const int64_t blocks = layout.row_blocks * layout.col_blocks;
  const auto on_blocks = [&](auto&& body) {
    Tasks tasks(blocks);
    parallel_workers(
        static_cast<int>(std::min<int64_t>(threads, blocks)), [&](int) {
          int64_t i;
          if (!tasks.take(&i)) return;
          TapeWorker worker(call);
          do {
            body(worker, i / layout.col_blocks, i % layout.col_blocks);
          } while (tasks.take(&i));
          if (streams) program.table.fence();
        });
  };
  switch (layout.pass) {
    case Pass::single:
      on_blocks(
          [](TapeWorker& w, int64_t r, int64_t c) { w.run_single(r, c); });
      break;
    case Pass::phased:
      on_blocks([](TapeWorker& w, int64_t r, int64_t) { w.run_phased(r); });
      break;
    case Pass::split: {
      const int phases = static_cast<int>(schedule->phases.size());
      for (int p = 0; p < phases; ++p) {
        on_blocks(
            [p](TapeWorker& w, int64_t r, int64_t c) { w.run_split(p, r, c); });
        finish_split(call, p, threads);
      }
      TapeWorker worker(call);
      for (int64_t row = 0; row < layout.rows; ++row) worker.write_rows(row);
      break;
    }
  }
  if (layout.pass != Pass::single || layout.row_blocks > 1)
    merge_columns(call, threads);
}

size_t workspace(const Task& task) {
  const Program& program = program_of(static_cast<const plan::Fused&>(task.op));
  if (program.columns.empty() && program.reductions.empty()) return 0;
  return static_cast<size_t>(TapeLayout(program, task).workspace);
}

std::string why_not(const Op&, std::span<const Spec>, std::span<const Spec>) {
  return "";
}

}  // namespace

runtime::Kernel tape_kernel() {
  runtime::Kernel k;
  k.name = "tape";
  k.why_not = why_not;
  k.run = run;
  k.workspace = workspace;
  k.strided = true;
  k.in_place = true;
  return k;
}

}  // namespace treadle::backend::cpu
