// A tape made ready for interpretation: lists of steps over registers, with the
// functions looked up and places for intermediate results assigned. Depends on
// the tape alone, not on sizes, and is kept with the op.
//
// Registers are the values of the tape, and after them their expansions: a
// uniform value (one number per row) as a whole tile. A register points to a
// tile, to one number per row, or to a splat.
#pragma once

#include <cstdint>
#include <vector>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

// A link of a chain (lane_table.h) before its memory is known.
struct ChainRow {
  enum class Kind : uint8_t {
    load,
    unary,
    binary,
    product,  // binary: of the chain's value and the product of two others
    twice,
    select,
    round,  // to a half type
    keep,
    store,  // as a half type, into an output; the chain ends
    sum,    // of the floats of a row; the chain ends
  };
  Kind kind;
  Row row = Row{};
  uint8_t side = 0;  // binary, product: of the chain's value; select: its place
  uint8_t reads = 0;      // how many of in[] it reads
  Dtype dtype = float32;  // round, store
  uint16_t in[2] = {};    // registers; keep: the one it sets
  int16_t slot = -1;      // keep: its tile, or of a block
  int16_t output = -1;    // keep: see Step::output
  bool block = false;     // keep: the chain alone reads it
};

struct Step {
  enum class Kind : uint8_t {
    load,       // operand `index`
    compute,    // row_fn of a, b, c
    chain,      // the rows of `chain`
    convert,    // move_fn of a
    expand,     // uniform a as a tile
    saved,      // the tile that an earlier phase left in row buffer `index`
    reduce,     // a over the row, reduction `index`
    store,      // a into output `index`, of the space's shape
    store_row,  // a into output `index`, one number per row
    column,     // a into the accumulators of column `index`
  };
  Kind kind;
  bool uniform;  // gives one number per row
  uint8_t size;  // bytes of a lane of the result; of the input for outputs
  uint8_t arity = 0;
  uint8_t weight = 0;     // how long it takes, in additions
  bool in_parts = false;  // may be done in parts, all its lanes having one size
  uint16_t reg;           // the register it sets
  uint16_t in[3] = {};
  uint16_t index = 0;
  int16_t slot =
      -1;  // the tile, or for uniform results the column of row numbers
  int16_t buffer = -1;  // row buffer to compute into instead
  int16_t output =
      -1;  // output to compute into when its memory is safe to write
  bool copies = false;  // load, store: the dtype is that of the lane
  // load: halves may stay halves where all lie in memory, as chains read them.
  bool halves = false;
  // load, expand: one number a row may stay so, and a row be the same for all
  // rows, as chains alone read it.
  bool chained = false;
  Row row = Row{};
  RowFn row_fn = nullptr;
  MoveFn move_fn = nullptr;
  const ChainTable* chain_fns = nullptr;
  std::vector<ChainRow> chain;

  // Whether it ends with the store into output `index`.
  bool stores() const {
    return !chain.empty() && chain.back().kind == ChainRow::Kind::store;
  }
  // Whether it is reduction `index`, and as the end of a chain.
  bool sums() const {
    return !chain.empty() && chain.back().kind == ChainRow::Kind::sum;
  }
  bool reduces() const { return kind == Kind::reduce || sums(); }

  // f(register) for all that it reads.
  template <class F>
  void for_inputs(F&& f) const {
    for (int k = 0; k < arity; ++k) f(in[k]);
    for (const ChainRow& r : chain) {
      for (int k = 0; k < r.reads; ++k) f(r.in[k]);
    }
  }
};

struct Schedule {
  struct Phase {
    std::vector<Step> row_steps;  // once per row (phased schedules only)
    std::vector<Step> tile_steps;
  };
  std::vector<Phase> phases;
  std::vector<Step>
      row_outputs;  // after the last phase (phased schedules only)
  int num_slots = 0;
  int num_held = 0;     // tiles at once of what is no operand and no output
  int num_buffers = 0;  // row buffers
  int num_blocks = 0;   // what a chain keeps for itself
};

struct Reduction {
  uint16_t reg;
  uint8_t size;  // of the result
  uint16_t phase;
  const ReduceFns* fns;
};

struct Column {
  uint16_t output;
  uint8_t size;  // of a lane
  const ReduceFns* fns;
  MoveFn store;
};

// When a tape reads memory that one of its outputs overwrites: the last step of
// the single schedule, or row of a chain, that reads each operand, and the one
// that computes each output.
struct Order {
  std::vector<int> last_read;
  std::vector<int> written;
};

struct Program : plan::Prepared::Base {
  explicit Program(const plan::Tape& tape);

  const LaneTable& table;
  int num_registers;
  int max_size;     // of a lane
  bool one_size;    // all lanes have the same
  int weight;       // of all steps of a tile, in additions
  int num_uniform;  // columns of row numbers
  std::vector<Reduction> reductions;
  std::vector<Column> columns;
  Order order;
  // By output: whether the step that computes it can write past the caches, and
  // nothing else reads the value.
  std::vector<bool> streams;

  // A tape that is one row function of operands where they lie, into its only
  // output: the place of that step in the single schedule, and the operands it
  // reads; -1: the tape is more.
  int lone = -1;
  uint16_t lone_in[3] = {};

  // Rows that fit into a tile, or no reductions along rows: everything in one
  // pass.
  Schedule single;
  // Rows of several tiles: a pass per phase. `saving` keeps what is expensive
  // to compute again in row buffers. The late forms write full outputs in the
  // last phase, for outputs that overwrite operands.
  Schedule saving, recomputing, saving_late, recomputing_late;

 private:
  void find_lone();
};

}  // namespace treadle::backend::cpu
