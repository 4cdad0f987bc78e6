"""checkpoint, custom_function and depends, beside MLX."""

import gc
import weakref

import mlx.core as mlx
import numpy as np
import pytest

import treadle.core as mx

BOTH = pytest.mark.parametrize("m", [mx, mlx], ids=["treadle", "mlx"])


def make(m, seen):
    @m.custom_function
    def f(x, y, scale=2):
        return m.sin(x), {"a": y * scale}

    @f.vjp
    def f_vjp(primals, cotangent, output, **kwargs):
        seen.append(("vjp", len(primals), sorted(cotangent[1]), sorted(output[1]), kwargs))
        return primals[0] * cotangent[0], primals[1] * 3 + cotangent[1]["a"]

    @f.jvp
    def f_jvp(primals, tangents, **kwargs):
        seen.append(("jvp", [t is None for t in tangents], kwargs))
        return primals[0] * 5, {"a": primals[1]}

    @f.vmap
    def f_vmap(inputs, axes, **kwargs):
        seen.append(("vmap", axes, kwargs))
        return (m.sin(inputs[0]), {"a": inputs[1] * 100}), (axes[0], {"a": axes[1]})

    return f


def results(m):
    seen = []
    f = make(m, seen)
    x, y = m.array([1.0, 2.0]), m.array([3.0, 4.0])
    out = [f(x, y)[1]["a"]]
    out += m.grad(lambda x, y: f(x, y, scale=4)[0].sum() * 2, argnums=(0, 1))(x, y)
    out += m.jvp(lambda x: f(x, y)[0], [x], [x])[1]
    out.append(m.vmap(f)(x, y)[1]["a"])
    return [np.array(a) for a in out], seen


def test_custom_functions_call_their_rules_as_mlx_does():
    ours, called = results(mx)
    theirs, expected = results(mlx)
    assert called == expected
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_an_input_that_is_not_mapped_has_no_axis():
    seen = []
    x = mx.array([1.0, 2.0])
    out = mx.vmap(make(mx, seen), in_axes=(0, None))(x, mx.array(2.0))
    assert seen == [("vmap", (0, None), {})]
    assert out[1]["a"].tolist() == [200, 200]


@BOTH
def test_one_argument_comes_alone(m):
    seen = []

    @m.custom_function
    def f(tree):
        return tree["w"] * 2

    @f.vjp
    def f_vjp(primals, cotangent, output):
        seen.append(type(primals))
        return {"w": cotangent * 7}

    g = m.grad(lambda p: f(p).sum())({"w": m.array([1.0, 2.0])})
    assert seen == [dict]
    assert g["w"].tolist() == [7, 7]


@BOTH
def test_captured_arrays_are_constants_of_a_custom_function(m):
    def g(x, y):
        @m.custom_function
        def f(x):
            return x * y

        @f.vjp
        def f_vjp(primals, cotangent, output):
            raise ValueError("asked")

        return f(x)

    x, y = m.array(2.0), m.array(3.0)
    assert g(x, y).item() == 6
    with pytest.raises(ValueError, match="asked"):
        m.grad(g)(x, y)
    assert m.grad(g, argnums=1)(x, y).item() == 0


def test_a_custom_function_keeps_its_name_and_says_what_it_takes():
    @mx.custom_function
    def scaled(x):
        """Twice x."""
        return x * 2

    assert scaled.__name__ == "scaled" and scaled.__doc__ == "Twice x."
    with pytest.raises(TypeError, match="expected a function; got a int"):
        mx.custom_function(3)
    with pytest.raises(TypeError, match="vjp expected a function"):
        scaled.vjp(3)
    with pytest.raises(ValueError, match=r"\[custom_function\] vjp returned 0 arrays"):
        scaled.vjp(lambda p, c, o: None)
        mx.grad(lambda x: scaled(x))(mx.array(1.0))


def test_custom_rules_work_in_compiled_functions_and_their_gradients():
    @mx.custom_function
    def f(x):
        return x * x

    f.vjp(lambda x, ct, y: ct * 10)
    x = mx.array([1.0, 2.0])
    step = mx.compile(lambda x: mx.grad(lambda x: f(x).sum())(x))
    assert step(x).tolist() == step(x).tolist() == [10, 10]
    assert mx.grad(lambda x: mx.compile(f)(x).sum())(x).tolist() == [10, 10]


def test_rules_are_dropped_with_the_function():
    def body(x):
        return x * 2

    def run():
        f = mx.custom_function(body)
        rule = lambda x, ct, y: ct  # noqa: E731
        f.vjp(rule)
        return mx.grad(lambda x: f(x).sum())(mx.array([1.0])), weakref.ref(rule)

    kept, gone = run()
    gc.collect()
    assert gone() is None
    assert kept.tolist() == [1]


@BOTH
def test_checkpoint_has_the_same_gradients(m):
    w, x = m.array([0.5, 1.5]), m.array([1.0, 2.0])

    def f(p, x, power=2):
        return {"out": m.sin(p["w"] * x) ** power}

    h = m.checkpoint(f)
    loss = lambda f: lambda p: f(p, x, power=3)["out"].sum()  # noqa: E731
    expected = m.grad(loss(f))({"w": w})["w"]
    got = m.grad(loss(h))({"w": w})["w"]
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-6)


def test_the_reference_patches_a_class_many_times():
    """The layers' class is wrapped once for each layer, and the body still runs once forward."""

    class Layer:
        runs = 0

        def __init__(self, w):
            self.w = w

        def __call__(self, x):
            Layer.runs += 1
            return mx.sin(x * self.w)

    layers = [Layer(mx.array(0.5 + i)) for i in range(4)]
    for layer in layers:
        fn = type(layer).__call__

        def wrapped(layer, x, fn=fn):
            def inner(w, x):
                layer.w = w
                return fn(layer, x)

            return mx.checkpoint(inner)(layer.w, x)

        type(layer).__call__ = wrapped

    weights = [layer.w for layer in layers]

    def loss(weights, x):
        for layer, w in zip(layers, weights, strict=True):
            layer.w = w
            x = layer(x)
        return x.sum()

    x = mx.array([0.1, 0.2])
    grads = mx.grad(loss)(weights, x)
    assert Layer.runs == 4

    def plain(weights, x):
        for w in weights:
            x = mx.sin(x * w)
        return x.sum()

    for got, expected in zip(grads, mx.grad(plain)(weights, x), strict=True):
        assert got.item() == pytest.approx(expected.item(), rel=1e-6)


def test_depends_keeps_the_form_of_its_inputs():
    x, y = mx.array([1.0]), mx.array([2.0])
    assert mx.depends(x, y).tolist() == [1]
    a, b = mx.depends([x, y], [x + 1])
    assert a.tolist() == [1] and b.tolist() == [2]
