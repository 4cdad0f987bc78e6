// Attention as its kernels see it: where the operands lie, how the work is cut
// into tasks, what scratch memory a task needs.
//
// Scores are kept in base 2: q is multiplied by scale log2(e) when it is
// loaded, so exp is a power of two and the logarithms of sums are base 2 until
// they are written.
#pragma once

#include <cstdint>
#include <limits>

#include "treadle/ops/attention.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// (B, H, rows, columns) in memory; steps in elements.
struct AttentionOperand {
  const char* data = nullptr;
  Dtype dtype = float32;
  int64_t batch = 0, head = 0, row = 0, column = 0;

  const char* at(int64_t b, int64_t h, int64_t i) const {
    return data + (b * batch + h * head + i * row) * int64_t(size_of(dtype));
  }
};

struct AttentionProblem {
  int64_t batches, heads, groups;  // groups: heads of k and v
  int64_t rows, keys;              // queries and keys of one head
  int64_t depth, width;            // of a query, of a value
  float scale;
  AttentionMask mask;
  AttentionOperand q, k, v, added;  // added: the mask, of either kind
  const char* sinks;                // null: none
  int64_t sink_step;
  Dtype dtype;

  int64_t heads_per_group() const { return heads / groups; }
  // Query i sees no key, and no sink either: it weighs all keys evenly.
  bool blind(int64_t i) const { return !sinks && seen(i) == 0; }
  // Query i sees the keys below this; all of them when it is blind.
  int64_t limit(int64_t i) const { return blind(i) ? keys : seen(i); }
  int64_t seen(int64_t i) const {
    const int64_t n =
        mask == AttentionMask::causal ? i + 1 + keys - rows : keys;
    return n < 0 ? 0 : n;
  }
  float sink(int64_t head) const;
};

AttentionProblem attention_problem(const Attention& op,
                                   std::span<const runtime::Operand> in);

// The logarithm written for a row that sees no key: its weights are all 1 /
// keys, which the sum of exponentials does not tell.
constexpr float kBlind = std::numeric_limits<float>::infinity();

// Into how many pieces the keys of a group are cut when there are few groups.
int64_t attention_pieces(const AttentionProblem& p);

// Many queries: tiles of scores, which stay in the first-level cache.
struct AttentionForward {
  AttentionProblem p;
  char* out;   // (B, H, rows, width)
  float* lse;  // (B, H, rows), or null
};
int64_t attention_tasks(const AttentionProblem& p);
int64_t attention_scratch(const AttentionProblem& p);  // bytes for a task
void attention_task(const AttentionForward& f, int64_t task, char* scratch);

// The same for bfloat16, with products of pairs, where the machine has them and
// the operands' rows are whole.
bool attention_takes_pairs(const AttentionProblem& p);
int64_t attention_pair_tasks(const AttentionProblem& p);
int64_t attention_pair_scratch(const AttentionProblem& p);
void attention_pair_task(const AttentionForward& f,
                         int64_t task,
                         char* scratch);

// Few queries: a task is a piece of the keys of one group, which is read once.
// The pieces of a group are merged when all are done.
bool attention_has_few_rows(const AttentionProblem& p);
int64_t attention_few_bytes(const AttentionProblem& p);  // for all tasks
void attention_few_task(const AttentionForward& f, int64_t task, char* memory);
void attention_few_merge(const AttentionForward& f,
                         int64_t group,
                         char* memory);

// The gradient. dq, dk, dv may be null; they are row-contiguous.
struct AttentionBackward {
  AttentionProblem p;
  AttentionOperand out, dout, lse;  // lse: (B, H, rows)
  char *dq, *dk, *dv;
};
// Each piece of the keys has a sum of its own for dq when there are several:
// `dq_parts`, (pieces, B, H, rows, depth) float32.
int64_t attention_backward_scratch(const AttentionProblem& p);
void attention_backward_task(const AttentionBackward& g,
                             int64_t task,
                             char* scratch,
                             float* dq_parts);
// The same by products of pairs.
bool attention_backward_takes_pairs(const AttentionBackward& g);
int64_t attention_backward_pair_scratch(const AttentionProblem& p);
void attention_backward_pair_task(const AttentionBackward& g,
                                  int64_t task,
                                  char* scratch,
                                  float* dq_parts);
float attention_sink_gradient(const AttentionBackward& g, int64_t head);

}  // namespace treadle::backend::cpu
