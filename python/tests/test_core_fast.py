"""treadle.core.fast against mlx.core.fast: values and gradients, over dtypes and options."""

import mlx.core as mlx
import numpy as np
import pytest
from oracle import check

import treadle.core as mx

HALVES = ["float32", "float16", "bfloat16"]


def draw(m, dtype, *shape, seed=0):
    """The same numbers for both libraries, rounded to a dtype."""
    x = np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)
    return m.array(x).astype(getattr(m, dtype))


def weighted(m, y):
    """One number that depends on each element in its own way."""
    w = np.random.default_rng(y.size).uniform(0.5, 1.5, size=y.shape).astype(np.float32)
    return (y.astype(m.float32) * m.array(w)).sum()


def check_with_gradient(f, dtype, *shapes, fixed=(), scale=1.0):
    """f(m, *arrays) has the same value and gradients in both libraries. None is passed on, and so is `fixed`."""
    known = [i for i, s in enumerate(shapes) if s is not None]

    def arrays(m):
        return [None if s is None else draw(m, dtype, *s, seed=i) for i, s in enumerate(shapes)]

    check(lambda m: f(m, *arrays(m), *fixed), scale)

    def gradient(m):
        x = arrays(m)
        return m.grad(lambda *a: weighted(m, f(m, *a, *fixed)), argnums=known)(*x)

    check(gradient, 4 * scale)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("weight", [None, (16,)])
@pytest.mark.parametrize("shape", [(16,), (5, 16), (2, 3, 16)])
def test_rms_norm(shape, weight, dtype):
    check_with_gradient(lambda m, x, w: m.fast.rms_norm(x, w, 1e-5), dtype, shape, weight)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("bias", [None, (16,)])
@pytest.mark.parametrize("weight", [None, (16,)])
@pytest.mark.parametrize("shape", [(16,), (5, 16), (2, 3, 16)])
def test_layer_norm(shape, weight, bias, dtype):
    check_with_gradient(lambda m, x, w, b: m.fast.layer_norm(x, w, b, 1e-5), dtype, shape, weight, bias)


@pytest.mark.parametrize("weight", HALVES)
@pytest.mark.parametrize("dtype", [*HALVES, "int32"])
def test_norms_promote(dtype, weight):
    check(lambda m: m.fast.rms_norm(draw(m, "float32", 3, 8).astype(getattr(m, dtype)), draw(m, weight, 8), 1e-2))
    check(lambda m: m.fast.layer_norm(draw(m, dtype, 3, 8), None, draw(m, weight, 8), 1e-2))
    check(lambda m: m.fast.layer_norm(draw(m, dtype, 3, 8), draw(m, "float16", 8), draw(m, weight, 8), 1e-2))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize(
    "shape, dims, offset",
    [((1, 3, 8), 8, 0), ((2, 3, 8), 4, 5), ((2, 2, 3, 8), 8, 2), ((2, 2, 2, 3, 10), 6, [1, 7]), ((2, 5, 8), 8, [3])],
)
def test_rope(shape, dims, offset, traditional, dtype):
    check_with_gradient(
        lambda m, x: m.fast.rope(
            x,
            dims,
            traditional=traditional,
            base=10000.0,
            scale=0.5,
            offset=offset if isinstance(offset, int) else m.array(offset),
        ),
        dtype,
        shape,
    )


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("traditional", [False, True])
def test_rope_with_frequencies(traditional, dtype):
    f = lambda m, x: m.fast.rope(  # noqa: E731
        x, 8, traditional=traditional, base=None, scale=1.0, offset=3, freqs=m.array([1.0, 3.0, 10.0, 30.0])
    )
    check_with_gradient(f, dtype, (2, 4, 3, 8))


def test_the_gradient_of_rope_to_its_frequencies():
    x = lambda m: draw(m, "float32", 2, 3, 8)  # noqa: E731
    rope = lambda m, f: m.fast.rope(x(m), 8, traditional=False, base=None, scale=1.0, offset=1, freqs=f)  # noqa: E731
    check(lambda m: m.grad(lambda f: weighted(m, rope(m, f)))(m.array([1.0, 3.0, 10.0, 30.0])), 8)


def test_rope_far_out():
    check(lambda m: m.fast.rope(m.ones((1, 4, 64)), 64, traditional=False, base=10000.0, scale=1.0, offset=2000), 100)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("mask", [None, "causal", "bool", "bool heads", "keys", "added", "added full"])
