"""Matrix products and convolutions: gradients, transforms and large operands against MLX."""

import numpy as np
import pytest
from oracle import assert_same, mlx, mx, outcome

r = np.random.default_rng(5)
A, B, C = r.normal(size=(2, 5, 4)), r.normal(size=(2, 4, 3)), r.normal(size=(5, 3))
X, W, T = r.normal(size=(2, 7, 6, 4)), r.normal(size=(6, 3, 2, 4)), r.normal(size=(6, 3, 2, 2))


def arrays(m, *values):
    return [m.array(v.astype(np.float32)) for v in values]


def gradients(f, *values):
    def call(m):
        g = m.grad(lambda *a: (f(m, *a) ** 2).sum(), argnums=list(range(len(values))))(*arrays(m, *values))
        return list(g)

    assert_same(outcome(call, mx), outcome(call, mlx), scale=8)


@pytest.mark.parametrize(
    "f",
    [
        lambda m, a, b, c: m.addmm(c, a, b),
        lambda m, a, b, c: m.addmm(c, a, b, alpha=0.5, beta=-2.0),
        lambda m, a, b, c: m.addmm(c[0], a[0], b[0], alpha=3.0),
        lambda m, a, b, c: a @ b + c,
        lambda m, a, b, c: m.swapaxes(b, 1, 2) @ m.swapaxes(a, 1, 2) + c.T,
        lambda m, a, b, c: (a[0] @ b) @ c.T,
        lambda m, a, b, c: m.matmul(m.matmul(a, b), c.T[None]),
    ],
)
def test_gradients_of_products(f):
    gradients(f, A, B, C)


@pytest.mark.parametrize(
    "f",
    [
        lambda m, x, w: m.conv2d(x, w),
        lambda m, x, w: m.conv2d(x, w, stride=(2, 1), padding=(1, 2), dilation=(2, 1)),
        lambda m, x, w: m.conv_transpose2d(x, w, stride=2, padding=(1, 0)),
        lambda m, x, w: m.conv_general(x, w, padding=([1, 0], [2, 1]), input_dilation=(1, 2), flip=True),
    ],
)
def test_gradients_of_convolutions(f):
    gradients(f, X, W)


def test_gradients_of_grouped_convolutions():
    gradients(lambda m, x, w: m.conv2d(x, w, padding=1, groups=2), X, T)
    gradients(lambda m, x, w: m.conv2d(x, w, padding=1, groups=4), X, r.normal(size=(4, 3, 3, 1)))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_of_products(axes):
    def call(m):
        return m.vmap(lambda a, b: a @ b, in_axes=axes)(*arrays(m, A, B if axes[1] == 0 else B[0]))

    assert_same(outcome(call, mx), outcome(call, mlx))


# Large enough for every road of the kernel: packed, in blocks of rows with the work that follows, one row.
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_layers_of_many_rows(dtype, rows):
    x, w, b = r.normal(size=(2, rows, 400)), r.normal(size=(350, 400)) / 20, r.normal(size=350)

    def call(m):
        x_, w_, b_ = (v.astype(getattr(m, dtype)) for v in arrays(m, x, w, b))
        y = m.maximum(x_ @ w_.T + b_, 0)
        return [y, (y @ w_).astype(m.float32)]

    ours, exact = outcome(call, mx), outcome(call, mlx)
    for a, e in zip(ours, exact, strict=True):
        assert a.dtype == getattr(mx, str(e.dtype).rsplit(".", 1)[1])
        tolerance = {"float32": 2e-5, "bfloat16": 3e-2, "float16": 4e-3}[dtype]
        np.testing.assert_allclose(
            np.array(a.astype(mx.float32)), np.array(e.astype(mlx.float32)), rtol=tolerance, atol=tolerance * 4
        )


def test_deterministic_is_a_switch():
    assert not mx.deterministic()
    mx.set_deterministic(True)
    try:
        assert mx.deterministic()
        x, w = arrays(mx, X, W)
        on = mx.grad(lambda w: mx.conv2d(x, w).sum())(w)
        mx.eval(on)
    finally:
        mx.set_deterministic(False)
    off = mx.grad(lambda w: mx.conv2d(x, w).sum())(w)
    np.testing.assert_allclose(np.array(on), np.array(off), rtol=1e-5)
