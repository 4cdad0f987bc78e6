"""Layers against mlx.nn: from the same seed come the same parameters, outputs, gradients, names and texts."""

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


ROWS = [
    ("Conv1d", (3, 4, 3), {}, normal(2, 7, 3)),
    ("Conv1d", (4, 6, 2, 2, 1, 2, 2), {"bias": False}, normal(2, 9, 4)),
    ("Conv2d", (3, 4, (2, 3)), {"stride": (1, 2), "padding": 1, "dilation": (1, 2)}, normal(2, 6, 9, 3)),
    ("Conv3d", (2, 3, (1, 2, 3)), {"stride": 2, "padding": (0, 1, 1)}, normal(1, 3, 4, 5, 2)),
    ("Conv3d", (2, 3, 2), {"bias": False}, normal(1, 3, 3, 3, 2)),
    ("ConvTranspose1d", (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, normal(2, 5, 3)),
    ("ConvTranspose2d", (3, 2, 3), {"stride": (2, 1), "padding": (1, 0)}, normal(1, 4, 3, 3)),
    ("ConvTranspose2d", (3, 2, (2, 3)), {"dilation": 2, "bias": False}, normal(1, 4, 3, 3)),
    ("ConvTranspose3d", (2, 2, 2), {"stride": 2, "padding": 1}, normal(1, 2, 3, 3, 2)),
    ("MaxPool1d", (2,), {}, normal(2, 7, 3)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, normal(2, 7, 3)),
    ("MaxPool2d", ((2, 3),), {"stride": (1, 2)}, normal(2, 5, 7, 3)),
    ("MaxPool3d", (2,), {"stride": 1, "padding": (0, 1, 1)}, normal(1, 3, 3, 4, 2)),
    ("AvgPool1d", ((2,),), {}, normal(2, 6, 3)),
    ("AvgPool1d", (3, 2, 1), {}, normal(2, 7, 3)),
    ("AvgPool2d", (3,), {"padding": 1}, normal(2, 6, 6, 3)),
    ("AvgPool3d", ((1, 2, 2),), {}, normal(1, 3, 4, 4, 2)),
    ("Dropout", (0.25,), {}, normal(40, 30)),
    ("Dropout2d", (0.5,), {}, normal(8, 3, 3, 16)),
    ("Dropout2d", (0.5,), {}, normal(3, 3, 16)),
    ("Dropout3d", (0.5,), {}, normal(4, 2, 3, 3, 16)),
    ("Dropout3d", (0.5,), {}, normal(2, 3, 3, 16)),
    ("BatchNorm", (5,), {}, normal(4, 3, 5)),
    ("Upsample", (2,), {}, normal(2, 3, 4)),
    ("Upsample", (1.6,), {}, normal(2, 5, 3)),
    ("Upsample", (0.7,), {}, normal(2, 5, 7, 3)),
    ("Upsample", ((2, 1.5),), {}, normal(2, 3, 5, 3)),
    ("Upsample", (2,), {"mode": "linear"}, normal(2, 3, 4)),
    ("Upsample", ((1.7, 2),), {"mode": "linear", "align_corners": True}, normal(2, 5, 4, 3)),
    ("Upsample", (1.5,), {"mode": "linear"}, normal(1, 3, 4, 2, 3)),
    ("Upsample", (0.5,), {"mode": "linear", "antialias": True}, normal(2, 8, 6, 3)),
    ("Upsample", (0.4,), {"mode": "cubic", "antialias": True}, normal(2, 9, 3)),
    ("Upsample", (2,), {"mode": "cubic", "antialias": True}, normal(2, 4, 3)),
    ("Upsample", (2,), {"mode": "cubic"}, normal(2, 4, 5, 3)),
    ("Upsample", (1.3,), {"mode": "cubic", "align_corners": True}, normal(2, 6, 5, 3)),
    ("Embedding", (9, 4), {}, np.array([[3, 0, 8], [3, 3, 1]])),
    ("Embedding", (9, 4), {}, np.array(5, np.uint8)),
]


def run(nn, mx, name, args, kwargs, x):
    """What there is to compare of a layer, each step after the same seed."""
    mx.random.seed(5)
    layer = getattr(nn, name)(*args, **kwargs)
    x = mx.array(x)
    differentiable = mx.issubdtype(x.dtype, mx.floating)
    numbers = {f"initial {k}": v for k, v in tree_flatten(layer.parameters())}

    def loss(parameters, x):
        layer.update(parameters)
        y = layer(x)
        return (y * mx.cos(mx.arange(y.size).reshape(y.shape))).sum(), y

    mx.random.seed(6)
    trainable = layer.trainable_parameters()
    (_, y), gradients = mx.value_and_grad(loss, argnums=(0, 1) if differentiable else 0)(trainable, x)
    layer.update(trainable)
    numbers["output"] = y
    numbers |= {f"gradient {k}": v for k, v in tree_flatten(gradients)}
    numbers["output in evaluation"] = layer.eval()(x)
    numbers |= {f"final {k}": v for k, v in tree_flatten(layer.parameters())}
    return repr(layer), list(layer), {k: np.array(v) for k, v in numbers.items()}


@pytest.mark.parametrize("name, args, kwargs, x", ROWS, ids=[f"{r[0]}{r[1]}{r[2] or ''}" for r in ROWS])
def test_layer_is_that_of_mlx(name, args, kwargs, x):
    (our_repr, our_keys, ours), (their_repr, their_keys, theirs) = (
        run(n, m, name, args, kwargs, x) for n, m in ((nn, mx), (mlx.nn, mlx.core))
    )
    assert our_repr == their_repr and ours.keys() == theirs.keys()
    if "Pool" not in name:
        assert our_keys == their_keys
    for key, value in ours.items():
        assert value.shape == theirs[key].shape, key
        np.testing.assert_allclose(value, theirs[key], rtol=2e-5, atol=5e-6, err_msg=key)


@pytest.mark.parametrize("kind, reduce", [("Avg", np.mean), ("Max", np.max)])
@pytest.mark.parametrize(
    "size, shape",
    [(3, (2, 7, 2)), (2, (1, 6, 2)), (5, (2, 3, 2)), ((2, 3), (2, 5, 7, 2)), ((None, 2, 1), (1, 3, 5, 2, 2))],
)
def test_adaptive_pools_reduce_their_windows(kind, reduce, size, shape):
    x = normal(*shape)
    axes = len(shape) - 2
    layer = getattr(nn, f"Adaptive{kind}Pool{axes}d")(size)
    expected = x
    for a, n in enumerate((size,) * axes if isinstance(size, int) else size):
        length = x.shape[a + 1]
        n = n or length
        windows = [range(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]
        expected = np.stack([reduce(np.take(expected, w, a + 1), a + 1) for w in windows], a + 1)
    np.testing.assert_allclose(np.array(layer(mx.array(x))), expected, rtol=1e-5, atol=1e-6)

    # Far enough from each other that no window changes its maximum.
    x = RNG.permutation(x.size).reshape(shape).astype(np.float32) / 8
    direction, step = RNG.uniform(-1, 1, shape).astype(np.float32), 1 / 32
    slope = (mx.grad(lambda v: mx.square(layer(v)).sum())(mx.array(x)) * mx.array(direction)).sum().item()
    ends = [np.square(np.array(layer(mx.array(x + s * step * direction)), np.float64)).sum() for s in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=2e-3, atol=2e-3)


def test_pools_and_upsampling_keep_integers():
    x = mx.array(np.arange(12).reshape(1, 6, 2))
    assert nn.AdaptiveMaxPool1d(4)(x)[0, :, 0].tolist() == [2, 4, 8, 10] and nn.Upsample(2)(x).dtype == x.dtype
    assert repr(nn.AdaptiveAvgPool2d((3, None))) == "AdaptiveAvgPool2d(output_size=(3, None))"


def test_embedding_as_linear_multiplies_with_the_table():
    layer = nn.Embedding(5, 3)
    x = mx.array(normal(2, 3))
    np.testing.assert_allclose(
        np.array(layer.as_linear(x)), np.array(x) @ np.array(layer.weight).T, rtol=1e-5, atol=1e-6
    )


def test_running_statistics_are_never_trained():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3))
    model.unfreeze()
    model.layers[1].unfreeze(keys=["running_mean", "bias"])
    assert list(model.trainable_parameters()["layers"][1]) == ["weight", "bias"]
    model.freeze()
    assert model.trainable_parameters() == {"layers": [{}, {}]}


