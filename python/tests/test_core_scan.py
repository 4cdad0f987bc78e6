"""scan: a loop over trees of arrays as one operation, in JAX's convention."""

import numpy as np
import pytest

import treadle.core as mx


def loop(f, init, xs, length=None, reverse=False):
    """The same in Python, for carries and xs that are arrays."""
    carry, ys = init, []
    steps = range(length if xs is None else xs.shape[0])
    for t in reversed(steps) if reverse else steps:
        carry, y = f(carry, None if xs is None else xs[t])
        ys.append(y)
    return carry, mx.stack(ys[::-1] if reverse else ys)


X = mx.array(np.random.default_rng(0).standard_normal((6, 3)), mx.float32)
W = mx.array(np.random.default_rng(1).standard_normal((3, 3)) * 0.5, mx.float32)


def step(carry, x):
    h = mx.tanh(carry @ W + x)
    return h, h * 2


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_the_loop(reverse):
    for got, expected in zip(mx.scan(step, X[0], X, reverse=reverse), loop(step, X[0], X, None, reverse), strict=True):
        assert mx.allclose(got, expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_those_of_the_loop(reverse):
    def loss(run):
        def f(w, x):
            carry, ys = run(lambda c, v: ((h := mx.tanh(c @ w + v)), h * v), x[0], x, reverse=reverse)
            return (carry**2).sum() + (ys**3).sum()

        return f

    for transform in (lambda f: f, mx.compile):
        got = transform(mx.grad(loss(mx.scan), argnums=(0, 1)))(W, X)
        for g, e in zip(got, mx.grad(loss(loop), argnums=(0, 1))(W, X), strict=True):
            assert mx.allclose(g, e, rtol=1e-4, atol=1e-5)


def test_vmap_and_jvp_go_through():
    batch = mx.stack([X, X * 2, -X])
    carry, ys = mx.vmap(lambda x: mx.scan(step, x[0], x))(batch)
    for i in range(3):
        c, y = loop(step, batch[i, 0], batch[i])
        assert mx.allclose(carry[i], c) and mx.allclose(ys[i], y)
    _, (t,) = mx.jvp(lambda x: mx.scan(step, x[0], x)[1], [X], [mx.ones_like(X)])
    _, (e,) = mx.jvp(lambda x: loop(step, x[0], x)[1], [X], [mx.ones_like(X)])
    assert mx.allclose(t, e, rtol=1e-4, atol=1e-5)


def test_carry_xs_and_ys_are_trees():
    def f(carry, x):
        return {"b": carry["b"] + x["v"][0], "a": [carry["a"][0] * 2, None]}, (
            x["v"][1],
            {"n": None, "sum": carry["b"]},
        )

    init = {"a": [mx.array(1.0), None], "b": mx.array(0)}
    carry, (first, rest) = mx.scan(f, init, {"v": [mx.arange(4), mx.ones((4, 2))], "none": None})
    assert list(carry) == ["a", "b"] and carry["a"][0].item() == 16 and carry["a"][1] is None and carry["b"].item() == 6
    assert first.shape == (4, 2) and rest["n"] is None and rest["sum"].tolist() == [0, 0, 1, 3]


def test_numbers_become_arrays_and_a_length_stands_for_xs():
    carry, ys = mx.scan(lambda c, x: (c + 1, 3), 0, length=4)
    assert carry.item() == 4 and carry.dtype == mx.int32 and ys.tolist() == [3, 3, 3, 3]
    carry, ys = mx.scan(lambda c, x: (c + 0.5, None), 0.0, None, length=3)
    assert carry.item() == 1.5 and ys is None
    carry, ys = mx.scan(lambda c, x: (c, c), 1.0, mx.zeros((0, 2)))
    assert carry.item() == 1 and ys.shape == (0,)


def test_random_numbers_differ_from_step_to_step():
    mx.random.seed(0)
    _, ys = mx.scan(lambda c, x: (c, mx.random.uniform(shape=(2,))), None, length=5)
    assert len({tuple(y) for y in ys.tolist()}) == 5
    mx.random.seed(0)
    assert mx.scan(lambda c, x: (c, mx.random.uniform(shape=(2,))), None, length=5)[1].tolist() == ys.tolist()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: mx.scan(lambda c, x: (c, x), 0, None), "length"),
        (lambda: mx.scan(lambda c, x: (c, x), 0, mx.ones(3), length=4), "steps"),
        (lambda: mx.scan(lambda c, x: (c, x), 0, {"a": mx.ones(3), "b": mx.ones(4)}), "steps"),
        (lambda: mx.scan(lambda c, x: (c, x), 0, mx.array(3)), "axis"),
        (lambda: mx.scan(lambda c, x: c, 0, mx.ones(3)), "tuple"),
        (lambda: mx.scan(lambda c, x: (c + x, x), 0, mx.ones(3)), "carry"),
        (lambda: mx.scan(lambda c, x: ([c, c], x), 0, mx.ones(3)), "carry"),
        (lambda: mx.scan(lambda c, x: ({"b": c["a"]}, x), {"a": 0}, mx.ones(3)), "'a' of the carry"),
        (lambda: mx.scan(lambda c, x: (c, x), 0, None, length=-1), "0 or more"),
    ],
)
def test_what_does_not_fit_is_an_error(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_an_error_in_the_step_passes_and_leaves_nothing_behind():
    def bad(c, x):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        mx.scan(bad, X[0], X)
    assert mx.allclose(mx.scan(step, X[0], X)[0], loop(step, X[0], X)[0])
