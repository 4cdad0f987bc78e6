"""RNN, GRU and LSTM against mlx.nn, whose layers are loops in Python; what MLX lacks against layers one by one."""

import copy
import pickle

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten

RNG = np.random.default_rng(3)
LAYERS = ["RNN", "GRU", "LSTM"]
# Sums of a few dozen products, over several steps.
CLOSE = {"rtol": 2e-5, "atol": 3e-6}


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def states(name, *shape):
    return [normal(*shape) for _ in range(2 if name == "LSTM" else 1)]


def run(nn, mx, name, kwargs, x, first, compiled=False):
    """Parameters, outputs and all gradients of a layer made after a seed."""
    mx.random.seed(4)
    layer = getattr(nn, name)(x.shape[-1], 5, **kwargs)
    numbers = {f"initial {k}": v for k, v in tree_flatten(layer.parameters())}

    def loss(parameters, x, *first):
        layer.update(parameters)
        y = layer(x, *first)
        ys = y if isinstance(y, tuple) else (y,)
        return sum((v * mx.sin(mx.arange(v.size).reshape(v.shape) + i)).sum() for i, v in enumerate(ys)), ys

    f = mx.value_and_grad(loss, argnums=tuple(range(2 + len(first))))
    parameters = layer.parameters()
    (_, ys), gradients = (mx.compile(f) if compiled else f)(parameters, mx.array(x), *map(mx.array, first))
    layer.update(parameters)
    numbers |= {f"output {i}": v for i, v in enumerate(ys)}
    numbers |= {f"gradient {k}": v for k, v in tree_flatten(list(gradients))}
    return list(numbers), {k: np.array(v) for k, v in numbers.items()}


CASES = [
    ({}, normal(3, 7, 4), False),
    ({}, normal(3, 7, 4), True),
    ({}, normal(7, 4), False),
    ({}, normal(7, 4), True),
    ({"bias": False}, normal(2, 3, 4), True),
    ({"bias": False}, normal(2, 1, 4), False),
    ({}, normal(2, 3, 4, 6), True),
]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kwargs, x, first", CASES, ids=lambda v: str(getattr(v, "shape", v)))
def test_layer_is_that_of_mlx(name, kwargs, x, first, compiled):
    first = states(name, *x.shape[:-2], 5) if first else []
    our_keys, ours = run(nn, mx, name, kwargs, x, first, compiled)
    their_keys, theirs = run(mlx.nn, mlx.core, name, kwargs, x, first)
    assert our_keys == their_keys
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], err_msg=key, **CLOSE)


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_texts_are_those_of_mlx(name):
    for kwargs in ({}, {"bias": False}):
        assert repr(getattr(nn, name)(3, 5, **kwargs)) == repr(getattr(mlx.nn, name)(3, 5, **kwargs))


def test_an_lstm_takes_a_hidden_state_alone():
    x, h = normal(2, 3, 4), normal(2, 5)
    mx.random.seed(1), mlx.core.random.seed(1)
    ours, theirs = nn.LSTM(4, 5)(mx.array(x), mx.array(h)), mlx.nn.LSTM(4, 5)(mlx.core.array(x), mlx.core.array(h))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), **CLOSE)


@pytest.mark.parametrize("f", ["relu", nn.relu, nn.ReLU(), lambda x: mx.maximum(x, 0)])
def test_the_nonlinearity_is_a_name_a_function_or_a_layer(f):
    x = normal(2, 6, 3)
    mx.random.seed(1), mlx.core.random.seed(1)
    layer = nn.RNN(3, 4, nonlinearity=f)  # for nn.ReLU(), which is an empty dict, MLX takes tanh
    expected = mlx.nn.RNN(3, 4, nonlinearity=mlx.nn.relu)(mlx.core.array(x))
    np.testing.assert_allclose(np.array(layer(mx.array(x))), np.array(expected), **CLOSE)


def test_texts_name_the_nonlinearity():
    assert repr(nn.RNN(2, 3)) == "RNN(input_dims=2, hidden_size=3, nonlinearity=tanh, bias=True)"
    text = repr(nn.RNN(2, 3, False, "relu", 2, True))
    assert text == "RNN(input_dims=2, hidden_size=3, nonlinearity=relu, bias=False, num_layers=2, bidirectional=True)"


def outputs(layer, *args):
    y = layer(*args)
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_directions_are_single_layers_combined(name):
    x = mx.array(normal(2, 5, 3))
    whole = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True)
    first = [mx.array(s) for s in states(name, 4, 2, 4)]
    given, below = x, None
    for layer in range(2):
        both = []
        for d, ending in enumerate(["_l1" if layer else "", f"_l{layer}_reverse"]):
            one = getattr(nn, name)(3 if layer == 0 else 8, 4)
            for key in one.parameters():
                one[key] = whole[key + ending]
            start = [s[2 * layer + d] for s in first]
            ys = outputs(one, given[:, ::-1] if d else given, *start)
            both.append([y[:, ::-1] if d else y for y in ys])
        below = [mx.concatenate(pair, -1) for pair in zip(*both, strict=True)]
        given = below[0]
    for a, b in zip(outputs(whole, x, *first), below, strict=True):
        assert a.shape == (2, 5, 8)
        np.testing.assert_allclose(np.array(a), np.array(b), **CLOSE)


