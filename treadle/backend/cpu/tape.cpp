// The kernel of tapes: cuts a call into blocks, hands them to workers, and
// combines their partial sums.
#include "treadle/backend/cpu/tape.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

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
// Outputs that are together larger than this would push everything else out of
// the caches, so they are written past them; small ones among them are not.
constexpr int64_t kStreamBytes = 16 << 20, kLeastStreamBytes = 256 << 10;
// Outputs that are together as large are probably not in the second cache.
constexpr int64_t kFarBytes = 3 << 20;
// Partial sums of columns that several threads merge.
constexpr int64_t kSharedCells = 1 << 15;
// Operands of fewer elements are probably in a cache, if only the last: what is
// fetched ahead then costs more than waiting for it.
constexpr int64_t kPrefetchElements = 1 << 22;

// What calls that run together read and write.
struct Traffic {
  int64_t elements = 0;  // of their spaces
  int64_t written = 0;   // bytes
  void add(const Task& task) {
    elements += size_of(task.space);
    for (const Operand& o : task.out) {
      if (o.data) written += size_of(o.shape) * int64_t(size_of(o.dtype));
    }
  }
};

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
bool choose_outputs(TapeCall* call, const Traffic& traffic) {
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
    call->stream[k] = !aliased && traffic.written >= kStreamBytes &&
                      e.end - e.begin >= kLeastStreamBytes;
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
  if (l.row_blocks * l.row_length < kSharedCells) threads = 1;
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

// A call, ready to run.
class Work {
 public:
  Work(const Task& task, const Traffic& traffic)
      : layout_(program_of(static_cast<const plan::Fused&>(task.op)), task),
        call_(prepare(task, layout_, traffic)),
        blocks_(layout_.row_blocks * layout_.col_blocks),
        time_(estimate()),
        streams_(std::any_of(call_.stream.begin(),
                             call_.stream.end(),
                             [](bool b) { return b; })) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  const TapeCall& call() const { return call_; }
  // Pieces of a round, and rounds, each of which needs all of the one before.
  int64_t blocks() const { return blocks_; }
  int rounds() const {
    if (layout_.pass != Pass::split) return 1;
    // The last phase may have nothing to do but to write numbers of rows.
    const auto& phases = call_.schedule.phases;
    size_t n = phases.size();
    while (n > 1 && phases[n - 1].tile_steps.empty()) --n;
    return static_cast<int>(n);
  }
  double nanoseconds() const { return time_; }

  void run_block(TapeWorker& worker, int round, int64_t i) const {
    const int64_t row = i / layout_.col_blocks, col = i % layout_.col_blocks;
    switch (layout_.pass) {
      case Pass::single:
        return worker.run_single(row, col);
      case Pass::phased:
        return worker.run_phased(row);
      case Pass::split:
        return worker.run_split(round, row, col);
    }
  }
  // After the last block that a thread has done in a round.
  void leave() const {
    if (streams_) call_.program.table.fence();
  }
  void finish_round(int round, int threads) const {
    if (layout_.pass == Pass::split) finish_split(call_, round, threads);
  }
  void finish(int threads) const {
    if (layout_.pass == Pass::split) {
      TapeWorker worker(call_);
      for (int64_t row = 0; row < layout_.rows; ++row) worker.write_rows(row);
    }
    if (merges()) merge_columns(call_, threads);
  }
  // How much finish() has to merge in each column reduction.
  int64_t cells() const {
    return merges() ? layout_.row_blocks * layout_.row_length : 0;
  }

 private:
  static TapeCall prepare(const Task& task,
                          const TapeLayout& layout,
                          const Traffic& traffic) {
    const Program& program =
        program_of(static_cast<const plan::Fused&>(task.op));
    TapeCall call{task,
                  program,
                  layout,
                  program.single,
                  {},
                  {},
                  traffic.elements >= kPrefetchElements,
                  traffic.written >= kFarBytes};
    const bool overlaps = choose_outputs(&call, traffic);
    if (layout.pass == Pass::single) return call;
    const bool late = overlaps && !program.saving_late.phases.empty();
    const Schedule& schedule =
        layout.use_buffers
            ? (late ? program.saving_late : program.saving)
            : (late ? program.recomputing_late : program.recomputing);
    return {task,
            program,
            layout,
            schedule,
            call.direct,
            call.stream,
            call.prefetch,
            call.far};
  }

  bool merges() const {
    return !call_.program.columns.empty() &&
           (layout_.pass != Pass::single || layout_.row_blocks > 1);
  }
  double estimate() const {
    int64_t bytes = 0;
    for (const TapeOperand& o : layout_.operands) {
      if (o.access != Access::constant) bytes += o.size;
    }
    for (const Operand& o : call_.task.out)
      bytes += static_cast<int64_t>(size_of(o.dtype));
    return static_cast<double>(layout_.rows * layout_.row_length) *
           (call_.program.weight * kStepNanoseconds +
            static_cast<double>(bytes) * kByteNanoseconds);
  }

  const TapeLayout layout_;
  const TapeCall call_;
  const int64_t blocks_;
  const double time_;
  const bool streams_;
};

// As many threads as the work is worth.
int useful_threads(double nanoseconds, int threads) {
  const double useful = std::min(nanoseconds / kThreadNanoseconds, 1024.0);
  return std::clamp(static_cast<int>(useful), 1, std::max(threads, 1));
}

// A small call of a single step does without tiles, which would cost more than
// the step. False: the call is not of that kind.
bool run_lone(const Task& task) {
  constexpr int64_t kElements = 4096;
  const Program& program = program_of(static_cast<const plan::Fused&>(task.op));
  if (program.lone < 0) return false;
  const int64_t n = size_of(task.space);
  const Operand& out = task.out[0];
  if (n < 1 || n > kElements || !out.data) return false;
  const Step& step = program.single.phases[0].tile_steps[program.lone];
  const auto bytes = n * static_cast<int64_t>(size_of(out.dtype));
  const char* const begin = static_cast<const char*>(out.data);
  alignas(64) char splats[3][kSplatBytes];
  const void* in[3] = {};
  unsigned flags = 0;
  for (int k = 0; k < step.arity; ++k) {
    const Operand& o = task.in[program.lone_in[k]];
    const auto size = static_cast<int64_t>(size_of(o.dtype));
    if (o.contiguous) {
      in[k] = o.data;
      const char* data = static_cast<const char*>(o.data);
      const bool same = data == begin && o.dtype == out.dtype;
      if (!same && data < begin + bytes && begin < data + n * size)
        return false;
    } else if (std::all_of(o.strides.begin(), o.strides.end(), [](int64_t s) {
                 return s == 0;
               })) {
      fill_splat(splats[k], static_cast<int>(size), o.data);
      in[k] = splats[k];
      flags |= 1U << k;
    } else {
      return false;
    }
  }
  const auto apply = [&](int64_t lanes, void* to) {
    step.row_fn(static_cast<size_t>(lanes), to, in[0], in[1], in[2], flags);
  };
  if (flags + 1 == 1U << step.arity) {  // one value, repeated
    alignas(64) char value[kSplatBytes];
    apply(static_cast<int64_t>(program.table.vector_bytes) / step.size, value);
    copy_elements(step.size, static_cast<char*>(out.data), value, 0, n);
  } else {
    apply(n, out.data);
  }
  return true;
}

void run(const Task& task) {
  if (run_lone(task)) return;
  Traffic traffic;
  traffic.add(task);
  const Work work(task, traffic);
  const int threads = useful_threads(work.nanoseconds(), task.threads);
  for (int round = 0; round < work.rounds(); ++round) {
    const int workers =
        static_cast<int>(std::min<int64_t>(threads, work.blocks()));
    Tasks tasks(work.blocks(), workers);
    parallel_workers(workers, [&](int worker) {
      int64_t i;
      if (!tasks.take(worker, &i)) return;
      TapeWorker interpreter(work.call());
      do {
        work.run_block(interpreter, round, i);
      } while (tasks.take(worker, &i));
      work.leave();
    });
    work.finish_round(round, threads);
  }
  work.finish(threads);
}

// In one parallel region, so that threads wait for one another once.
void run_many(std::span<const Task> tasks) {
  Traffic traffic;
  for (const Task& task : tasks) traffic.add(task);
  std::deque<Work> works;
  std::vector<int64_t> ends;  // numbers of blocks up to each
  double nanoseconds = 0;
  int64_t blocks = 0;
  for (const Task& task : tasks) {
    Work& work = works.emplace_back(task, traffic);
    if (work.rounds() > 1) {
      works.pop_back();
      run(task);
      continue;
    }
    ends.push_back(blocks += work.blocks());
    nanoseconds += work.nanoseconds();
  }
  const int threads = static_cast<int>(
      std::min<int64_t>(useful_threads(nanoseconds, tasks[0].threads), blocks));
  Tasks tasks_of_all(blocks, threads);
  parallel_workers(threads, [&](int worker) {
    int64_t i;
    bool more = tasks_of_all.take(worker, &i);
    while (more) {
      const auto k = static_cast<size_t>(
          std::upper_bound(ends.begin(), ends.end(), i) - ends.begin());
      const Work& work = works[k];
      const int64_t end = ends[k], first = end - work.blocks();
      TapeWorker interpreter(work.call());
      do {
        work.run_block(interpreter, 0, i - first);
        more = tasks_of_all.take(worker, &i);
      } while (more && first <= i && i < end);
      work.leave();
    }
  });
  // Threads share a large merge; smaller ones are done one by each.
  int64_t cells = 0;
  for (const Work& work : works) {
    work.finish_round(0, threads);
    if (work.cells() >= kSharedCells || work.cells() == 0) {
      work.finish(threads);
    } else {
      cells += work.cells();
    }
  }
  parallel_tasks(cells < kSharedCells ? 1 : threads,
                 static_cast<int64_t>(works.size()),
                 [&](int64_t i) {
                   const Work& work = works[static_cast<size_t>(i)];
                   if (work.cells() > 0 && work.cells() < kSharedCells)
                     work.finish(1);
                 });
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
  k.run_many = run_many;
  k.workspace = workspace;
  k.strided = true;
  k.in_place = true;
  return k;
}

}  // namespace treadle::backend::cpu
