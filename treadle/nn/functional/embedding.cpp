#include "treadle/nn/functional/embedding.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/index.h"
#include "treadle/ops/random.h"

namespace treadle::nn {

array embedding(const array& x, const array& w) {
  if (w.ndim() != 2 || !is_integer(x.dtype())) {
    invalid("embedding",
            fmt::format("the input is {} and the table {}; expected integers "
                        "and (N, D).",
                        to_string(x.spec()),
                        to_string(w.spec())));
  }
  return take(w, x, 0);
}

Tree embedding_init(int num, int dims, Dtype dtype) {
  if (num <= 0 || dims <= 0) {
    invalid("embedding_init",
            fmt::format("got {} embeddings of {} dimensions; expected at least "
                        "one of each.",
                        num,
                        dims));
  }
  Tree t = Tree::map();
  t["weight"] =
      random::normal({num, dims}, dtype, 0, 1 / std::sqrt(double(dims)));
  return t;
}

}  // namespace treadle::nn
