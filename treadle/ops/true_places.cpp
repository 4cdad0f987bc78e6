#include "treadle/ops/true_places.h"

#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs TruePlaces::infer(std::span<const Spec>) const {
  return {Spec{{count}, dtype}, Spec{{1}, dtype}};
}

Arrays TruePlaces::expand(const Arrays& x) const {
  const int64_t n = x[0].size();
  const array number = cumsum(astype(x[0], dtype));  // counted from 1
  const array slot = minimum(select(x[0], number - 1, count), count);
  const array to =
      scatter(zeros({count + 1}, dtype), slot, arange(n, dtype), 0);
  return {slice(to, {0}, {count}), slice(number, {n - 1}, {n})};
}

Arrays true_places(const array& flags, int64_t count) {
  TruePlaces op;
  op.count = count;
  op.dtype = flags.size() > INT32_MAX ? int64 : int32;
  return record_all(make_op(std::move(op)), {flags}, resolve({}));
}

}  // namespace treadle
