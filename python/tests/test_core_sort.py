"""Sorting, positions in order, the largest, the middle, and binary search, against MLX."""

import numpy as np
import pytest
from oracle import DTYPES, check, expressions

import treadle.core as mx

EXPRESSIONS = """
m.sort(s); m.sort(s, None); m.argsort(s); m.sort(w); m.sort(w, 0); m.sort(w, axis=None); m.argsort(w, axis=0)
m.argsort(w, axis=None); m.sort(m.array(3.0)); m.sort(m.array(3.0), None); m.sort(m.zeros((0,)))
m.argsort(m.zeros((2, 0)))
m.sort(w, 2); m.sort(b); m.argsort(b); m.sort(c); m.argsort(c); m.sort(t, 1); m.argsort(t, -2); m.sort(w.T)
m.topk(w, 2); m.topk(w, 1, axis=0); m.topk(w, 0); m.topk(w, 4); m.topk(w, -1); m.topk(w, 2, None)
m.topk(m.array(1.0), 1); m.partition(w, 5); m.partition(w, -4); m.argpartition(w, 3); m.partition(m.array(1.0), 0)
m.median(x); m.median(w); m.median(w, axis=0); m.median(w, axis=1, keepdims=True)
m.median(w, axis=(0, 1), keepdims=True)
m.median(s); m.median(b); m.median(m.array([3, 1], m.float16)); m.median(m.array([1 + 1j])); m.median(m.zeros((0,)))
m.median(t, axis=(0, 2)); m.median(i); m.median(t, axis=[-1]); m.median(w, axis=3); m.median(i[:3])
m.searchsorted(o, m.array([0.0, 2, 3, 5, m.nan])); m.searchsorted(o, m.array([[0, 2], [3, 5]]), side="right")
m.searchsorted(o, m.array(2)); m.searchsorted(o, m.array(2), "x"); m.searchsorted(m.zeros((0,)), m.array([2]))
m.searchsorted(w, m.array([2])); m.searchsorted(m.array([1.0, m.nan]), m.array([m.nan, 2.0]), side="right")
m.searchsorted(m.array([1, 2], m.uint8), m.array([-1, 300])); m.searchsorted(o, m.array([2.0, 4.0]).astype(m.float16))
m.vmap(m.sort)(w); m.vmap(m.argsort, in_axes=1)(w); m.vmap(lambda v: m.searchsorted(o, v))(w)
m.grad(lambda x: (m.sort(x) * m.array([1.0, 2, 3, 4])).sum())(x); m.grad(lambda x: (m.topk(x, 2) ** 2).sum())(x)
m.grad(lambda x: m.median(x))(x); m.grad(lambda w: (m.sort(w, 0) ** 3).sum())(w)
m.grad(lambda x: m.argsort(x).sum() * x[0])(x)
m.jvp(m.sort, [x], [m.array([1.0, 2, 3, 4])])[1]
"""


@pytest.mark.parametrize("expression", expressions(EXPRESSIONS))
def test_expressions(expression):
    def run(m):
        names = {
            "m": m,
            "x": m.array([1.0, 3.0, 3.0, 2.0]),
            "s": m.array([3.0, m.nan, 1.0, -0.0, 0.0, m.inf, -m.inf, m.nan, 0.5]),
            "w": m.array([[1.0, 0.0, 3.0], [-2.0, 5.0, 0.5]]),
            "t": m.array(np.sin(np.arange(18, dtype=np.float32)).reshape(2, 3, 3)),
            "b": m.array([True, False, True, False]),
            "c": m.array([1 + 2j, 1 + 1j, 0 + 5j]),
            "i": m.array([5, -2, 7, 3]),
            "o": m.array([1.0, 2.0, 2.0, 4.0]),
        }
        return eval(expression, names)

    check(run)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (70,), (3, 40), (2, 5, 9), (150_000,)])
def test_dtypes_and_lengths(dtype, shape):
    v = np.random.default_rng(3).integers(0, 100, shape)
    for name in ("sort", "argsort"):
        check(lambda m, name=name: getattr(m, name)(m.array(v).astype(getattr(m, dtype))))


@pytest.mark.parametrize("k", [1, 7, 50, -1])
def test_partitions(k):
    v = mx.array(np.random.default_rng(5).normal(size=(4, 50)).astype(np.float32))
    kth = k % 50
    y, at = np.array(mx.partition(v, kth)), np.array(mx.argpartition(v, kth))
    np.testing.assert_array_equal(np.take_along_axis(np.array(v), at, -1), y)
    np.testing.assert_array_equal(y[:, kth], np.sort(np.array(v))[:, kth])
    assert (y[:, :kth] <= y[:, kth : kth + 1]).all() and (y[:, kth:] >= y[:, kth : kth + 1]).all()
