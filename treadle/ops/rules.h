// What an op that writes each of its rules declares (graph/op.h says what they
// mean).
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"

#define TREADLE_RULES                                                          \
  Specs infer(std::span<const Spec> in) const override;                        \
  Arrays jvp(const Arrays& x, const Arrays& y, const Arrays& t, Argnums args)  \
      const override;                                                          \
  Arrays vjp(const Arrays& x, const Arrays& y, const Arrays& ct, Argnums args) \
      const override;                                                          \
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
