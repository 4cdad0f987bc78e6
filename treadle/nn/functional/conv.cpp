#include "treadle/nn/functional/conv.h"

#include <cmath>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"

namespace treadle::nn {

array conv2d(const array& x,
             const array& w,
             const array& bias,
             Size2 stride,
             Size2 padding,
             Size2 dilation,
             int groups) {
  array y = treadle::conv2d(x, w, stride, padding, dilation, groups);
  return bias.null() ? y : y + bias;
}

array conv(const array& x,
           const array& w,
           const array& bias,
           const Shape& stride,
           const Shape& padding,
           const Shape& dilation,
           int groups) {
  array y = conv_general(x, w, stride, padding, padding, dilation, {}, groups);
  return bias.null() ? y : y + bias;
}

namespace {

// The entry of an axis in a list that may be short.
int entry(const Shape& list, size_t axis, int otherwise) {
  if (list.empty()) return otherwise;
  return int(list.size() == 1 ? list[0] : list[axis]);
}

std::pair<int, int> two(const Shape& list, int otherwise) {
  return {entry(list, 0, otherwise), entry(list, 1, otherwise)};
}

std::tuple<int, int, int> three(const Shape& list, int otherwise) {
  return {entry(list, 0, otherwise),
          entry(list, 1, otherwise),
          entry(list, 2, otherwise)};
}

void check_lists(int axes, std::initializer_list<const Shape*> lists) {
  for (const Shape* list : lists) {
    if (list->size() > 1 && int(list->size()) != axes) {
      invalid("conv_transpose",
              fmt::format("{} is given for {} spatial axes; expected one entry "
                          "for each, or one for all.",
                          to_string(*list),
                          axes));
    }
  }
}

array transposed(const array& x,
                 const array& w,
                 const Shape& stride,
                 const Shape& padding,
                 const Shape& dilation,
                 const Shape& output_padding) {
  switch (w.ndim() - 2) {
    case 1:
      return conv_transpose1d(x,
                              w,
                              entry(stride, 0, 1),
                              entry(padding, 0, 0),
                              entry(dilation, 0, 1),
                              entry(output_padding, 0, 0));
    case 2:
      return conv_transpose2d(x,
                              w,
                              two(stride, 1),
                              two(padding, 0),
                              two(dilation, 1),
                              two(output_padding, 0));
    case 3:
      return conv_transpose3d(x,
                              w,
                              three(stride, 1),
                              three(padding, 0),
                              three(dilation, 1),
                              three(output_padding, 0));
  }
  invalid("conv_transpose",
          fmt::format("the weight is {}; expected (O, ..., C) with 1, 2 or 3 "
                      "spatial axes.",
                      to_string(w.spec())));
}

}  // namespace

array conv_transpose(const array& x,
                     const array& w,
                     const array& bias,
                     const Shape& stride,
                     const Shape& padding,
                     const Shape& dilation,
                     const Shape& output_padding) {
  check_lists(w.ndim() - 2, {&stride, &padding, &dilation, &output_padding});
  array y = transposed(x, w, stride, padding, dilation, output_padding);
  return bias.null() ? y : y + bias;
}

Tree conv_init(
    int in, int out, const Shape& kernel, int groups, bool bias, Dtype dtype) {
  bool positive = in > 0 && out > 0 && groups > 0;
  for (int64_t k : kernel) positive = positive && k > 0;
  if (!positive) {
    invalid("conv_init",
            fmt::format("got {} input and {} output channels, kernel {}, {} "
                        "groups; expected positive numbers.",
                        in,
                        out,
                        to_string(kernel),
                        groups));
  }
  if (in % groups != 0 || out % groups != 0) {
    invalid("conv_init",
            fmt::format("{} groups do not divide {} input and {} output "
                        "channels.",
                        groups,
                        in,
                        out));
  }
  Shape shape{out};
  for (int64_t length : kernel) shape.push_back(length);
  const int64_t group_in = in / groups;
  shape.push_back(group_in);
  double k = 1 / std::sqrt(double(group_in) * double(size_of(kernel)));
  Tree t = Tree::map();
  t["weight"] = random::uniform(-k, k, shape, dtype);
  if (bias) t["bias"] = zeros({out}, dtype);
  return t;
}

}  // namespace treadle::nn
