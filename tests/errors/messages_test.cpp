// Error messages are part of the interface: what each says is pinned here, word
// for word. "[op] what is wrong: what was got; what was expected."
#include <functional>

#include <gtest/gtest.h>

#include "treadle/base/error.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

template <class E>
std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another type of exception: ") + e.what();
  }
  return "nothing was thrown";
}

std::string bad(const std::function<void()>& f) {
  return message<std::invalid_argument>(f);
}
std::string outside(const std::function<void()>& f) {
  return message<std::out_of_range>(f);
}

TEST(Message, ShapesThatDoNotBroadcast) {
  EXPECT_EQ(bad([] {
              add(ones({2, 3}), ones({2, 4}));
            }),
            "[add] shapes (2, 3) and (2, 4) cannot be broadcast: 3 against 4 "
            "on axis 1; "
            "expected equal lengths or 1.");
}

TEST(Message, ReadingANullArray) {
  const array none;
  const std::string rest =
      " the array is null, as array() makes it: it has no shape, dtype or "
      "value; expected one that was assigned.";
  EXPECT_EQ(bad([&] { (void)none.ndim(); }), "[ndim]" + rest);
  EXPECT_EQ(bad([&] { (void)none.shape(); }), "[shape]" + rest);
  EXPECT_EQ(bad([&] { (void)none.shape(0); }), "[shape]" + rest);
  EXPECT_EQ(bad([&] { (void)none.dtype(); }), "[dtype]" + rest);
  EXPECT_EQ(bad([&] { (void)none.size(); }), "[size]" + rest);
  EXPECT_EQ(bad([&] { (void)none.itemsize(); }), "[itemsize]" + rest);
  EXPECT_EQ(bad([&] { (void)none.nbytes(); }), "[nbytes]" + rest);
  EXPECT_EQ(bad([&] { (void)none.spec(); }), "[spec]" + rest);
  EXPECT_EQ(bad([&] { (void)none.layout(); }), "[layout]" + rest);
  EXPECT_EQ(bad([&] { (void)none.is_available(); }), "[is_available]" + rest);
  EXPECT_EQ(bad([&] { (void)none.item<float>(); }), "[item]" + rest);
  EXPECT_EQ(bad([&] { (void)none.data<float>(); }), "[data]" + rest);
  EXPECT_EQ(bad([&] { (void)none.to_vector<float>(); }), "[to_vector]" + rest);
  // Recording says it too, or asks for what it needs to know first.
  for (const auto& f : std::vector<std::function<void()>>{
           [&] { exp(none); },
           [&] { add(none, 1); },
           [&] { add(ones({2}), none); },
           [&] {
             matmul(ones({2, 3}), none);
           },
           [&] { sum(none); },
           [&] { reshape(none, {2}); },
           [&] {
             concatenate({none, none});
           },
           [&] { take(ones({2}), none); },
           [&] { nn::Linear(2, 3)(none); },
           [&] { nn::mse_loss(none, none); },
           [&] {
             save_safetensors("unwritten.safetensors", {{"a", none}});
           },
           [&] { grad([](const array& x) { return sum(x); })(none); }}) {
    const std::string m = bad(f);
    EXPECT_TRUE(m.ends_with(rest) || m.ends_with("is the null array.")) << m;
  }
  const array copy = none;
  EXPECT_TRUE(copy.null());
  eval({none});  // as a tree with a place that is empty
}

TEST(Message, InnerLengthsOfAMatrixProduct) {
  EXPECT_EQ(bad([] {
              matmul(ones({2, 3}), ones({4, 5}));
            }),
            "[matmul] inner lengths differ: got float32 (2, 3) and float32 (4, "
            "5); expected "
            "(..., M, K) and (..., K, N).");
}

TEST(Message, TheModulePathComesFirst) {
  EXPECT_EQ(bad([] {
              ModuleScope scope("layers.1 (Linear 64->64)");
              matmul(ones({2, 3}), ones({4, 5}));
            }),
            "layers.1 (Linear 64->64): [matmul] inner lengths differ: got "
            "float32 (2, 3) and "
            "float32 (4, 5); expected (..., M, K) and (..., K, N).");
}