def test_running_statistics_stay_after_value_and_grad():
    layer = nn.BatchNorm(3)
    x = mx.array(normal(8, 3) + 4)
    nn.value_and_grad(layer, lambda x: layer(x).sum())(x)
    np.testing.assert_allclose(np.array(layer.running_mean), 0.1 * np.array(x).mean(0), rtol=1e-5)


def test_dropout_changes_at_every_call():
    layer, x = nn.Dropout(0.5), mx.ones((64,))
    assert layer(x).tolist() != layer(x).tolist()


def test_functions_have_the_spelling_of_the_reference_too():
    assert nn.Hardtanh is nn.HardTanh and nn.Hardshrink is nn.HardShrink
    assert nn.hardtanh is nn.hard_tanh and nn.hardshrink is nn.hard_shrink
    x = mx.array([-3.0, 0.25, 3.0])
    assert nn.Hardtanh(-2, 1)(x).tolist() == [-2, 0.25, 1] and nn.hardshrink(x, 0.1).tolist() == [-3, 0.25, 3]


@pytest.mark.parametrize("name", [n for n in dir(mlx.nn.layers.activations) if n.islower() and not n.startswith("_")])
def test_activation_functions_are_those_of_mlx(name):
    if not callable(getattr(mlx.nn, name, None)):
        pytest.skip("no activation")
    x = normal(4, 6) * 3
    args = (0.3,) if name == "prelu" else ()
    ours = getattr(nn, name)(mx.array(x), *map(mx.array, args))
    theirs = getattr(mlx.nn, name)(mlx.core.array(x), *map(mlx.core.array, args))
    np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "2 groups do not divide 3"),
        (lambda: nn.Conv1d(3, 4, 0), "positive"),
        (lambda: nn.MaxPool2d((2, 2, 2)), r"\[MaxPool2d\] 'kernel_size' is \(2, 2, 2\)"),
        (lambda: nn.AvgPool1d(2, stride=0), r"\[AvgPool1d\] 'stride' is 0"),
        (lambda: nn.AvgPool1d(2, padding=-1), r"\[AvgPool1d\] 'padding' is -1"),
        (lambda: nn.MaxPool3d("2"), "'2'"),
        (lambda: nn.BatchNorm(3, eps=0), "eps"),
        (lambda: nn.BatchNorm(3)(mx.zeros(3)), "2, 3 or 4 dimensions"),
        (lambda: nn.BatchNorm(3)(mx.zeros((1, 3))), "one value for each channel"),
        (lambda: nn.Dropout(1.0), r"\[Dropout\] the probability is 1.0"),
        (lambda: nn.Dropout3d(-0.1), r"\[Dropout3d\]"),
        (lambda: nn.Dropout2d()(mx.zeros((2, 2))), "3 or 4 dimensions"),
        (lambda: nn.Embedding(4, 2)(mx.array([0.5])), r"\[embedding\].*integers"),
        (lambda: nn.Linear(0, 2), "at least"),
        (lambda: nn.GELU("exact"), "'exact'"),
        (lambda: nn.glu(mx.zeros((2, 3))), "2 equal parts"),
        (lambda: nn.Upsample(2, "area"), r"\[Upsample\] mode is 'area'"),
        (lambda: nn.Upsample(2, antialias=True), r"\[Upsample\] antialias"),
        (lambda: nn.Upsample(2, "cubic", True, True), r"\[Upsample\] antialias"),
        (lambda: nn.Upsample((2, 2))(mx.zeros((1, 2, 3))), r"\[Upsample\] .* 2 factors"),
        (lambda: nn.Upsample(2)(mx.zeros((2, 3))), r"\[Upsample\]"),
        (lambda: nn.Upsample(-1.0)(mx.zeros((1, 2, 3))), "factor of axis 1 is -1"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), r"\[AdaptiveAvgPool2d\] 'output_size' is \(1, 2, 3\)"),
        (lambda: nn.AdaptiveMaxPool1d(0), r"\[AdaptiveMaxPool1d\]"),
        (lambda: nn.AdaptiveMaxPool1d(2)(mx.zeros((2, 3))), r"\[AdaptiveMaxPool1d\]"),
        (lambda: nn.softmax(mx.zeros((2, 3)), 5), "axis"),
    ],
)
def test_wrong_arguments_are_errors(call, words):
    with pytest.raises((ValueError, IndexError), match=words):
        call()


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_other_channels_is_an_error(features, training):
    layer = nn.BatchNorm(3).train(training)
    with pytest.raises(ValueError, match=rf"\[batch_norm\] the input is float32 \(2, {features}\).*channels"):
        layer(mx.zeros((2, features)))