@pytest.mark.parametrize("heads", [(2, 2), (4, 2), (4, 1)])
@pytest.mark.parametrize("lengths", [(6, 6), (5, 9), (1, 7), (70, 130)])
def test_attention(lengths, heads, mask, dtype):
    (rows, keys), (h, hk) = lengths, heads
    seen = np.random.default_rng(3).uniform(size=(2, h, rows, keys)) < 0.7
    added = np.random.default_rng(4).normal(size=(2, h, rows, keys)).astype(np.float32)

    def mask_of(m):
        if mask is None or mask == "causal":
            return mask
        if mask.startswith("bool"):
            return m.array(seen if mask == "bool heads" else seen[0, 0])
        if mask == "keys":
            return m.array(seen[:, :1, :1])
        return m.array(added if mask == "added full" else added[:1, 0]).astype(getattr(m, dtype))

    check_with_gradient(
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(q, k, v, scale=0.35, mask=mask_of(m)),
        dtype,
        (2, h, rows, 8),
        (2, hk, keys, 8),
        (2, hk, keys, 6),
        scale=2,
    )


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("mask", [None, "causal"])
def test_attention_with_sinks(mask, dtype):
    check_with_gradient(
        lambda m, q, k, v, s: m.fast.scaled_dot_product_attention(q, k, v, scale=0.35, mask=mask, sinks=s),
        dtype,
        (2, 4, 5, 8),
        (2, 2, 9, 8),
        (2, 2, 9, 6),
        (4,),
        scale=2,
    )


def test_the_gradient_of_attention_to_an_added_mask():
    check_with_gradient(
        lambda m, q, k, v, a: m.fast.scaled_dot_product_attention(q, k, v, scale=0.35, mask=a),
        "float32",
        (2, 4, 5, 8),
        (2, 2, 9, 8),
        (2, 2, 9, 6),
        (4, 1, 9),
        scale=2,
    )


@pytest.mark.parametrize("mask", [[[False, False], [True, False]], [[-float("inf"), 0.0], [0.0, -float("inf")]]])
@pytest.mark.parametrize("sinks", [None, [0.5]])
def test_attention_of_rows_that_see_nothing(mask, sinks):
    check(
        lambda m: m.fast.scaled_dot_product_attention(
            m.ones((1, 1, 2, 2)),
            m.ones((1, 1, 2, 2)),
            m.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
            scale=1.0,
            mask=m.array(mask),
            sinks=None if sinks is None else m.array(sinks),
        )
    )


def test_causal_attention_of_more_queries_than_keys():
    check(
        lambda m: m.fast.scaled_dot_product_attention(
            draw(m, "float32", 1, 2, 5, 4),
            draw(m, "float32", 1, 2, 3, 4),
            draw(m, "float32", 1, 2, 3, 4, seed=1),
            scale=1.0,
            mask="causal",
        )
    )


def test_attention_promotes_and_takes_no_keys():
    q, k = (lambda m, t: draw(m, t, 1, 2, 3, 4)), (lambda m, t: draw(m, t, 1, 2, 5, 4))
    attend = lambda m, *x, **o: m.fast.scaled_dot_product_attention(*x, scale=0.5, **o)  # noqa: E731
    check(lambda m: attend(m, q(m, "float16"), k(m, "float32"), k(m, "bfloat16")))
    check(lambda m: attend(m, q(m, "float32"), k(m, "float32"), k(m, "float32"), mask=m.ones((3, 5), dtype=m.int32)))
    check(lambda m: attend(m, m.ones((1, 1, 3, 2)), m.ones((1, 1, 0, 2)), m.ones((1, 1, 0, 2))))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("mask", [None, "causal"])
@pytest.mark.parametrize("size", [-0.4, 0.0, 1.5])
def test_attention_at_any_scale(size, mask, dtype):
    x = lambda m, *s, seed: draw(m, dtype, *s, seed=seed)  # noqa: E731
    check(
        lambda m: m.fast.scaled_dot_product_attention(
            x(m, 1, 2, 40, 32, seed=1), x(m, 1, 2, 70, 32, seed=2), x(m, 1, 2, 70, 32, seed=3), scale=size, mask=mask
        ),
        8,
    )


