"""Losses against mlx.nn.losses, values and gradients."""

import inspect

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle import compat

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 5)).astype(np.float32) * 3
INDICES = np.array([0, 4, 2, 2])
PROBABILITIES = RNG.dirichlet(np.ones(5), size=4).astype(np.float32)
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0], np.float32)


def value_and_gradient(mx, loss, x):
    value, gradient = mx.value_and_grad(lambda x: loss(x).sum())(mx.array(x))
    return np.array(loss(mx.array(x))), np.array(gradient), value.item()


def assert_same(loss, x):
    ours = value_and_gradient(mx, lambda x: loss(nn.losses, mx, x), x)
    theirs = value_and_gradient(mlx.core, lambda x: loss(mlx.nn.losses, mlx.core, x), x)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("targets", [INDICES, PROBABILITIES], ids=["indices", "probabilities"])
def test_cross_entropy_is_that_of_mlx(targets, smoothing, weights, reduction):
    def loss(losses, mx, x):
        w = None if weights is None else mx.array(weights)
        return losses.cross_entropy(x, mx.array(targets), w, label_smoothing=smoothing, reduction=reduction)

    assert_same(loss, LOGITS)


def test_cross_entropy_goes_along_any_axis():
    assert_same(lambda losses, mx, x: losses.cross_entropy(x, mx.array(INDICES), axis=0), LOGITS.T.copy())


def test_class_weights_are_gathered_by_target():
    weights = mx.array([1.0, 2.0, 3.0, 4.0, 5.0])
    plain = nn.losses.cross_entropy(mx.array(LOGITS), mx.array(INDICES))
    expected = np.array(plain) * np.array([1, 5, 3, 3])
    for loss in (
        nn.losses.cross_entropy(mx.array(LOGITS), mx.array(INDICES), class_weights=weights),
        nn.losses.cross_entropy(mx.array(LOGITS), mx.array(INDICES), weights),
    ):
        np.testing.assert_allclose(np.array(loss), expected, rtol=1e-6)


def test_ignored_targets_do_not_count():
    x, y = mx.array(LOGITS), mx.array([0, -100, 2, -100])
    loss = nn.losses.cross_entropy(x, y, ignore_index=-100)
    assert [v == 0 for v in loss.tolist()] == [False, True, False, True]
    mean = nn.losses.cross_entropy(x, y, ignore_index=-100, reduction="mean")
    np.testing.assert_allclose(mean.item(), loss.sum().item() / 2, rtol=1e-6)


# What each loss is called with: x stands for LOGITS, which is differentiated.
CALLS = {
    "binary_cross_entropy": "x, p",
    "binary_cross_entropy weights": "x, p, q",
    "binary_cross_entropy probabilities": "m.sigmoid(x), p, with_logits=False",
    "binary_cross_entropy certain": "m.where(x > 0, 1.0, 0.0), p, with_logits=False",
    "l1_loss": "x, p",
    "mse_loss": "x, p",
    "nll_loss": "x, i",
    "nll_loss axis": "x.T, i, axis=0",
    "gaussian_nll_loss": "x, p, q",
    "gaussian_nll_loss full": "p, q, x, full=True, eps=0.1",
    "kl_div_loss": "x, m.log(p)",
    "kl_div_loss axis": "m.log(p), x, axis=0",
    "smooth_l1_loss": "x, p",
    "smooth_l1_loss beta": "x, p, beta=2.5",
    "triplet_loss": "x, p, q",
    "triplet_loss p": "x, p, q, axis=0, p=3, margin=0.5, eps=1e-3",
    "hinge_loss": "x, s",
    "huber_loss": "x, p",
    "huber_loss delta": "x, p, delta=0.5",
    "log_cosh_loss": "x, p",
    "cosine_similarity_loss": "x, p",
    "cosine_similarity_loss axis": "x, p, axis=0, eps=20.0",
    "margin_ranking_loss": "x, p, s",
    "margin_ranking_loss margin": "x, p, s, margin=0.7",
}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", CALLS)
def test_losses_are_those_of_mlx(name, reduction):
    def loss(losses, mx, x):
        names = {"m": mx, "x": x, "p": mx.array(PROBABILITIES), "q": mx.array(PROBABILITIES[::-1].copy())}
        names |= {"i": mx.array(INDICES), "s": mx.where(mx.array(PROBABILITIES) > 0.2, 1.0, -1.0)}
        return eval(f"loss({CALLS[name]}, reduction='{reduction}')", names | {"loss": getattr(losses, name.split()[0])})

    assert_same(loss, LOGITS)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [n for n in CALLS if " " not in n and n != "triplet_loss"])
