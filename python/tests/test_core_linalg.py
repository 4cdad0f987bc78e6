"""Linear algebra against MLX and NumPy: values, shapes, dtypes, errors, batches, strides, transforms."""

import numpy as np
import pytest
from oracle import as_numpy, assert_same, expressions, mlx, mx, name_of, outcome

r = np.random.default_rng(3)
SHAPES = [(1, 1), (2, 2), (4, 4), (3, 5), (5, 3), (2, 3, 3), (2, 1, 4, 2), (33, 33)]
SQUARE = [s for s in SHAPES if s[-1] == s[-2]]


def well_conditioned(shape):
    return r.normal(size=shape) * 0.3 + np.eye(shape[-2], shape[-1]) * (1.5 + np.arange(shape[-1]))


def same(call, a, scale=1.0, dtypes=("float32", "float64")):
    """call(m, array) gives the same on both libraries; `scale` units of tolerance, relative to the largest element."""
    for dtype in dtypes:
        ours = call(mx, mx.array(a, getattr(mx, dtype)))
        theirs = call(mlx, mlx.array(a, getattr(mlx, dtype)))
        single = not isinstance(theirs, tuple)
        assert isinstance(ours, tuple) != single
        for x, y in zip([ours] if single else ours, [theirs] if single else theirs, strict=True):
            assert name_of(x.dtype) == name_of(y.dtype)
            assert x.shape == y.shape
            epsilon = np.finfo(dtype).eps if name_of(y.dtype) in ("float32", "float64") else 1.2e-7
            x, y = as_numpy(x), as_numpy(y)
            np.testing.assert_allclose(x, y, rtol=0, atol=scale * epsilon * np.abs(y).max(initial=1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_factors_are_those_of_mlx(shape):
    a = well_conditioned(shape)
    same(lambda m, x: m.linalg.qr(x), a, 40)
    same(lambda m, x: m.linalg.lu(x), a, 40)
    same(lambda m, x: m.linalg.lu_factor(x), a, 40)
    same(lambda m, x: m.linalg.svd(x, compute_uv=False), a, 40)
    same(lambda m, x: m.linalg.svd(x, False), a, 40)
    same(lambda m, x: m.linalg.pinv(x), a, 100)
    # Vectors up to their signs; those of many values near each other are too sensitive to compare.
    k = min(shape[-2:])
    if k < 8:
        same(lambda m, x: (lambda u, s, vt: (s, u[..., :k] ** 2, vt[..., :k, :] ** 2))(*m.linalg.svd(x)), a, 100)
    u, _, vt = mx.linalg.svd(mx.array(a, mx.float32))
    assert u.shape == (*shape[:-1], shape[-2]) and vt.shape == (*shape[:-2], shape[-1], shape[-1])


@pytest.mark.parametrize("shape", SQUARE, ids=str)
def test_square_matrices(shape):
    a = well_conditioned(shape)
    spd = a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])
    same(lambda m, x: m.linalg.inv(x), a, 40)
    same(lambda m, x: m.linalg.tri_inv(x), a, 40)
    same(lambda m, x: m.linalg.tri_inv(x, upper=True), a, 40)
    for upper in (False, True):
        same(lambda m, x, u=upper: m.linalg.cholesky(x, u), spd, 40)
        same(lambda m, x, u=upper: m.linalg.cholesky_inv(x, upper=u), a, 100)
    for uplo in "LU":
        same(lambda m, x, c=uplo: m.linalg.eigvalsh(x, c), a, 40)
        if shape[-1] < 8:
            same(lambda m, x, c=uplo: (lambda w, v: (w, v**2))(*m.linalg.eigh(x, UPLO=c)), a, 200)
    same(lambda m, x: m.linalg.slogdet(x), a, 40)
    same(lambda m, x: m.linalg.solve(x, x[..., :1] * 2), a, 40)
    same(lambda m, x: m.linalg.solve_triangular(x, x), a, 40)
    same(lambda m, x: m.linalg.solve_triangular(x, x, upper=True), a, 40)
    if shape[-1] < 8:  # the determinant of the largest is not a float32; MLX's of float64 is one
        same(lambda m, x: m.linalg.det(x), a, 40, ["float32"])
    np.testing.assert_allclose(as_numpy(mx.linalg.det(mx.array(a, mx.float64))), np.linalg.det(a), rtol=1e-13)


@pytest.mark.parametrize("shape", SQUARE, ids=str)
def test_eigenvalues_of_any_matrix(shape):
    a = r.normal(size=shape)
    want = np.sort_complex(np.linalg.eigvals(a))
    for dtype in ("float32", "float64"):
        x = mx.array(a, getattr(mx, dtype))
        w, v = mx.linalg.eig(x)
        assert name_of(w.dtype) == name_of(v.dtype) == "complex64"
        np.testing.assert_allclose(np.sort_complex(as_numpy(w)), want, atol=2e-5)
        np.testing.assert_allclose(np.sort_complex(as_numpy(mx.linalg.eigvals(x))), want, atol=2e-5)
        v, w = as_numpy(v), as_numpy(w)
        np.testing.assert_allclose(a @ v, v * w[..., None, :], atol=2e-5)
        np.testing.assert_allclose(np.linalg.norm(v, axis=-2), np.ones(w.shape), atol=1e-6)