TEST(Message, AxisOutOfBounds) {
  EXPECT_EQ(outside([] {
              sum(ones({2, 3}), 2);
            }),
            "[sum] axis 2 is out of bounds for an array with 2 dimensions; "
            "expected [-2, 1].");
  EXPECT_EQ(outside([] { max(array(1.0f), 0); }),
            "[max] axis 0 for a scalar, which has no axis.");
}

TEST(Message, AxisGivenTwice) {
  EXPECT_EQ(bad([] {
              sum(ones({2, 3}), {0, -2});
            }),
            "[sum] axis given twice: (0, -2).");
}

TEST(Message, ReshapeThatDoesNotFit) {
  EXPECT_EQ(bad([] {
              reshape(ones({2, 3}), {4, -1});
            }),
            "[reshape] cannot fit 6 elements of shape (2, 3) into (4, -1).");
  EXPECT_EQ(
      bad([] {
        reshape(ones({2, 3}), {4, 2});
      }),
      "[reshape] cannot reshape (2, 3) to (4, 2): 6 elements, expected 8.");
}

TEST(Message, SqueezeOfALongAxis) {
  EXPECT_EQ(bad([] {
              squeeze(ones({2, 3}), 0);
            }),
            "[squeeze] axis 0 of shape (2, 3) has length 2; expected 1.");
}

TEST(Message, TransposeWithoutAPermutation) {
  EXPECT_EQ(bad([] {
              transpose(ones({2, 3}), {0, 0});
            }),
            "[transpose] axes [0, 0] are not a permutation of the 2 axes of "
            "shape (2, 3).");
}

TEST(Message, ConcatenateOfOtherShapes) {
  EXPECT_EQ(bad([] {
              concatenate({ones({2, 3}), ones({3, 3})}, 1);
            }),
            "[concatenate] shapes (2, 3) and (3, 3) differ beyond axis 1.");
}

TEST(Message, TheMaximumOfNothing) {
  EXPECT_EQ(
      bad([] {
        max(zeros({2, 0}), 1);
      }),
      "[max] axis 1 of shape (2, 0) is empty; there is no max of nothing.");
}

TEST(Message, ADtypeThatAnOpDoesNotTake) {
  EXPECT_EQ(bad([] { bitwise_and(ones({2}), ones({2})); }),
            "[bitwise_and] dtype float32 is not supported; expected integers "
            "or bool.");
  EXPECT_EQ(bad([] { negative(ones({2}, bool_)); }),
            "[negative] dtype bool is not supported; expected a number; use "
            "logical_not for "
            "bool.");
}

TEST(Message, ALossThatIsNoScalar) {
  EXPECT_EQ(bad([] {
              value_and_grad([](const Arrays& x) {
                return Arrays{x[0] * 2.0f};
              })({ones({3})});
            }),
            "[grad] the loss is float32 (3,); expected a scalar. Reduce it "
            "with mean() or "
            "sum(); losses reduce by reduction=\"mean\".");
}

TEST(Message, AGradientOfIntegers) {
  EXPECT_EQ(
      bad([] {
        grad(ArraysFn([](const Arrays& x) { return Arrays{sum(x[0])}; }))(
            {ones({3}, int32)});
      }),
      "[grad] argument 0 is int32 (3,); only floating and complex arrays have "
      "gradients.");
}

TEST(Message, VmapOverDifferentLengths) {
  EXPECT_EQ(bad([] {
              vmap([](const Arrays& x) { return Arrays{x[0] + x[1]}; })(
                  {ones({3}), ones({4})});
            }),
            "[vmap] mapped axes differ in length: 3 and 4.");
}

TEST(Message, AnItemOfManyElements) {
  EXPECT_EQ(bad([] { ones({3}).item<float>(); }),
            "[item] asked of an array of 3 elements, shape (3,); expected one "
            "element.");
}

TEST(Message, ValuesThatDoNotFillTheShape) {
  EXPECT_EQ(bad([] {
              array({1.0f, 2.0f, 3.0f}, {2, 2});
            }),
            "[array] 3 values for shape (2, 2); expected 4.");
}

}  // namespace
}  // namespace treadle