def test_losses_keep_half_precision(name, dtype):
    def loss(nn, mx):
        half = getattr(mx, dtype)
        names = {"m": mx, "x": mx.array(LOGITS).astype(half), "p": mx.array(PROBABILITIES).astype(half)}
        names |= {"q": names["p"], "i": mx.array(INDICES), "s": mx.sign(names["x"])}
        y = eval(f"loss({CALLS[name]}, reduction='none')", names | {"loss": getattr(nn.losses, name)})
        return str(y.dtype).split(".")[-1], np.array(y.astype(mx.float32))

    (ours, a), (theirs, b) = loss(nn, mx), loss(mlx.nn, mlx.core)
    assert ours == theirs == dtype
    # MLX rounds after every operation, Treadle at the end.
    np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05)


# What D21 adds, and smoothing: y are classes, of which 0 is ignored, w factors of classes, v factors of targets.
OPTIONS = {
    "label_smoothing": "label_smoothing=0.2",
    "weights of targets": "weights=v",
    "weights of classes": "weights=w",
    "class_weights": "class_weights=w",
    "ignore_index": "ignore_index=0",
    "all": "class_weights=w, weights=v, ignore_index=0, label_smoothing=0.2",
}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_cross_entropy_are_exact_in_half_types(options, axis, dtype, reduction):
    half = getattr(mx, dtype)
    names = {"w": mx.array([1.0, 2.0, 0.5, 0.25, 4.0]), "v": mx.array(WEIGHTS)}

    def loss(x, to):
        taken = eval(f"dict({OPTIONS[options]})", {k: v.astype(to) for k, v in names.items()})
        x = x.T if axis == 0 else x
        return nn.losses.cross_entropy(x, mx.array(INDICES), axis=axis, reduction=reduction, **taken)

    x = mx.array(LOGITS).astype(half)
    got, expected = loss(x, half), loss(x.astype(mx.float32), mx.float32)
    assert got.dtype == half
    unit = 2.0**-11 if dtype == "float16" else 2.0**-8
    # One rounding of the loss, one of the factor's product, one of the reduction.
    np.testing.assert_allclose(np.array(got.astype(mx.float32)), np.array(expected), rtol=3 * unit, atol=unit / 64)
    gradient = mx.grad(lambda x: loss(x, half).astype(mx.float32).sum())(x)
    wide = mx.grad(lambda x: loss(x, mx.float32).sum())(x.astype(mx.float32))
    np.testing.assert_allclose(np.array(gradient.astype(mx.float32)), np.array(wide), rtol=3 * unit, atol=2 * unit)


def test_targets_outside_are_infinite_or_errors():
    x, y = mx.array(LOGITS), mx.array([0, 5, -6, -1])
    losses = nn.losses.cross_entropy(x, y).tolist()
    assert losses[1] == losses[2] == float("inf") and losses[3] < 20
    with pytest.raises(IndexError, match=r"index 5 is out of bounds.*expected \[-5, 4\]"):
        mx.eval(nn.losses.nll_loss(x, y))
    with pytest.raises(IndexError, match=r"index 5 is out of bounds.*expected \[-5, 4\]"):
        mx.eval(nn.Embedding(5, 2)(y))
    table = nn.Embedding(5, 2)
    assert mx.array_equal(table(mx.array([-1, -5])), table(mx.array([4, 0])))


