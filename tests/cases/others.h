// Case rows of ops that stand in no other table: made from nothing, ordered,
// searched, in layers, and those that transforms record.
#pragma once

#include <vector>

#include "treadle/nn/functional/normalization.h"
#include "treadle/ops/depends.h"
#include "treadle/ops/random.h"
#include "treadle/ops/scan.h"
#include "treadle/transforms/checkpoint.h"
#include "treadle/transforms/compile.h"
#include "treadle/transforms/custom_function.h"

#include "tests/support/op_check.h"

namespace treadle::testing {

inline std::vector<OpCase> other_cases() {
  using A = const Arrays&;
  auto cube = [](A x) { return Arrays{x[0] * square(x[0])}; };
  std::vector<OpCase> cases = {
      {"arange", [](A x) { return x[0] * arange(4.0); }, {{{3, 4}}}},
      {"uniform",
       [](A x) { return x[0] * random::uniform({4}, float32, random::key(3)); },
       {{{3, 4}}}},
      {"depends",
       [](A x) { return depends({x[0]}, {exp(x[1])})[0]; },
       {{{3, 4}}, {{2}}}},
      {"searchsorted",
       [](A x) { return searchsorted(arange(5.0), x[0], "right"); },
       {{{3, 4}}},
       0,
       false},
      {"view",
       [](A x) { return view(astype(x[0], float32), int32); },
       {{{3, 4}}},
       0,
       false},
      {"checkpoint", [=](A x) { return checkpoint(cube)(x)[0]; }, {{{3, 4}}}},
      {"compile",
       [f = compile(ArraysFn(cube))](A x) { return f(x)[0]; },
       {{{3, 4}}}},
      {"custom_function",
       [=](A x) {
         CustomRules rules;
         rules.vjp = [](A primals, A cotangents, A) {
           return Arrays{cotangents[0] * square(primals[0]) * 3.0};
         };
         rules.jvp = [](A primals, A tangents) {
           return Arrays{tangents[0] * square(primals[0]) * 3.0};
         };
         return custom_function(cube, rules)({x[0]})[0];
       },
       {{{3, 4}}}},
      {"batch_norm",
       [](A x) {
         return nn::batch_norm(x[0], x[1], x[2], zeros({3}), ones({3})).y;
       },
       {{{6, 3}}, {{3}}, {{3}}},
       32},
      {"scan",
       [](A x) {
         auto step = [](A carry, A item) {
           array h = tanh(carry[0] * 0.5 + item[0]);
           return ScanStep{{h}, {h * item[0]}};
         };
         return scan(step, {x[0]}, {x[1]}).second[0];
       },
       {{{4}}, {{3, 4}}},
       16},
  };
  return cases;
}

}  // namespace treadle::testing
