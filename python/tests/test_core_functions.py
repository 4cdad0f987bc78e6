"""Functions made of other operations, against MLX."""

import numpy as np
import pytest
from oracle import DTYPES, check, expressions, values

import treadle.core as mx

NUMBERS = """
m.isnan(s); m.isinf(s); m.isposinf(s); m.isneginf(s); m.isfinite(s); m.isnan(i); m.isfinite(i); m.isinf(b)
m.isnan(1.0); m.isnan(c); m.isinf(c); m.isfinite(c); m.clip(x, -1, 1); m.clip(x, None, 0.5); m.clip(x, 0.5, None)
m.clip(x, None, None); m.clip(x, 1, -1); m.clip(i, 2, 4); m.clip(x, m.array([0.0, 1.0, 2.0, 3.0]), a_max=2)
m.clip(i, 1.5, 2.5); m.clip(x, a_min=m.array(0), a_max=None); m.clip(s, 0, 1); m.round(x); m.round(x, 1)
m.round(x, decimals=2); x.round(); x.round(1); m.round(i, -1); m.round(m.array([15, 25, -25]), -1)
m.round(m.array([0.5, 1.5, 2.5, -0.5])); m.round(m.array([1.005, 2.675], m.float16), 1); m.round(i, 2)
m.round(x * 100, -1); m.trunc(x); m.trunc(-x); m.trunc(i); m.degrees(x); m.radians(x); m.degrees(180); m.positive(x)
m.divmod(i, 2); m.divmod(x, 0.3); m.divmod(7, 2); m.divmod(i, m.array([2, -2, 3, -3])); m.divmod(b, b)
m.logical_xor(b, True); m.logical_xor(x, 0); m.logical_xor(m.array([True, False]), m.array([True, True]))
m.logical_xor(1, 2); m.nan_to_num(s); m.nan_to_num(s, nan=5.0); m.nan_to_num(s, 1.0, posinf=2.0, neginf=-2.0)
m.nan_to_num(i); m.nan_to_num(s.astype(m.float16)); m.isclose(x, x + 1e-9); m.isclose(x, x + 1e-2, atol=0.1)
m.isclose(s, s); m.isclose(s, s, equal_nan=True); m.isclose(i, i.astype(m.float32)); m.isclose(x, y); m.allclose(x, x)
m.allclose(x, x + 1); m.allclose(s, s); m.allclose(s, s, equal_nan=True); m.allclose(x, x * 1.001, 1e-2)
m.array_equal(x, x); m.array_equal(x, x + 1); m.array_equal(x, i); m.array_equal(x, y); m.array_equal(s, s)
m.array_equal(s, s, equal_nan=True); m.array_equal(x, 1.0); m.array_equal(i, i.astype(m.int64))
"""

REDUCTIONS = """
m.all(x > 0); m.all(x > -9); m.all(x, axis=0); m.all(w, axis=1); m.all(w, axis=(0, 1), keepdims=True); w.all()
w.any(axis=0); m.any(w); m.any(x > 9); m.any(w == 0, 1, True); m.all(m.zeros((0,))); m.any(m.zeros((0, 2)), axis=0)
m.all(b); m.any(~b); m.std(x); m.std(w, axis=0); m.std(w, 1, True); m.std(w, ddof=1); w.std(axis=1, ddof=1); m.std(i)
m.std(w, axis=(0, 1)); m.count_nonzero(w); m.count_nonzero(w, axis=0); m.count_nonzero(w, axis=1, keepdims=True)
m.minmax(w); m.minmax(w, axis=1); m.minmax(w, 0, True); m.all(w, axis=4); m.std(x, axis=2)
"""