def test_binary_cross_entropy_takes_either_name_of_its_input():
    x, y = mx.array(LOGITS), mx.array(PROBABILITIES)
    expected = nn.losses.binary_cross_entropy(inputs=x, targets=y)
    assert mx.array_equal(nn.losses.binary_cross_entropy(logits=x, targets=y), expected)
    for arguments in ({"targets": y}, {"inputs": x}, {"inputs": x, "logits": x, "targets": y}):
        with pytest.raises(TypeError, match="logits"):
            nn.losses.binary_cross_entropy(**arguments)


FIVE = ["binary_cross_entropy", "l1_loss", "mse_loss", "smooth_l1_loss", "gaussian_nll_loss"]


def test_the_five_losses_that_mlx_averages_are_averaged_under_its_defaults():
    x, y = mx.array(PROBABILITIES), mx.array(PROBABILITIES[::-1].copy())
    for name in FIVE:
        arguments = (x, y, y) if name == "gaussian_nll_loss" else (x, y)
        assert getattr(nn.losses, name)(*arguments).shape == x.shape
        before = compat.mlx_defaults(True)
        try:
            assert getattr(nn.losses, name)(*arguments).shape == ()
        finally:
            compat.mlx_defaults(before)
    for name in {n.split()[0] for n in CALLS} - set(FIVE) | {"cross_entropy"}:
        assert inspect.signature(getattr(mlx.nn.losses, name)).parameters["reduction"].default == "none"


def test_losses_reduce_nothing_by_default():
    assert nn.losses.mse_loss(mx.zeros((2, 3)), mx.ones((2, 3))).shape == (2, 3)
    assert nn.losses.cross_entropy(mx.array(LOGITS), mx.array(INDICES)).shape == (4,)


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda losses: losses.cross_entropy(mx.zeros((2, 3)), mx.zeros(3, mx.int32)),
            r"\[cross_entropy\].*\(3,\).*\(2, 3\)",
        ),
        (lambda losses: losses.cross_entropy(mx.zeros((2, 3)), mx.zeros(2, mx.int32), reduction="avg"), "'avg'"),
        (
            lambda losses: losses.cross_entropy(mx.zeros((2, 3)), mx.zeros(2, mx.int32), label_smoothing=1.0),
            "label_smoothing",
        ),
        (lambda losses: losses.cross_entropy(mx.zeros((2, 3)), mx.zeros(2, mx.int32), weights=mx.zeros(4)), "weights"),
        (lambda losses: losses.mse_loss(mx.zeros(2), mx.zeros(3)), r"\[mse_loss\].*\(2,\).*\(3,\)"),
        (lambda losses: losses.mse_loss(mx.zeros(2), mx.zeros(2), reduction="avg"), "'avg'"),
        (lambda losses: losses.l1_loss(mx.zeros((2, 1)), mx.zeros((2, 3))), r"\[l1_loss\]"),
        (lambda losses: losses.binary_cross_entropy(mx.zeros(2), mx.zeros(3)), r"\[binary_cross_entropy\]"),
        (lambda losses: losses.binary_cross_entropy(mx.zeros(2), mx.zeros(2), mx.zeros(1)), "weights"),
        (lambda losses: losses.nll_loss(mx.zeros((2, 3)), mx.zeros(3, mx.int32)), r"\[nll_loss\].*\(2,\)"),
        (lambda losses: losses.nll_loss(mx.zeros((2, 3)), mx.zeros(2)), r"\[nll_loss\].*float32"),
        (lambda losses: losses.gaussian_nll_loss(mx.zeros(2), mx.zeros(2), mx.zeros(1)), "gaussian_nll_loss"),
        (lambda losses: losses.margin_ranking_loss(mx.zeros(2), mx.zeros(2), mx.zeros(1)), "margin_ranking_loss"),
    ],
)
def test_wrong_arguments_are_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call(nn.losses)
