"""Running sums, products, maxima, minima and log-sum-exps, against MLX."""

import mlx.core as mlx
import numpy as np
import pytest
from oracle import DTYPES, FLOATS, check, expressions, values

import treadle.core as mx

FUNCTIONS = ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"]
WAYS = [{"reverse": r, "inclusive": i} for r in (False, True) for i in (False, True)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
def test_dtypes(name, dtype, way):
    check(lambda m: getattr(m, name)(m.array(values(dtype), getattr(m, dtype)), **way), scale=4)


EXPRESSIONS = """
m.cumsum(x); m.cumsum(x, 0); m.cumsum(x, axis=-1, reverse=True); x.cumsum(1); m.cumsum(x, dtype=m.int32); m.cumsum(x, 2)
m.cumsum(m.array([True, True]), dtype=m.bool_); m.cumsum(m.array(3.0)); m.cumsum(m.zeros((0,)));
m.cumsum(m.zeros((2, 0)))
m.cumsum(m.zeros((2, 0)), 0); m.cumsum(3.0); m.cumprod(x, 1, dtype=m.float16); x.cumprod(); x.cummax(0); x.cummin(1)
x.logcumsumexp(axis=1, inclusive=False); m.cummax(n); m.cummin(n, 1); m.cummax(n, 0, reverse=True); m.cumsum(n)
m.logcumsumexp(n, 1); m.logcumsumexp(n[0], reverse=True); m.cumulative_sum(x, 1); m.cumulative_prod(x)
m.cumsum(m.array([200, 100, 50], m.uint8)); m.cumprod(m.array([100, 100, 3], m.int8)); m.cumsum(x.T, 1)
m.logcumsumexp(m.array([1000.0, 1000.0, -1000.0])); m.logcumsumexp(m.array([-m.inf, -m.inf, 1.0]))
m.logcumsumexp(m.array([1.0, m.inf, 2.0])); m.logcumsumexp(m.array([1 + 5j, 2 - 4j, 0.5j]))
m.vmap(m.cumsum)(x); m.vmap(lambda x: m.cumsum(x, 0), in_axes=1)(x)
"""


@pytest.mark.parametrize("expression", expressions(EXPRESSIONS))
def test_expressions(expression):
    def run(m):
        x = m.array([[1.5, -0.5, 2.0], [0.25, 3.0, -1.0]])
        n = m.array([[1.0, m.nan, 3.0], [m.inf, 0.5, 2.0]])
        return eval(expression, {"m": m, "x": x, "n": n})

    check(run, scale=4)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("x", [[1.0, 2.0, 2.0, 3.0, -1.0], [3.0, 1.0, 1.0, 3.0, 0.5], [2.0, 0.0, 3.0, 0.0, 5.0]])
def test_gradients(name, way, x):
    def f(m, x):
        y = getattr(m, name)(x, **way)
        keep = slice(None, -1) if way["reverse"] else slice(1, None)
        return (y[keep] * m.array([1.0, -2.0, 3.0, 0.5])).sum()

    check(lambda m: m.grad(lambda x: f(m, x))(m.array(x)), scale=8)


@pytest.mark.parametrize("name", ["cumsum", "logcumsumexp"])
def test_tangents(name):
    check(lambda m: m.jvp(getattr(m, name), [m.array([1.0, 3.0, 2.5])], [m.array([1.0, -2.0, 3.0])])[1], scale=8)


def test_the_product_of_a_row_with_a_zero_has_a_tangent():
    # MLX has no tangents of products. d(x0 x1 x2) with x1 = 0 is x0 x2 dx1.
    y, t = mx.jvp(mx.cumprod, [mx.array([2.0, 0.0, 3.0])], [mx.array([1.0, 10.0, 100.0])])
    assert t[0].tolist() == [1, 20, 60]


@pytest.mark.parametrize("dtype", ["int32", "float32", "uint8"])
@pytest.mark.parametrize("shape, axis", [((100_003,), 0), ((3, 20_000), 1), ((20_000, 3), 0), ((300, 300), 0)])
def test_long_walks(dtype, shape, axis):
    v = np.random.default_rng(1).integers(0, 100, shape)
    for name in ("cumsum", "cummax"):
        for way in WAYS:
            ours, theirs = (
                np.array(getattr(m, name)(m.array(v.tolist(), getattr(m, dtype)), axis, **way)) for m in (mx, mlx)
            )
            np.testing.assert_array_equal(ours, theirs) if dtype != "float32" else np.testing.assert_allclose(
                ours, theirs, rtol=1e-5
            )


@pytest.mark.parametrize("dtype", sorted(FLOATS))
def test_half_sums_are_kept_in_float32(dtype):
    y = mx.cumsum(mx.ones(5000, getattr(mx, dtype)))
    assert y[-1].item() == mx.array(5000, getattr(mx, dtype)).item()


def hessian(f, x):
    return np.array(mx.vmap(lambda v: mx.jvp(mx.grad(f), [x], [v])[1][0])(mx.eye(x.size)))


def differences(f, x, step=0.5):
    """Second differences, exact for products in which each element comes once."""
    n, e = len(x), step * np.eye(len(x))
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                points = [x + e[i] + e[j], x + e[i] - e[j], x - e[i] + e[j], x - e[i] - e[j]]
                out[i, j] = np.dot([1, -1, -1, 1], [f(p) for p in points]) / (4 * step**2)
    return out


@pytest.mark.parametrize("x", [[2, 0, 3, 5, 1], [2, 0, 3, 0, 5], [0, 0, 0, 2, 4], [0, 1, 2, 3, 0], [3, 2, 4, 1, 2]])
@pytest.mark.parametrize("way", WAYS)
def test_second_derivatives_of_products_with_zeros(x, way):
    x, weights = np.array(x, np.float32), np.array([1, 2, 3, 4, 5], np.float32)

    def plain(v):
        v = v[::-1] if way.get("reverse") else v
        y = np.cumprod(v) if way.get("inclusive", True) else np.cumprod([1, *v[:-1]])
        return np.dot(weights, y[::-1] if way.get("reverse") else y)

    got = hessian(lambda v: (mx.cumprod(v, **way) * mx.array(weights)).sum(), mx.array(x))
    np.testing.assert_array_equal(got, differences(plain, x))


@pytest.mark.parametrize("u", [[2, 0, 3, 0, 5, 7], [0, 0, 0, 0, 1, 2], [1, 0, 2, 3, 4, 5]])
def test_second_derivatives_of_updates_that_are_multiplied(u):
    """Of elements with several zeros among their updates."""
    at, u = [1, 1, 1, -1, 2, 0], np.array(u, np.float32)

    def plain(v):
        return np.dot([1, 2, 3], [2 * v[5], 2 * np.prod(v[:3]), 2 * v[3] * v[4]])

    def f(v):
        y = mx.full((3, 2), 2.0).at[mx.array(at)].multiply(mx.stack([v, mx.ones_like(v)], 1))
        return (y[:, 0] * mx.array([1.0, 2.0, 3.0])).sum()

    np.testing.assert_array_equal(hessian(f, mx.array(u)), differences(plain, u))
