"""Products of chosen matrices, blocks and segments, fp8, the Hadamard transform, the gated delta rule: against MLX."""

import itertools

import numpy as np
import pytest
from oracle import check

import treadle.core as mx

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


A, B = normal(3, 4, 5), normal(6, 5, 7)
GATHERED = [
    "A, B, m.array([0, 1]), m.array([[2], [3]])",
    "A, B, rhs_indices=m.array([0, 5, 2])",
    "A, B, lhs_indices=m.array([2, 2, 0, 1, 1, 0])",
    "A, B[:3]",
    "A, B, rhs_indices=m.array([0, 0, 4]), sorted_indices=True",
    "A, B, rhs_indices=m.array([0, 1, 2]).astype(m.uint32)",
    "A, B, rhs_indices=m.array([0.0, 1, 2])",
    "A.astype(m.int32), B.astype(m.int32), rhs_indices=m.array([0, 1, 2])",
    "A.astype(m.float16), B, rhs_indices=m.array([0, 1, 2])",
    "A.astype(m.complex64), B, rhs_indices=m.array([0, 1, 2])",
    "A[0, 0], B, rhs_indices=m.array([0, 1, 2])",
    "A, B[0, :, 0], lhs_indices=m.array([0, 1, 2])",
    "A[0], B, rhs_indices=m.array([0, 1, 2])",
    "A, B[:, :4]",
]


@pytest.mark.parametrize("text", GATHERED)
def test_gather_mm(text):
    scale = 4 if "float16" not in text else 300  # MLX's operands there are of another dtype
    check(lambda m: eval(f"m.gather_mm({text})", {"m": m, "A": m.array(A), "B": m.array(B)}), scale)


def test_gradients_of_gather_mm():
    def loss(m):
        left, right = m.array([0, 1, 1]), m.array([[2], [3]])
        return lambda a, b: (m.gather_mm(a, b, left, right) ** 2).sum()

    check(lambda m: m.grad(loss(m), argnums=(0, 1))(m.array(A), m.array(B)), 16)


def test_gather_mm_refuses_indices_outside():
    with pytest.raises(IndexError):
        mx.eval(mx.gather_mm(mx.array(A), mx.array(B), rhs_indices=mx.array([0, 1, 6])))


C, D = normal(100, 70), normal(70, 130)
CHOICES = {
    "mask_out": RNG.random((2, 3)) > 0.4,
    "mask_lhs": RNG.random((2, 2)) > 0.4,
    "mask_rhs": RNG.random((2, 3)) > 0.4,
}
FACTORS = {k: (v * (1 + RNG.random(v.shape))).astype(np.float32) for k, v in CHOICES.items()}


@pytest.mark.parametrize("kinds", list(itertools.product(("none", "bool", "numbers"), repeat=3)), ids=" ".join)
def test_block_masked_mm(kinds):
    masks = {"bool": CHOICES, "numbers": FACTORS}
    chosen = {k: masks[kind][k] for k, kind in zip(CHOICES, kinds, strict=True) if kind != "none"}
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 64, **{k: m.array(v) for k, v in chosen.items()}), 64)


def test_block_masked_mm_in_batches_and_its_errors():
    batch = np.stack([C, -C])
    check(lambda m: m.block_masked_mm(m.array(batch), m.array(D)[None, None], 64, m.ones((1, 2, 2, 3), m.bool_)), 64)
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 32, m.array(C[:4, :5] > 0)), 64)
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 64, m.ones((1, 3)) * 2), 64)
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 16, m.ones((2, 3))))
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 64, m.ones((3, 3))))
    check(lambda m: m.block_masked_mm(m.array(C), m.array(D), 64, m.ones((5, 2, 3))))
    check(lambda m: m.block_masked_mm(m.array(C[0]), m.array(D)), 64)


def test_gradients_of_block_masked_mm():
    def loss(m):
        return lambda a, b: m.block_masked_mm(a, b, 64, **{k: m.array(v) for k, v in FACTORS.items()}).sum()

    check(lambda m: m.grad(loss(m), argnums=(0, 1))(m.array(C), m.array(D)), 64)