def test_attention_can_be_asked_for_its_kernel():
    q = draw(mx, "float32", 1, 2, 3, 4)
    fused = mx.fast.scaled_dot_product_attention(q, q, q, scale=0.5, force_fused=True)
    assert mx.array_equal(fused, mx.fast.scaled_dot_product_attention(q, q, q, scale=0.5))
    wide = q.astype(mx.float64)
    with pytest.raises(ValueError, match="no fused kernel"):
        mx.fast.scaled_dot_product_attention(wide, wide, wide, scale=0.5, force_fused=True)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 300)])
def test_cross_entropy(shape, dtype):
    targets = np.random.default_rng(1).integers(-shape[-1], shape[-1], size=shape[:-1])

    def f(m, x):
        # MLX sums in the dtype of the logits; Treadle in float32, as MLX's kernels do.
        x = x.astype(m.float32) if m is mlx else x
        return m.fast.cross_entropy(x, m.array(targets))

    check_with_gradient(f, dtype, shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal"),
        lambda m, q, k, v: m.fast.rms_norm(q, k[0, 0, 0], 1e-5) * v.sum(),
        lambda m, q, k, v: m.fast.layer_norm(q, k[0, 0, 0], v[0, 0, 0], 1e-5),
        lambda m, q, k, v: m.fast.rope(q * k * v, 4, traditional=False, base=100.0, scale=1.0, offset=2),
        lambda m, q, k, v: m.fast.cross_entropy(q * k * v, m.array([[[0, 1, 2], [3, 0, 1]]])),
    ],
)
def test_compiled_and_mapped(call):
    shapes = [(1, 2, 3, 4)] * 3
    x = lambda m: [draw(m, "float32", *s, seed=i) for i, s in enumerate(shapes)]  # noqa: E731
    check(lambda m: m.compile(lambda *a: call(m, *a))(*x(m)))
    step = lambda m: m.compile(m.grad(lambda *a: weighted(m, call(m, *a)), argnums=[0, 1, 2]))  # noqa: E731
    check(lambda m: step(m)(*x(m)), 8)
    batch = lambda m: [m.stack([a, a * 0.5, a + 1], axis=i) for i, a in enumerate(x(m))]  # noqa: E731
    check(lambda m: m.vmap(lambda *a: call(m, *a), in_axes=(0, 1, 2))(*batch(m)), 8)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal"),
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(
            q, k, v, scale=0.5, mask=q[..., :3], sinks=v[0, :, 0, 0]
        ),
        lambda m, q, k, v: m.fast.rms_norm(q * v, k[0, 0, 0], 1e-2),
        lambda m, q, k, v: m.fast.layer_norm(q * v, k[0, 0, 0], v[0, 0, 0], 1e-2),
        lambda m, q, k, v: m.fast.rope(q * k * v, 4, traditional=True, base=100.0, scale=1.0, offset=2),
        lambda m, q, k, v: m.fast.cross_entropy(q * k * v, m.array([[[0, 1, 2], [3, 0, 1]]])),
    ],
)
def test_second_derivatives(call):
    """The gradient of a gradient's weighted sum, and a gradient mapped over a batch."""
    x = lambda m: [draw(m, "float32", 1, 2, 3, 4, seed=i) for i in range(3)]  # noqa: E731
    first = lambda m: m.grad(lambda *a: weighted(m, call(m, *a)), argnums=[0, 1, 2])  # noqa: E731
    check(lambda m: m.grad(lambda *a: sum(weighted(m, g) for g in first(m)(*a)), argnums=[0, 1, 2])(*x(m)), 16)
    batch = lambda m: [m.stack([a, a * 0.5, a + 1]) for a in x(m)]  # noqa: E731
    check(lambda m: m.vmap(lambda *a: first(m)(*a))(*batch(m)), 8)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    "view",
    [
        lambda m, x: m.broadcast_to(x[:1], x.shape),
        lambda m, x: m.broadcast_to(x[..., :1], x.shape),
        lambda m, x: x.transpose(0, 2, 1, 3).transpose(0, 2, 1, 3),
        lambda m, x: m.contiguous(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3),
        lambda m, x: m.contiguous(x.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
        lambda m, x: x[:, :, ::-1, ::-1],
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask="causal"),
        lambda m, q, k, v: m.fast.scaled_dot_product_attention(q[:, :, :1], k, v, scale=0.3),
        lambda m, q, k, v: m.fast.rms_norm(q, k[0, 0, 0], 1e-2),
        lambda m, q, k, v: m.fast.layer_norm(q, k[0, 0, 0], v[0, 0, 0], 1e-1),
        lambda m, q, k, v: m.fast.rope(q, 18, traditional=False, base=100.0, scale=1.0, offset=m.array([2, 7])),
        lambda m, q, k, v: m.fast.rope(q, 16, traditional=True, base=100.0, scale=1.0, offset=1),
    ],
)
def test_inputs_that_are_views(call, view, dtype):
    x = lambda m: [view(m, draw(m, dtype, 2, 3, 20, 18, seed=i)) for i in range(3)]  # noqa: E731
    check(lambda m: call(m, *x(m)), 2)
    check(lambda m: m.grad(lambda *a: weighted(m, call(m, *a)), argnums=[0, 1, 2])(*x(m)), 8)


