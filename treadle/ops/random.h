// Random numbers from explicit keys: a function of the key alone, the same on
// every device and for any number of threads. A call without a key takes one
// from the default key, which lives here and nowhere else.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/rules.h"

namespace treadle {

// Key (K..., 2) uint32 -> (K..., S...) unsigned integers of `width` bytes.
// Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers:
// as easy as 1, 2, 3") on a counter. For one key, seen as W = ceil(bytes / 4)
// words with H = floor(W / 2) and C = ceil(W / 2): the hash of (i, C + i) gives
// words i and C + i, and when W is odd the first half of the hash of (H, 0)
// gives word H.
struct RandomBits : OpBase<RandomBits> {
  static constexpr std::string_view op_name = "random_bits";
  int width = 4;
  Shape shape;  // S

  auto fields() const { return std::tie(width); }
  auto sizes() const { return std::tie(shape); }
  TREADLE_RULES
};

// The default key: uint32 (2,). One value for the process, first taken from the
// clock; a draw without a key replaces it by the first half of its split. It is
// an implicit input and output of every compiled function: tracing opens a
// RandomStateScope on a placeholder, and each call goes through
// update_random_state().
array random_state();
void set_random_state(const array& key);
// Sets it to next(random_state()), with no draw of another thread in between.
void update_random_state(const std::function<array(const array&)>& next);

// In this scope, on this thread, the default key is another one.
class RandomStateScope {
 public:
  explicit RandomStateScope(array key);
  ~RandomStateScope();
  RandomStateScope(const RandomStateScope&) = delete;
  RandomStateScope& operator=(const RandomStateScope&) = delete;

 private:
  friend void update_random_state(
      const std::function<array(const array&)>& next);
  array key_;
  RandomStateScope* outer_;
};

namespace random {

// A fresh key from the default one.
array next_key(StreamOrDevice s = {});

// Makes the default key key(value).
void seed(uint64_t value);
// A key, uint32 (2,).
array key(uint64_t seed);
// Independent keys from one: (num, 2), or two of them.
array split(const array& key, int num, StreamOrDevice s = {});
std::pair<array, array> split(const array& key, StreamOrDevice s = {});

// In all of these: `key` null means the default key; bounds and parameters
// broadcast to `shape`.

// Integers of `width` 1, 2 or 4 bytes, all values alike.
array bits(const Shape& shape,
           int width = 4,
           const array& key = {},
           StreamOrDevice s = {});
// In [low, high).
array uniform(const Term& low,
              const Term& high,
              const Shape& shape,
              Dtype dtype = float32,
              const array& key = {},
              StreamOrDevice s = {});
array uniform(const Shape& shape,
              Dtype dtype = float32,
              const array& key = {},
              StreamOrDevice s = {});
// Normal with mean `loc` and standard deviation `scale`. complex64: real and
// imaginary part each with variance 1/2, times scale.
array normal(const Shape& shape,
             Dtype dtype = float32,
             const Term& loc = 0,
             const Term& scale = 1,
             const array& key = {},
             StreamOrDevice s = {});
// Normal within [lower, upper], which count in standard deviations.
array truncated_normal(const Term& lower,
                       const Term& upper,
                       std::optional<Shape> shape = {},
                       Dtype dtype = float32,
                       const array& key = {},
                       StreamOrDevice s = {});
// -log(-log(u)) of uniform u.
array gumbel(const Shape& shape,
             Dtype dtype = float32,
             const array& key = {},
             StreamOrDevice s = {});
array laplace(const Shape& shape,
              Dtype dtype = float32,
              double loc = 0,
              double scale = 1,
              const array& key = {},
              StreamOrDevice s = {});
// True with probability p; of p's shape when none is given.
array bernoulli(const Term& p = 0.5,
                std::optional<Shape> shape = {},
                const array& key = {},
                StreamOrDevice s = {});
// Integers in [low, high), drawn through float32: beyond 2^24 not every integer
// is reached.
array randint(const Term& low,
              const Term& high,
              const Shape& shape,
              Dtype dtype = int32,
              const array& key = {},
              StreamOrDevice s = {});
// Positions along `axis` of the unnormalised log-probabilities: of logits'
// shape without the axis, of a shape that this broadcasts to, or with a last
// axis of num_samples. The numbers are MLX's; of many draws from one
// distribution of many classes a few lie one class off, where exp is rounded
// differently: 6 of 100,000 for 3000 classes, 8 of 10,000 for 50,000.
array categorical(const array& logits,
                  int axis = -1,
                  const array& key = {},
                  StreamOrDevice s = {});
array categorical(const array& logits,
                  int axis,
                  const Shape& shape,
                  const array& key = {},
                  StreamOrDevice s = {});
array categorical(const array& logits,
                  int axis,
                  int num_samples,
                  const array& key = {},
                  StreamOrDevice s = {});
// 0 ... n - 1 in random order, uint32.
array permutation(int n, const array& key = {}, StreamOrDevice s = {});
// The slices of x along an axis in random order.
array permutation(const array& x,
                  int axis = 0,
                  const array& key = {},
                  StreamOrDevice s = {});
// float32 of mean (..., N) and covariance (..., N, N), symmetric and positive
// semi-definite: (shape..., N). Without a shape that of the leading axes, which
// broadcast.
array multivariate_normal(const array& mean,
                          const array& cov,
                          const Shape& shape = {},
                          Dtype dtype = float32,
                          const array& key = {},
                          StreamOrDevice s = {});

}  // namespace random
}  // namespace treadle