@pytest.mark.parametrize(
    "segments", [[[0, 10], [10, 70], [5, 5]], [[[0, 70]], [[3, 4]]], [[10, 0]], [0, 10, 3], [[0.0, 0.1]]], ids=str
)
def test_segmented_mm(segments):
    check(lambda m: m.segmented_mm(m.array(C), m.array(D), m.array(segments)), 64)


def test_segmented_mm_of_wide_and_narrow_matrices_and_its_errors():
    check(lambda m: m.segmented_mm(m.array(C).T, m.array(C[:, :8]), m.array([[0, 10], [10, 100]]).astype(m.uint32)), 64)
    check(lambda m: m.segmented_mm(m.array(C)[None], m.array(D), m.array([[0, 10]])))
    check(lambda m: m.segmented_mm(m.array(C).astype(m.int32), m.array(D).astype(m.int32), m.array([[0, 10]])))
    check(lambda m: m.segmented_mm(m.array(C), m.array(D), m.array([[0, 10], [10, 70]]), stream=m.cpu), 64)
    # MLX has no gradient here.
    got = mx.grad(lambda a: mx.segmented_mm(a, mx.array(D), mx.array([[1, 9]])).sum())(mx.array(C))
    expected = mx.grad(lambda a: (a[:, 1:9] @ mx.array(D)[1:9]).sum())(mx.array(C))
    assert mx.allclose(got, expected, rtol=1e-5)


def test_fp8_of_every_half_and_every_byte():
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    check(lambda m: m.to_fp8(m.array(halves)))
    for dtype in ("bfloat16", "float32", "float16"):
        check(lambda m, d=dtype: m.from_fp8(m.arange(256).astype(m.uint8), getattr(m, d)))
    check(lambda m: m.from_fp8(m.array([1, 200], m.uint8)))
    finer = np.array([448.5, 464, 1e30, 2**-10, 2**-10 * 1.0001, 3 * 2**-10, 2**-11, 1e-20, 1e-45, -1e-45, 0.0624999])
    check(lambda m: m.to_fp8(m.array(finer.astype(np.float32))))
    check(lambda m: m.to_fp8(m.array([1, 2])))
    check(lambda m: m.from_fp8(m.array([1, 2])))
    check(lambda m: m.from_fp8(m.array([1, 2], m.uint8), m.int32))


@pytest.mark.parametrize("n", [1, 2, 8, 12, 20, 28, 24, 40, 56, 64, 96, 256, 512, 4096, 8192, 12 * 64, 28 * 128])
def test_hadamard_transform(n):
    x = normal(3, n)
    check(lambda m: m.hadamard_transform(m.array(x)), 8)
    check(lambda m: m.hadamard_transform(m.array(x), scale=0.5), 8 * n**0.5)


def test_hadamard_transform_of_other_dtypes_and_wrong_lengths():
    for x in (np.float32(3), normal(8).astype(np.float16), np.arange(8), normal(2, 3), normal(2, 11)):
        check(lambda m, x=x: m.hadamard_transform(m.array(x)), 4)
    check(lambda m: m.grad(lambda x: (m.hadamard_transform(x) ** 3).sum())(m.array(normal(2, 24) * 0 + 1)), 64)
    x = mx.array(normal(4, 64))
    assert mx.allclose(mx.hadamard_transform(mx.hadamard_transform(x)), x, atol=1e-5)


BATCH, TIME, HK, HV, DK, DV = 2, 5, 2, 4, 3, 8
DELTA = {
    "q": normal(BATCH, TIME, HK, DK),
    "k": normal(BATCH, TIME, HK, DK) * 0.3,
    "v": normal(BATCH, TIME, HV, DV),
    "gamma": RNG.random((BATCH, TIME, HV)).astype(np.float32),
    "beta": RNG.random((BATCH, TIME, HV)).astype(np.float32),
    "initial_state": normal(BATCH, HV, DV, DK),
    "mask": RNG.random((BATCH, TIME)) > 0.4,
}