def test_names_of_layers_and_directions():
    assert list(nn.LSTM(3, 4, num_layers=2, bidirectional=True).parameters()) == [
        n + e for e in ("", "_l0_reverse", "_l1", "_l1_reverse") for n in ("Wx", "Wh", "bias")
    ]
    assert list(nn.GRU(3, 4, num_layers=2).parameters()) == ["Wx", "Wh", "b", "bhn", "Wx_l1", "Wh_l1", "b_l1", "bhn_l1"]
    assert nn.RNN(3, 4, bidirectional=True)["Wxh_l0_reverse"].shape == (4, 3)
    assert nn.RNN(3, 4, num_layers=2, bidirectional=True)["Wxh_l1"].shape == (4, 8)


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_are_those_of_the_loop(name):
    x = normal(2, 3, 2)

    def penalty(nn, mx):
        mx.random.seed(2)
        layer = getattr(nn, name)(2, 3)

        def loss(parameters, x):
            layer.update(parameters)
            return mx.square(outputs(layer, x)[-1]).sum()

        def norm(parameters, x):
            return mx.square(mx.grad(loss, argnums=1)(parameters, x)).sum()

        return {k: np.array(v) for k, v in tree_flatten(mx.grad(norm)(layer.parameters(), mx.array(x)))}

    ours, theirs = penalty(nn, mx), penalty(mlx.nn, mlx.core)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], rtol=5e-5, atol=5e-6, err_msg=key)


@pytest.mark.parametrize("name", LAYERS)
def test_vmap_and_jvp_are_those_of_a_loop(name):
    layer, x, t = getattr(nn, name)(3, 4), mx.array(normal(5, 2, 6, 3)), mx.array(normal(5, 2, 6, 3))
    mapped = mx.vmap(lambda x: outputs(layer, x))(x)
    for a, b in zip(mapped, outputs(layer, x), strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), **CLOSE)
    _, tangents = mx.jvp(lambda x: outputs(layer, x)[0], [x], [t])
    step = 1e-3
    ends = [np.array(outputs(layer, x + s * step * t)[0], np.float64) for s in (1, -1)]
    np.testing.assert_allclose(np.array(tangents[0]), (ends[0] - ends[1]) / (2 * step), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_stay_what_they_are(name, dtype):
    layer, x = getattr(nn, name)(3, 4), mx.array(normal(2, 6, 3))
    expected = outputs(layer, x)
    layer.set_dtype(getattr(mx, dtype))
    for a, b in zip(outputs(layer, x.astype(getattr(mx, dtype))), expected, strict=True):
        assert a.dtype == getattr(mx, dtype)
        np.testing.assert_allclose(np.array(a.astype(mx.float32)), np.array(b), atol=4e-2)
    assert outputs(layer, x)[0].dtype == mx.float32


@pytest.mark.parametrize("name", LAYERS)
def test_layers_can_be_pickled_and_copied(name):
    layer, x = getattr(nn, name)(3, 4, num_layers=2), mx.array(normal(2, 6, 3))
    for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        for a, b in zip(outputs(other, x), outputs(layer, x), strict=True):
            assert np.array_equal(np.array(a), np.array(b))


def test_no_steps_give_no_states():
    assert nn.GRU(3, 4)(mx.zeros((2, 0, 3))).shape == (2, 0, 4)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.LSTM(3, 4)(mx.zeros((2, 5, 2))), r"LSTM 3->4.*\[lstm\] the weights are"),
        (lambda: nn.GRU(3, 4)(mx.zeros(3)), r"\[gru\] the input is"),
        (lambda: nn.RNN(3, 4)(mx.zeros((2, 5, 3)), mx.zeros((3, 4))), r"\[rnn\]"),
        (lambda: nn.RNN(3, 4, num_layers=2)(mx.zeros((2, 5, 3)), mx.zeros((2, 3))), r"\[rnn\]"),
        (lambda: nn.RNN(3, 4, nonlinearity="sine"), r"\[RNN\] nonlinearity is 'sine'"),
        (lambda: nn.RNN(3, 4, nonlinearity=3), r"\[RNN\] nonlinearity is 3"),
        (lambda: nn.RNN(3, 4, nonlinearity=nn.ReLU), r"\[RNN\] nonlinearity is the class ReLU; .* ReLU\(\)"),
        (lambda: nn.RNN(3, 4, nonlinearity="ReLU"), r"\[RNN\] nonlinearity is the class ReLU"),
        (lambda: nn.LSTM(3, 0), "at least one"),
        (lambda: nn.LSTM(3, 2, num_layers=0), "at least one"),
    ],
)
def test_wrong_arguments_are_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
