// The declarations of rules that an op writes itself (graph/op.h says what they
// mean).
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"

#define TREADLE_JVP                                                           \
  Arrays jvp(const Arrays& x, const Arrays& y, const Arrays& t, Argnums args) \
      const override;

#define TREADLE_JVP_VJP                                                        \
  TREADLE_JVP                                                                  \
  Arrays vjp(const Arrays& x, const Arrays& y, const Arrays& ct, Argnums args) \
      const override;

#define TREADLE_RULES                                   \
  Specs infer(std::span<const Spec> in) const override; \
  TREADLE_JVP_VJP                                       \
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