ARRANGEMENTS = """
m.linspace(0, 1); m.linspace(0, 1, 5); m.linspace(-2, 3, num=6, dtype=m.int32); m.linspace(0, 1, 0)
m.linspace(3, 5, 1); m.linspace(0, 10, 4, endpoint=False); m.linspace(1, 0, 3, dtype=m.float16); m.linspace(0, 1, -1)
m.tri(3); m.tri(2, 4); m.tri(3, 3, 1, m.int32); m.tri(3, k=-1); m.tril(w); m.tril(w, 1); m.triu(w); m.triu(w, k=-1)
m.tril(x); m.tril(t); m.triu(t, 2); m.diag(x); m.diag(x, 1); m.diag(x, -2); m.diag(w); m.diag(w, 1); m.diag(w, k=-1)
m.diag(t); x.diag(); m.diagonal(w); m.diagonal(t); m.diagonal(t, 1, 1, 2); m.diagonal(t, offset=-1, axis1=0, axis2=2)
m.diagonal(w, 5); w.diagonal(); m.diagonal(x); m.diagonal(w, 0, 0, 0); m.trace(w); m.trace(w, 1); m.trace(t, 0, 1, 2)
m.trace(w, dtype=m.float16); m.trace(i); m.flip(x); m.flip(w); m.flip(w, 0); m.flip(t, axis=(0, -1)); m.flip(w, 7)
m.roll(x, 1); m.roll(x, -6); m.roll(w, 2); m.roll(w, 1, 0); m.roll(w, (1, 2), (0, 1)); m.roll(w, 1, (0, 1))
m.roll(x, 0); m.roll(x, (1, 1)); m.roll(w, 1, 9); m.repeat(x, 2); m.repeat(w, 2); m.repeat(w, 3, axis=0)
m.repeat(w, 2, axis=-1); m.repeat(x, 0); m.repeat(x, 1); m.repeat(w, 2, 5); m.tile(x, 2); m.tile(x, (2, 2))
m.tile(w, (1, 2)); m.tile(w, [2]); m.tile(w, (2, 1, 1)); m.tile(m.array(1), (2, 2)); m.tile(x, ()); m.unstack(w)
m.unstack(w, axis=1); m.unstack(t, axis=-1); m.meshgrid(x, i); m.meshgrid(x, i, indexing="ij")
m.meshgrid(x, i[:2], sparse=True); m.meshgrid(x); m.meshgrid(x, i, x[:1]); m.meshgrid(x, i, indexing="no")
m.atleast_1d(m.array(1)); m.atleast_1d(x); m.atleast_2d(m.array(1), x, w); m.atleast_3d(m.array(1), x, w, t)
m.atleast_2d(t)
"""

PRODUCTS = """
m.outer(x, x); m.outer(x, i); m.outer(w, x); m.outer(m.array(2.0), x); m.inner(x, x); m.inner(w, w); m.inner(w, w[0])
m.inner(m.array(2.0), x); m.inner(x, x[:2]); m.vecdot(x, x); m.vecdot(w, w); m.vecdot(w, w, axis=0); m.vecdot(c, c)
m.tensordot(t, t, 3); m.tensordot(w, w.T, 1); m.tensordot(t, t, ([0, 1], [0, 1])); m.tensordot(w, w, axes=[[1], [1]])
m.tensordot(w, w, 0); m.tensordot(w, w, 3); m.tensordot(w, w, ([0], [1])); m.tensordot(t, w, [[1, 2], [0, 1]])
m.linalg.norm(x); m.linalg.norm(w); m.linalg.norm(t); m.linalg.norm(w, axis=0)
m.linalg.norm(w, axis=(0, 1), keepdims=True); m.linalg.norm(x, 1); m.linalg.norm(x, ord=2); m.linalg.norm(x, 3)
m.linalg.norm(x, m.inf); m.linalg.norm(x, -m.inf); m.linalg.norm(x, 0); m.linalg.norm(x, 0.5); m.linalg.norm(w, 1)
m.linalg.norm(w, -1); m.linalg.norm(w, m.inf); m.linalg.norm(w, -m.inf, keepdims=True); m.linalg.norm(w, "fro")
m.linalg.norm(w, "fro", axis=[0, 1]); m.linalg.norm(w, 2, axis=1); m.linalg.norm(t, 1, axis=(1, 2))
m.linalg.norm(t, "fro", axis=(0, 2), keepdims=True); m.linalg.norm(i); m.linalg.norm(c); m.linalg.norm(x, "fro")
m.linalg.norm(x, "no"); m.linalg.norm(t, 1); m.linalg.norm(w, 3); m.linalg.norm(x, 1, axis=(0, 1)); m.matrix_norm(w)
"""

