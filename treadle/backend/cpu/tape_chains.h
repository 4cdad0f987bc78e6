// Joins steps of a tape into chains, which run in one pass.
#pragma once

#include <vector>

#include "treadle/backend/cpu/tape_program.h"

namespace treadle::backend::cpu {

// A step takes into itself the one that gives it a value, where both are rows
// of the same lane and no step between them reads the value. A value that later
// steps read too is kept in a tile on the way.
void make_chains(const plan::Tape& tape,
                 const Program& program,
                 std::vector<Step>* steps);

}  // namespace treadle::backend::cpu
