// The gated delta rule: linear attention whose state forgets and corrects
// itself.
#pragma once

#include <utility>

#include "treadle/graph/array.h"

namespace treadle::fast {

// For each batch, value head and step t, with state S (Dv, Dk):
//   S = gamma_t S;  d = beta_t (v_t - S k_t);  S = S + d k_t^T;  y_t = S q_t
// q, k (B, T, Hk, Dk); v (B, T, Hv, Dv), Hv a multiple of Hk, each query head
// serving Hv / Hk value heads in turn; gamma (B, T, Hv), or (B, T, Hv, Dk) with
// a factor for each column of S; beta (B, T, Hv); initial_state
// (B, Hv, Dv, Dk), null for 0; mask (B, T), null or true where a step counts:
// elsewhere S stays and y is 0. Returns y (B, T, Hv, Dv) in q's dtype and the
// last S in float32, in which all is computed.
// (Yang et al., Gated Delta Networks, 2024, equation 10)
std::pair<array, array> gated_delta_update(const array& q,
                                           const array& k,
                                           const array& v,
                                           const array& gamma,
                                           const array& beta,
                                           const array& initial_state = {},
                                           const array& mask = {},
                                           StreamOrDevice s = {});

}  // namespace treadle::fast
