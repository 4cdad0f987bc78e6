// Walks over recorded graphs: the reverse walk of vjp, the forward walk of jvp,
// the rewriting walk of vmap. They know ops only through the Op interface.
#pragma once

#include <span>
#include <vector>

#include "treadle/graph/array.h"
#include "treadle/graph/graph.h"

namespace treadle {

// Other identities of the same values: where a walk over what is recorded on
// them ends, and what tells an array given twice apart.
Arrays identities(const Arrays& x);

// Cotangents of `inputs`, given those of `outputs` (null: zero). Only nodes
// numbered first_seq or later are passed: what was recorded inside a trace.
// Null results: the outputs do not depend on that input.
Arrays pullback(const Arrays& outputs,
                const Arrays& cotangents,
                const Arrays& inputs,
                uint64_t first_seq);

// Tangents of `outputs`, given those of `inputs`. Null: zero.
Arrays pushforward(const Arrays& inputs,
                   const Arrays& tangents,
                   const Arrays& outputs,
                   uint64_t first_seq);

// The graph from `inputs` to `outputs` recorded again over a batch: `batched`
// stand in for `inputs`, mapped along `axes` (kNotMapped: used as they are).
// Returns the new outputs and sets out_axes.
Arrays batch(const Arrays& inputs,
             const Arrays& batched,
             const std::vector<int>& axes,
             const Arrays& outputs,
             uint64_t first_seq,
             std::vector<int>* out_axes);

// The graph recorded again with `replacements` in place of `inputs`.
Arrays replay(const Arrays& inputs,
              const Arrays& replacements,
              const Arrays& outputs,
              uint64_t first_seq);

// Arrays from outside that the body reads without being given them, in the
// order in which they were recorded; not numbers.
Arrays captures_of(const Graph& body);

}  // namespace treadle
