// The declarations of rules that an op writes itself (graph/op.h says what they
// mean).
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"

#define TREADLE_JVP                                                           \
  Arrays jvp(const Arrays& x, const Arrays& y, const Arrays& t, Argnums args) \
      const override;

#define TREADLE_VJP                                                            \
  Arrays vjp(const Arrays& x, const Arrays& y, const Arrays& ct, Argnums args) \
      const override;

#define TREADLE_JVP_VJP \
  TREADLE_JVP           \
  TREADLE_VJP

#define TREADLE_RULES                                   \
  Specs infer(std::span<const Spec> in) const override; \
  TREADLE_JVP_VJP                                       \
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;

namespace treadle {

// The cotangents of an op of one result: f(i) for each input i in `args`.
template <class F>
Arrays cotangents(const array& ct, Argnums args, const F& f) {
  Arrays out(args.size());
  if (ct.null()) return out;
  for (size_t i = 0; i < args.size(); ++i) out[i] = f(args[i]);
  return out;
}

}  // namespace treadle