A = "m.ones((2, 3, 8))"
Q, K = "m.ones((1, 4, 3, 8))", "m.ones((1, 2, 5, 8))"
WRONG = f"""
m.fast.rms_norm(m.array(1.0), None, 1e-5); m.fast.rms_norm({A}, m.ones((1, 8)), 1e-5)
m.fast.rms_norm({A}, m.ones((3,)), 1e-5); m.fast.rms_norm({A}.astype(m.int32), None, 1e-5)
m.fast.rms_norm({A}.astype(m.complex64), None, 1e-5); m.fast.rms_norm({A}, None)
m.fast.layer_norm(m.array(1.0), None, None, 1e-5); m.fast.layer_norm({A}, m.ones((3,)), None, 1e-5)
m.fast.layer_norm({A}, None, m.ones((3,)), 1e-5); m.fast.layer_norm({A}, None, m.ones((1, 8)), 1e-5)
m.fast.layer_norm({A}.astype(m.int32), None, None, 1e-5)
m.fast.rope({A}[0], 8, traditional=False, base=100.0, scale=1.0, offset=0)
m.fast.rope({A}, 3, traditional=False, base=100.0, scale=1.0, offset=0)
m.fast.rope({A}, -2, traditional=False, base=100.0, scale=1.0, offset=0)
m.fast.rope({A}, 10, traditional=False, base=100.0, scale=1.0, offset=0)
m.fast.rope({A}, 8, traditional=False, base=None, scale=1.0, offset=0)
m.fast.rope({A}, 8, traditional=False, base=1.0, scale=1.0, offset=0, freqs=m.ones((4,)))
m.fast.rope({A}, 8, traditional=False, base=None, scale=1.0, offset=0, freqs=m.ones((3,)))
m.fast.rope({A}, 8, traditional=False, base=100.0, scale=1.0, offset=m.array([1, 2, 3]))
m.fast.rope({A}, 8, traditional=False, base=100.0, scale=1.0, offset=m.array([[1]]))
m.fast.rope({A}, 8, traditional=False, base=100.0, scale=1.0, offset=1.5)
m.fast.rope({A}.astype(m.int32), 8, traditional=False, base=100.0, scale=1.0, offset=0)
m.fast.scaled_dot_product_attention({Q}[0], {K}, {K}, scale=1.0)
m.fast.scaled_dot_product_attention({Q}, {K}[..., :4], {K}, scale=1.0)
m.fast.scaled_dot_product_attention({Q}, {K}[:, :, :3], {K}, scale=1.0)
m.fast.scaled_dot_product_attention({Q}, {K}[:, :1], {K}, scale=1.0)
m.fast.scaled_dot_product_attention({Q}[:, :3], {K}, {K}, scale=1.0)
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, mask="full")
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, mask="")
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, mask=3)
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, mask=m.ones((1, 1, 1, 3, 5)))
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, mask=m.ones((3, 4)))
m.fast.scaled_dot_product_attention({Q}, {K}, {K}, scale=1.0, sinks=m.ones((2,)))
m.fast.scaled_dot_product_attention({Q}.astype(m.int32), {K}.astype(m.int32), {K}.astype(m.int32), scale=1.0)
m.fast.cross_entropy({A}, m.array([0, 1])); m.fast.cross_entropy({A}, m.zeros((2, 3)))
m.fast.cross_entropy({A}.astype(m.int32), m.zeros((2, 3), dtype=m.int32))
m.fast.cross_entropy(m.array(1.0), m.array(0))
"""


@pytest.mark.parametrize("text", [e.strip() for line in WRONG.strip().splitlines() for e in line.split("; ")])
def test_errors(text):
    with pytest.raises((ValueError, TypeError)):
        eval(text, {"m": mx})
    check(lambda m: eval(text, {"m": m}))
