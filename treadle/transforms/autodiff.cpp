#include "treadle/transforms/autodiff.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

void check_match(std::string_view op,
                 std::string_view what,
                 const Arrays& got,
                 const Arrays& expected) {
  if (got.size() != expected.size()) {
    invalid(op,
            fmt::format(
                "got {} {}; expected {}.", got.size(), what, expected.size()));
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (!got[i].null() && got[i].shape() != expected[i].shape()) {
      invalid(op,
              fmt::format("{} {} has shape {}; expected {}.",
                          what,
                          i,
                          to_string(got[i].shape()),
                          to_string(expected[i].shape())));
    }
  }
}

Arrays zeros_for_null(Arrays values, const Arrays& like) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].null()) values[i] = zeros_like(like[i]);
  }
  return values;
}

}  // namespace

std::pair<Arrays, Arrays> vjp(const ArraysFn& f,
                              const Arrays& primals,
                              const Arrays& cotangents) {
  Trace trace("vjp");
  Arrays x = identities(primals);
  Arrays y = f(x);
  check_match("vjp", "cotangents", cotangents, y);
  Arrays g = pullback(y, cotangents, x, trace.first_seq());
  return {std::move(y), zeros_for_null(std::move(g), primals)};
}

std::pair<Arrays, Arrays> jvp(const ArraysFn& f,
                              const Arrays& primals,
                              const Arrays& tangents) {
  check_match("jvp", "tangents", tangents, primals);
  Trace trace("jvp");
  Arrays x = identities(primals);
  Arrays y = f(x);
  Arrays t = pushforward(x, tangents, y, trace.first_seq());
  t = zeros_for_null(std::move(t), y);
  return {std::move(y), std::move(t)};
}

ValueAndGradFn value_and_grad(ArraysFn f, std::vector<int> argnums) {
  return [f = std::move(f), argnums = std::move(argnums)](const Arrays& args) {
    Trace trace("grad");
    Arrays x = args, with_respect_to;
    for (int i : argnums) {
      int n = int(args.size());
      if (i < -n || i >= n) {
        out_of_range(
            "grad",
            fmt::format("argnum {} for a function of {} arguments.", i, n));
      }
      array& a = x[size_t(i < 0 ? i + n : i)];
      if (!is_inexact(a.dtype())) {
        invalid("grad",
                fmt::format("argument {} is {}; only floating and complex "
                            "arrays have gradients.",
                            i,
                            to_string(a.spec())));
      }
      a = record(Identity{}, {a}, resolve({}));
      with_respect_to.push_back(a);
    }
    Arrays y = f(x);
    if (y.empty() || y[0].null())
      invalid("grad", "the function returned no array.");
    if (y[0].size() != 1 || y[0].ndim() != 0) {
      invalid("grad",
              fmt::format("the loss is {}; expected a scalar. Reduce it with "
                          "mean() or sum(); losses reduce by "
                          "reduction=\"mean\".",
                          to_string(y[0].spec())));
    }
    if (!is_inexact(y[0].dtype())) {
      invalid("grad",
              fmt::format("the loss is {}; expected a floating type.",
                          to_string(y[0].spec())));
    }
    Arrays ct(y.size());
    ct[0] = ones_like(y[0]);
    Arrays g = pullback(y, ct, with_respect_to, trace.first_seq());
    return std::pair(std::move(y),
                     zeros_for_null(std::move(g), with_respect_to));
  };
}

ArraysFn grad(ArraysFn f, std::vector<int> argnums) {
  return [vg = value_and_grad(std::move(f), std::move(argnums))](
             const Arrays& args) { return vg(args).second; };
}

std::function<array(const array&)> grad(std::function<array(const array&)> f) {
  auto g = grad(ArraysFn(
      [f = std::move(f)](const Arrays& x) { return Arrays{f(x[0])}; }));
  return [g = std::move(g)](const array& x) { return g({x})[0]; };
}

ArraysFn vmap(ArraysFn f, std::vector<int> in_axes, std::vector<int> out_axes) {
  return vmap(std::move(f),
              std::move(in_axes),
              [axes = std::move(out_axes)](const Arrays& results) {
                return axes.empty() ? std::vector<int>(results.size(), 0)
                                    : axes;
              });
}

ArraysFn vmap(ArraysFn f, std::vector<int> in_axes, OutAxesFn out_axes_of) {
  return [f = std::move(f),
          in_axes = std::move(in_axes),
          out_axes_of = std::move(out_axes_of)](const Arrays& args) {
    if (!in_axes.empty() && in_axes.size() != args.size()) {
      invalid(
          "vmap",
          fmt::format(
              "got {} in_axes for {} arguments.", in_axes.size(), args.size()));
    }
    Trace trace("vmap");
    Arrays x;
    std::vector<int> axes;
    int64_t length = -1;
    for (size_t i = 0; i < args.size(); ++i) {
      int axis = in_axes.empty() ? 0 : in_axes[i];
      if (in_axes.empty() || axis != kNotMapped) {
        axis = normalize_axis("vmap", axis, args[i].shape().size());
      }
      axes.push_back(axis);
      if (axis == kNotMapped) {
        x.push_back(args[i]);
        continue;
      }
      Spec spec = args[i].spec();
      if (length >= 0 && spec.shape[size_t(axis)] != length) {
        invalid("vmap",
                fmt::format("mapped axes differ in length: {} and {}.",
                            length,
                            spec.shape[size_t(axis)]));
      }
      length = spec.shape[size_t(axis)];
      spec.shape.erase(spec.shape.begin() + axis);
      x.push_back(trace.placeholder(spec));
    }
    if (length < 0)
      invalid("vmap", "no argument is mapped; expected at least one axis.");
    Arrays y = f(x);
    const std::vector<int> out_axes = out_axes_of(y);
    Arrays mapped_in, mapped;
    std::vector<int> mapped_axes, got_axes;
    for (size_t i = 0; i < x.size(); ++i) {
      if (axes[i] == kNotMapped) continue;
      mapped_in.push_back(x[i]);
      mapped.push_back(args[i]);
      mapped_axes.push_back(axes[i]);
    }
    Arrays out =
        batch(mapped_in, mapped, mapped_axes, y, trace.first_seq(), &got_axes);
    if (out_axes.size() != out.size()) {
      invalid(
          "vmap",
          fmt::format(
              "got {} out_axes for {} outputs.", out_axes.size(), out.size()));
    }
    for (size_t j = 0; j < out.size(); ++j) {
      const int want = out_axes[j];
      const bool whole = want == kNotMapped;
      if (got_axes[j] == kNotMapped) {
        if (whole) continue;
        Shape shape{length};
        shape.append(out[j].shape().begin(), out[j].shape().end());
        out[j] = broadcast_to(out[j], shape);
        got_axes[j] = 0;
      } else if (whole) {
        invalid("vmap",
                fmt::format("output {} depends on the batch but its out_axis "
                            "is none.",
                            j));
      }
      out[j] = moveaxis(out[j],
                        got_axes[j],
                        normalize_axis("vmap", want, out[j].shape().size()));
    }
    return out;
  };
}

}  // namespace treadle
