"""Losses against mlx.nn.losses, values and gradients."""

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn

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


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_mse_loss_is_that_of_mlx(reduction):
    assert_same(lambda losses, mx, x: losses.mse_loss(x, mx.array(PROBABILITIES), reduction=reduction), LOGITS)


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
    ],
)
def test_wrong_arguments_are_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call(nn.losses)


def test_what_is_missing_says_so_when_it_is_used():
    with pytest.raises(NotImplementedError, match=r"treadle\.nn\.losses\.hinge_loss"):
        nn.losses.hinge_loss(mx.zeros(1), mx.zeros(1))
    with pytest.raises(AttributeError, match="no_such_loss"):
        nn.losses.no_such_loss  # noqa: B018
