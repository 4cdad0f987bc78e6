#include "treadle/ops/derive.h"

#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

// The expansion on fresh identities of x, so that an array given twice counts
// as two inputs.
struct Expansion {
  Trace trace;
  Arrays inputs;
  Arrays outputs;

  Expansion(const Op& op, const Arrays& x) : trace(std::string(op.name())) {
    inputs = identities(x);
    outputs = op.expand(inputs);
  }
};

}  // namespace

Arrays jvp_by_expansion(const Op& op,
                        const Arrays& x,
                        const Arrays& t,
                        Argnums args) {
  Expansion e(op, x);
  Arrays tangents(x.size());
  for (size_t i = 0; i < args.size(); ++i) tangents[size_t(args[i])] = t[i];
  Arrays in, in_t;
  for (size_t i = 0; i < x.size(); ++i) {
    if (tangents[i].null()) continue;
    in.push_back(e.inputs[i]);
    in_t.push_back(tangents[i]);
  }
  return pushforward(in, in_t, e.outputs, e.trace.first_seq());
}

Arrays vjp_by_expansion(const Op& op,
                        const Arrays& x,
                        const Arrays& ct,
                        Argnums args) {
  Expansion e(op, x);
  Arrays in;
  for (int a : args) in.push_back(e.inputs[size_t(a)]);
  return pullback(e.outputs, ct, in, e.trace.first_seq());
}

Arrays vjp_by_transposition(const Op& op,
                            const Arrays& x,
                            const Arrays& y,
                            const Arrays& ct,
                            Argnums args) {
  Trace trace{std::string(op.name())};
  // A linear map's transpose reads no tangent: zeros, never computed.
  Arrays zero;
  for (int a : args) zero.push_back(zeros_like(x[size_t(a)]));
  Arrays t = identities(zero);
  return pullback(op.jvp(x, y, t, args), ct, t, trace.first_seq());
}

Mapped vmap_by_expansion(const Op& op,
                         const Arrays& x,
                         std::span<const int> axes) {
  Trace trace{std::string(op.name())};
  Arrays inputs;
  for (size_t i = 0; i < x.size(); ++i) {
    Spec spec = x[i].spec();
    if (axes[i] != kNotMapped) spec.shape.erase(spec.shape.begin() + axes[i]);
    inputs.push_back(trace.placeholder(spec));
  }
  Arrays outputs = op.expand(inputs);
  Mapped m;
  m.outputs = batch(inputs,
                    x,
                    {axes.begin(), axes.end()},
                    outputs,
                    trace.first_seq(),
                    &m.axes);
  return m;
}

}  // namespace treadle