def delta(m, *without, dtype=None, **changed):
    arguments = {k: m.array(changed.get(k, v)) for k, v in DELTA.items() if k not in without}
    if dtype:
        arguments = {k: v.astype(getattr(m, dtype)) if k != "mask" else v for k, v in arguments.items()}
    return m.fast.gated_delta_update(**arguments)


def test_gated_delta_update():
    check(lambda m: delta(m, "initial_state", "mask"), 2)
    check(lambda m: delta(m, "mask"), 2)
    check(lambda m: delta(m), 2)
    check(lambda m: delta(m, dtype="float16"), 4)
    columns = RNG.random((BATCH, TIME, HV, DK)).astype(np.float32)
    check(lambda m: delta(m, gamma=columns), 2)
    with pytest.raises(ValueError, match="beta has shape"):
        delta(mx, beta=DELTA["beta"][:, :2])


def test_gradients_of_gated_delta_update():
    def gradients(m):
        def loss(*a):
            return sum((y**2).sum() for y in m.fast.gated_delta_update(*a))

        return m.grad(loss, argnums=(0, 1, 2, 3, 4, 5))(*[m.array(v) for v in list(DELTA.values())[:6]])

    check(gradients, 32)


def gathered(a, b, i, j):
    return mx.matmul(mx.take(a, i, axis=0), mx.take(b, j, axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_products_of_chosen_matrices_are_those_of_copies(dtype, rows):
    rng = np.random.default_rng(rows)
    dtype = getattr(mx, dtype)
    a = mx.array(rng.standard_normal((9, rows, 70)).astype(np.float32)).astype(dtype)
    b = mx.array(rng.standard_normal((5, 70, 33)).astype(np.float32)).astype(dtype)
    w = mx.array(rng.standard_normal((12, rows, 33)).astype(np.float32)).astype(dtype)
    i = mx.array([0, 1, 2, 3, 3, -1, 4, 5, 6, 7, 7, 0])
    j = mx.array([0, 0, 0, 0, 1, 1, 3, 3, 3, 3, -1, 0])
    tolerance = {mx.float16: 2e-2, mx.bfloat16: 2e-1, mx.float64: 1e-12}.get(dtype, 2e-5)

    def both(product):
        def loss(x, y):
            return (product(x, y, i, j) * w).sum()

        return [product(a, b, i, j), *mx.grad(loss, argnums=(0, 1))(a, b)]

    for got, want in zip(both(mx.gather_mm), both(gathered), strict=True):
        assert got.dtype == dtype
        got, want = (np.array(v.astype(mx.float64)) for v in (got, want))
        assert np.abs(got - want).max() < tolerance * max(1, np.abs(want).max() / 10)


def test_what_is_chosen_is_not_copied():
    """The peak above inputs and results, in multiples of them."""
    i, j = mx.array([0, 1, 2, 3] * 8), mx.array([3, 2, 1, 0] * 8)
    a, b = mx.array(normal(4, 128, 256)), mx.array(normal(4, 256, 128))
    segments = mx.array([[k * 512, (k + 1) * 512] for k in range(8)])
    x, y = mx.array(normal(128, 4096)), mx.array(normal(4096, 64))
    loss = mx.array(normal(32, 128, 128))
    calls = [
        (lambda: [mx.gather_mm(a, b, i, j)], a.nbytes + b.nbytes),
        (lambda: [mx.segmented_mm(x, y, segments)], x.nbytes + y.nbytes),
        (lambda: mx.vjp(lambda a, b: mx.gather_mm(a, b, i, j), [a, b], [loss])[1], a.nbytes + b.nbytes + loss.nbytes),
    ]
    for call, size in calls:
        mx.eval(i, j, a, b, x, y, segments, loss)
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        out = call()
        mx.eval(out)
        peak = mx.get_peak_memory() - before
        assert peak < 0.1 * size + 1.1 * sum(v.nbytes for v in out)