BYTES = """
m.view(x, m.int32); m.view(i.astype(m.int64), m.int16); m.view(m.array([1, 2, 3], m.int16), m.int32)
m.view(m.array(1.0), m.int16); m.view(m.array(1.0), m.int32); m.view(1.0, m.int32); i.view(m.float32)
m.array([1, 0, 1], m.int8).view(m.bool_); m.view(w, m.float32); m.view(w.T, m.int16); m.view(w.T, m.uint32)
m.view(w[:, :2], m.complex64); m.view(w[1:, 1:], m.complex64); m.view(m.arange(9, dtype=m.uint8)[1:], m.uint16)
m.view(m.zeros((2, 0)), m.complex64); m.view(b, m.uint8); m.view(x, m.bfloat16); c.view(m.float32); m.real(c)
m.imag(c); m.real(i); m.imag(i); m.imag(x); c.real; c.imag; x.real; m.real(2.0); m.imag(2.0)
m.as_strided(w); m.as_strided(w, (2, 2), (1, 3), 1); m.as_strided(w, (2, 2)); m.as_strided(w.T, (6,), (1,))
m.as_strided(x, (2, 3), (0, 1)); m.as_strided(x, (3,), (-1,), 3); m.as_strided(x, shape=(0, 9))
m.grad(lambda x: m.as_strided(x, (3, 2), (1, 1)).sum())(x)
m.vmap(lambda x: m.view(x, m.int16))(x); m.vmap(lambda x: m.view(x, m.int16), in_axes=1)(w); m.bartlett(6)
m.bartlett(1); m.bartlett(0); m.bartlett(-2); m.blackman(7); m.hamming(6); m.hamming(1); m.hanning(5)
m.kron(x, w); m.kron(w, x); m.kron(w, w); m.kron(m.array(2), x); m.kron(t, x); m.diff(x); m.diff(w, 2)
m.diff(w, axis=0); m.diff(b); m.diff(w, 0); m.diff(w, -1); m.diff(x, 9); m.diff(m.array(1.0))
m.diff(m.array([1, 3, 2], m.uint8))
"""

PADS = """
m.pad(x, 2, "edge"); m.pad(w, ((0, 2), (1, 0)), mode="edge"); m.pad(x, 2, "reflect"); m.pad(x, 3, "symmetric")
m.pad(x, 11, "reflect"); m.pad(x, (9, 14), "symmetric"); m.pad(w, 1, "reflect"); m.pad(t, (1, 2), "symmetric")
m.pad(x[:1], 2, "reflect"); m.pad(x[:1], 2, "symmetric"); m.pad(x[:0], 2, "reflect"); m.pad(x[:0], 2, "edge")
m.pad(x, 0, "reflect"); m.pad(m.array(1), 2, "symmetric"); m.pad(x, -1, "edge"); m.pad(x, 1, "no")
m.grad(lambda x: (m.pad(x, 5, "reflect") * m.arange(14)).sum())(x)
m.grad(lambda x: (m.pad(x, 2, "edge") * m.arange(8)).sum())(x)
"""

CONVOLUTIONS = """
m.convolve(x, x); m.convolve(x, x[:3], "same"); m.convolve(x[:2], x, "valid"); m.convolve(x, x[:2], mode="same")
m.convolve(x, x, "no"); m.convolve(x[:0], x); m.convolve(w, x)
"""

ALL = NUMBERS + REDUCTIONS + ARRANGEMENTS + PRODUCTS + BYTES + PADS + CONVOLUTIONS


def run(m, expression):
    x = m.array([-1.25, 0.37, 2.5, 0.75])
    names = {
        "m": m,
        "x": x,
        "y": m.zeros((3,)),
        "i": m.array([1, -2, 3, 14]),
        "b": m.array([True, False, True, True]),
        "s": m.array([m.nan, m.inf, -m.inf, 0.5]),
        "c": m.array([1 + 2j, 3 - 1j]),
        "w": m.array([[1.0, 0.0, 3.0], [-2.0, 5.0, 0.5]]),
        "t": m.array(np.sin(np.arange(18, dtype=np.float32)).reshape(2, 3, 3)),
    }
    return eval(expression, names)


@pytest.mark.parametrize("expression", expressions(ALL))
def test_functions(expression):
    check(lambda m: run(m, expression), scale=8)


