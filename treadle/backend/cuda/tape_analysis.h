// What the printer of tapes works out first: in which phase over a row each
// value is computed, and which values stay in registers for a later phase.
#pragma once

#include <vector>

#include "treadle/backend/cuda/tape_source.h"

namespace treadle::backend::cuda {

struct Analysis {
  Geometry geometry;
  int phases = 1;
  // Reductions over the row that must be done before a value is known, counted
  // along the longest path.
  std::vector<int> depth;
  // The phase in which a value of the row is first needed; -1: never.
  std::vector<int> home;
  // A value of the row that a later phase than its home needs too.
  std::vector<bool> kept;
};

Analysis analyse(const plan::Tape& tape, const LayoutClass& layout);

// Number of values that v takes: a, then b, then c.
int arity(const plan::TapeValue& v);
inline uint16_t argument(const plan::TapeValue& v, int i) {
  return i == 0 ? v.a : i == 1 ? v.b : v.c;
}
// A store or a reduction: what a phase is run for.
bool is_sink(const plan::TapeValue& v);

}  // namespace treadle::backend::cuda