def test_complex_matrices():
    a = (r.normal(size=(2, 4, 4)) + 1j * r.normal(size=(2, 4, 4))).astype(np.complex64)
    h = a + np.conj(np.swapaxes(a, -1, -2))
    same(lambda m, x: m.linalg.svd(x, compute_uv=False), a, 40, ["complex64"])
    for uplo in "LU":
        same(lambda m, x, c=uplo: m.linalg.eigvalsh(x, c), h, 40, ["complex64"])
        w, v = mx.linalg.eigh(mx.array(h, mx.complex64), uplo)
        np.testing.assert_allclose(h @ as_numpy(v), as_numpy(v) * as_numpy(w)[..., None, :], atol=1e-5)
    w, v = mx.linalg.eig(mx.array(a, mx.complex64))
    np.testing.assert_allclose(a @ as_numpy(v), as_numpy(v) * as_numpy(w)[..., None, :], atol=1e-5)


CALLS = """
m.linalg.cross(x, y); m.linalg.cross(x[:, :2], y); m.linalg.cross(x, y[:, :2]); m.linalg.cross(x[:, :2], y[:, :2])
m.linalg.cross(x.T, y.T, axis=0); m.linalg.cross(x, y[0]); m.linalg.cross(i, i * 2 + 1); m.linalg.cross(x, i)
m.linalg.cross(x, y, axis=-2); m.linalg.cross(x, y, 5); m.linalg.cross(x[:, :1], y); m.linalg.norm(x, "nuc")
m.linalg.norm(t, "nuc", axis=(0, 2)); m.linalg.norm(t, "nuc", axis=(2, 0), keepdims=True); m.linalg.norm(x, 2)
m.linalg.norm(x, -2); m.linalg.norm(x, 2, keepdims=True); m.linalg.norm(t, 2, axis=[-1, 0])
m.linalg.norm(t, -2, axis=(1, 2), keepdims=True); m.linalg.norm(x, "fro"); m.linalg.norm(x, "f")
m.linalg.norm(x[0], 2); m.linalg.norm(x, "nuc", axis=0); m.linalg.norm(t, "nuc"); m.linalg.norm(x, "bad")
m.linalg.norm(x, 3); m.linalg.norm(x.astype(m.complex64), 2); m.linalg.norm(x.astype(m.complex64), "nuc")
m.linalg.norm(x, 1); m.linalg.norm(t, 2); m.linalg.qr(i); m.linalg.qr(x[0]); m.linalg.inv(x); m.linalg.det(x)
m.linalg.det(x[0]); m.linalg.slogdet(x); m.linalg.cholesky(x); m.linalg.cholesky(i); m.linalg.eigh(x); m.linalg.eig(i)
m.linalg.svd(i); m.linalg.svd(x[0]); m.linalg.lu(i); m.linalg.pinv(i); m.linalg.solve(x, y); m.linalg.solve(s, y[:3])
m.linalg.solve(s, y[0]); m.linalg.solve(s, y); m.linalg.solve(s, i[:3]); m.linalg.solve(i[:3], i[:3])
m.linalg.solve_triangular(s, y[:3], upper=True); m.linalg.solve_triangular(m.stack([s, s]), y[:3])
m.linalg.solve_triangular(m.stack([s, s]), y[0]); m.linalg.inv(s * 0); m.linalg.det(i[:3])
m.linalg.det(s.astype(m.float16)); m.linalg.det(s.astype(m.bfloat16)); m.linalg.det(s > 0); m.linalg.det(s * 0)
m.linalg.slogdet(s * 0); m.linalg.det(s.astype(m.complex64)); m.linalg.tri_inv(s * 0); m.linalg.det(m.zeros((0, 0)))
m.linalg.det(m.zeros((0, 3, 3))); m.linalg.svd(m.zeros((3, 0))); m.linalg.pinv(m.zeros((0, 3)))
m.linalg.qr(m.zeros((0, 3))); m.linalg.qr(m.zeros((2, 0, 0))); m.linalg.inv(m.zeros((0, 3, 3)))
m.linalg.eigvalsh(m.zeros((2, 0, 0))); m.linalg.solve(s, m.zeros((3, 0))); m.linalg.cholesky(m.zeros((0, 0)))
m.linalg.eig(m.zeros((0, 3, 3)))
"""


@pytest.mark.parametrize("expression", expressions(CALLS))
def test_calls_give_what_mlx_gives(expression):
    a, b, c = r.normal(size=(4, 3)), r.normal(size=(4, 3)), r.normal(size=(2, 3, 4))

    def call(m):
        f = [m.array(v.astype(np.float32)) for v in (a, b, c, well_conditioned_3)]
        names = dict(zip("xyts", f, strict=True))
        return eval(expression, {"m": m, "i": m.arange(12).reshape(4, 3) % 5, **names})

    well_conditioned_3 = well_conditioned((3, 3))
    assert_same(outcome(call, mx), outcome(call, mlx), scale=8)