@pytest.mark.parametrize("name", ["all", "any", "isnan", "isinf", "isfinite", "trunc", "round", "std"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(name, dtype):
    if dtype == "complex64" and name in ("trunc", "round", "std"):
        pytest.skip("of complex numbers MLX has no such function")
    check(lambda m: getattr(m, name)(m.array(values(dtype), getattr(m, dtype))))


# On x, 2 x 2, of every dtype. Products of integer matrices are an extension of Treadle.
ALL_DTYPES = """
m.all(x); m.any(x, 0); m.std(x); m.var(x, 1); m.clip(x, 1, 2); m.clip(x, 0.5, None); m.repeat(x, 2); m.tile(x, 2)
m.roll(x, 1); m.tri(3, dtype=x.dtype); m.tril(x); m.triu(x, 1); m.diag(x); m.diag(x[0], 1); m.diagonal(x); m.trace(x)
m.outer(x, x); m.kron(x, x); m.isnan(x); m.isinf(x); m.isfinite(x); m.isposinf(x); m.isneginf(x); m.nan_to_num(x)
m.round(x); m.round(x, 1); m.degrees(x); m.radians(x); m.divmod(x, x); m.allclose(x, x); m.isclose(x, x + x)
m.array_equal(x, x); m.view(x, m.uint8); m.as_strided(x, (2,), (1,)); m.identity(3, x.dtype); m.flatten(x); m.diff(x)
m.real(x); m.imag(x); m.median(x); m.median(x, 1); m.topk(x, 1); m.count_nonzero(x); m.minmax(x); m.logical_xor(x, x)
m.searchsorted(m.sort(x[0]), x); m.trunc(x); m.positive(x); m.linspace(0, 3, 4, dtype=x.dtype); m.meshgrid(x[0], x[1])
m.atleast_3d(x); m.flip(x); m.unstack(x); m.vecdot(x, x); m.linalg.norm(x); m.linalg.norm(x, 1); m.linalg.norm(x[0], 3)
m.linalg.norm(x[0], 0); m.pad(x, 1, "reflect"); m.cumsum(x, dtype=m.float32); m.cumprod(x, 0); m.unflatten(x, 1, (2, 1))
m.moveaxis(x, 0, 1); m.swapaxes(x, 0, 1); m.broadcast_arrays(x, x[0]); x.round(); x.any(); x.diag(); x.real; x.imag
"""


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_function_of_every_dtype(dtype):
    flat = values(dtype)
    for expression in expressions(ALL_DTYPES):
        try:
            check(
                lambda m, e=expression: eval(e, {"m": m, "x": m.array(flat, getattr(m, dtype)).reshape(2, 2)}), scale=8
            )
        except AssertionError as error:
            raise AssertionError(f"{expression}: {error}") from error


def test_gradients_pass_through():
    for f in (
        lambda m, x: m.clip(x, -0.5, 1.0).sum(),
        lambda m, x: m.linalg.norm(x),
        lambda m, x: m.linalg.norm(x, 3),
        lambda m, x: m.std(x),
        lambda m, x: (m.tril(x[:, None] * x) * x).sum(),
        lambda m, x: (m.diag(x, 1) ** 2).sum(),
        lambda m, x: (m.repeat(x, 2) * m.tile(x, 2)).sum(),
        lambda m, x: (m.roll(x, 1) * m.flip(x)).sum(),
        lambda m, x: m.tensordot(x, x, 1),
        lambda m, x: m.trace(m.outer(x, x * x)),
        lambda m, x: m.nan_to_num(x).sum(),
        lambda m, x: m.imag(m.array([1 - 2j, 2j, 1, 3]) * x).sum(),
        lambda m, x: (m.kron(x, x) * m.arange(16)).sum(),
        lambda m, x: (m.diff(x, 2) ** 2).sum(),
        lambda m, x: (m.convolve(x, x[:3]) ** 2).sum(),
    ):
        check(lambda m, f=f: m.grad(lambda x: f(m, x))(m.array([-1.25, 0.37, 2.5, 0.75])), scale=8)


def test_gradients_pass_between_pairs_and_complex_numbers():
    # (a + bi)(1 - 2i) has the real part a + 2b, (a + bi) 2i has -2b. MLX has no such derivative.
    f = mx.grad(lambda x: mx.real(mx.view(x, mx.complex64) * mx.array([1 - 2j, 2j])).sum())
    assert f(mx.array([-1.25, 0.37, 2.5, 0.75])).tolist() == [1, 2, 0, -2]
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda x: mx.view(x, mx.float16).sum())(mx.ones(2))