def test_solve_broadcasts_and_takes_strided_operands():
    a, b = well_conditioned((2, 1, 3, 3)), r.normal(size=(4, 3, 2))
    x, y = mx.array(a, mx.float32), mx.array(b, mx.float32)
    got = mx.linalg.solve(x, y)
    assert got.shape == (2, 4, 3, 2)
    np.testing.assert_allclose(as_numpy(got), np.linalg.solve(a, b), atol=3e-6)
    got = mx.linalg.solve(x.swapaxes(-1, -2), y[:, ::-1])
    np.testing.assert_allclose(as_numpy(got), np.linalg.solve(np.swapaxes(a, -1, -2), b[:, ::-1]), atol=3e-6)
    got = mx.linalg.solve_triangular(x.swapaxes(-1, -2), y[..., ::-1], upper=True)
    want = np.linalg.solve(np.triu(np.swapaxes(a, -1, -2)), b[..., ::-1])
    np.testing.assert_allclose(as_numpy(got), want, atol=3e-6)


def test_vmap_and_compile():
    a = mx.array(well_conditioned((3, 4, 4)), mx.float32)
    q, u = mx.vmap(lambda x: mx.linalg.qr(x), in_axes=1)(mx.swapaxes(a, 0, 1))
    want = mx.linalg.qr(a)
    assert mx.array_equal(q, want[0]) and mx.array_equal(u, want[1])
    f = mx.compile(lambda x: mx.linalg.svd(x)[1].sum() + mx.linalg.det(x).sum())
    assert mx.allclose(f(a), mx.linalg.svd(a, False).sum() + mx.linalg.det(a).sum())
    solved = mx.vmap(mx.linalg.solve, in_axes=(None, 1))(a[0], mx.array(r.normal(size=(4, 3)), mx.float32))
    assert solved.shape == (3, 4)


def slope(f, a, direction, step=1e-6):
    return (f(a + step * direction) - f(a - step * direction)) / (2 * step)


def first_vectors(u, s, vt):
    """Those behind them may turn among themselves."""
    return [u[:, : s.size], s, vt[: s.size]]


# Of vectors only what does not depend on their phase.
DECOMPOSED = {
    "eigvalsh": lambda of, x: [of.eigvalsh(x + x.mT.conj())] if of is np.linalg else [of.eigvalsh(x + mx.conj(x.T))],
    "eigh": lambda of, x: list(of.eigh(x + x.conj().T)) if of is np.linalg else list(of.eigh(x + mx.conj(x.T))),
    "svdvals": lambda of, x: [of.svd(x, compute_uv=False) if of is np.linalg else of.svd(x, False)],
    "svd": lambda of, x: first_vectors(*of.svd(x)),
    "eigvals": lambda of, x: [of.eigvals(x)],
    "eig": lambda of, x: list(of.eig(x)),
}


# Real symmetric matrices and singular values are rows of tests/cases/linalg.h.
CASES = [(name, "complex64", (4, 4)) for name in DECOMPOSED] + [
    (name, "float32", (4, 4)) for name in ("eig", "eigvals")
]
CASES += [(name, "complex64", shape) for name in ("svd", "svdvals") for shape in ((5, 3), (3, 5))]


@pytest.mark.parametrize("name, dtype, shape", CASES)
def test_derivatives_of_complex_decompositions(name, dtype, shape):
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=64) for _ in range(3)]

    def number(of, m, x):
        """sum over values of w |value + 2|^2, of vectors of w |element|^2, in the order of the values."""
        parts = DECOMPOSED[name](of, x)
        if name in ("eig", "eigvals"):  # in no order
            order = np.argsort(np.abs(np.array(parts[0]) + 2j))
            parts = [p[..., m.array(order)] for p in parts]
        total = 0
        for part, w in zip(parts, weights, strict=False):
            shift = part + 2 if part.ndim == 1 else part
            w = w[: part.size].reshape(part.shape)
            w = w if m is np else m.array(w, m.float32)
            total = total + (w * (m.real(shift) ** 2 + m.imag(shift) ** 2)).sum()
        return total

    def draw():
        z = rng.normal(size=shape)
        return z + 1j * rng.normal(size=shape) if dtype == "complex64" else z

    a, t = draw(), draw()
    x, dx = (mx.array(v.astype(dtype), getattr(mx, dtype)) for v in (a, t))
    want = slope(lambda v: number(np.linalg, np, v), a, t)
    order = np.abs(want) + 1

    def f(v):
        return number(mx.linalg, mx, v)

    got = mx.jvp(f, [x], [dx])[1][0].item()
    assert abs(got - want) < 3e-4 * order
    g = np.array(mx.grad(f)(x))
    assert abs(np.real(np.sum(np.conj(g) * t)) - want) < 3e-4 * order
