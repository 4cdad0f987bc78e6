"""The parity table of layers, tests/cases/nn_cases.json: what MLX's layers are and compute. C++ runs it too, and gives
the same bits."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from parity import bits_of, cpp_bits

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten, tree_unflatten

TABLE = Path(__file__).resolve().parents[2] / "tests" / "cases" / "nn_cases.json"
ROWS = json.loads(TABLE.read_text())


def fill(shape, seed, scale=1.0):
    """The values that the table was made with."""
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return mx.array(((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape))


def fill_parameters(layer):
    filled = []
    for k, (name, value) in enumerate(tree_flatten(layer.parameters())):
        values = fill(value.shape, k + 1, 0.5)
        filled.append((name, mx.abs(values) + 0.5 if name.endswith("var") else values))
    if filled:
        layer.update(tree_unflatten(filled))


def tuples(value):
    return tuple(value) if isinstance(value, list) else value


def call(layer, kind, x):
    """As make_nn_cases.py calls it."""
    if kind == "causal":
        return layer(x, x, x, layer.create_additive_causal_mask(x.shape[1]))
    inputs = {"triple": 3, "pair": 2}.get(kind.split()[0], 1)
    masks = int(kind.split()[-1]) if "masks" in kind else 0
    y = layer(*[x] * inputs, *[None] * masks)
    return mx.concatenate(y, -1) if isinstance(y, tuple) else y


def name_of(row):
    arguments = [*map(str, row["args"]), *(f"{k}={v}" for k, v in row["kwargs"].items())]
    return f"{row['class']}({', '.join(arguments)}){'' if row['training'] else ' eval'}"


def assert_is(value, expected, what):
    assert list(value.shape) == expected["shape"], what
    np.testing.assert_allclose(np.array(value).ravel(), expected["values"], rtol=2e-5, atol=2e-6, err_msg=what)


def layer_of(row):
    layer = getattr(nn, row["class"])(*map(tuples, row["args"]), **{k: tuples(v) for k, v in row["kwargs"].items()})
    assert layer.train(row["training"]) is layer
    return layer


def input_of(row):
    x = fill(row["input"]["shape"], 0, row["input"]["scale"])
    if integers := row["input"]["integers"]:
        x = mx.floor((x + 1) * (integers / 2)).astype(mx.int32)
    return x


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where both languages put what is compared, weights among it."""
    folder = tmp_path_factory.mktemp("parity")
    for number, row in enumerate(ROWS):
        layer = layer_of(row)
        fill_parameters(layer)
        layer.save_weights(folder / f"{number}.in.safetensors")
    return folder


@pytest.fixture(scope="module")
def cpp(folder):
    """A function from a row's number to what C++ computes for it, bit by bit; None in a build without the C++ tests."""
    return cpp_bits("nn_test", folder)


@pytest.mark.parametrize("number, row", list(enumerate(ROWS)), ids=[name_of(row) for row in ROWS])
def test_layer_is_and_computes_what_mlx_does(number, row, cpp):
    layer = layer_of(row)
    assert repr(layer) == row["repr"]
    assert {k: list(v.shape) for k, v in tree_flatten(layer.parameters())} == row["parameters"]
    assert [k for k, _ in tree_flatten(layer.trainable_parameters())] == row["trainable"]

    fill_parameters(layer)
    x, integers = input_of(row), row["input"]["integers"]

    def loss(parameters, x):
        layer.update(parameters)
        y = call(layer, row["call"], x)
        return (y * fill(y.shape, 7)).sum(), y

    trainable = layer.trainable_parameters()
    x_gradient = None
    if integers:
        (_, y), gradients = mx.value_and_grad(loss)(trainable, x)
    else:
        (_, y), (gradients, x_gradient) = mx.value_and_grad(loss, argnums=(0, 1))(trainable, x)
    # All at once, as in C++: what is computed together may be rounded together.
    mx.eval(y, gradients, x_gradient)
    if not integers:
        assert_is(x_gradient, row["input_gradient"], "input gradient")
    layer.update(trainable)
    bits = cpp(number)
    if bits is not None:
        ours = {"output": y, **tree_flatten(gradients, destination={})}
        if not integers:
            ours["input gradient"] = x_gradient
        assert bits.keys() == ours.keys()
        for name, value in ours.items():
            assert np.array_equal(bits_of(value), bits[name]), name
    assert_is(y, row["output"], "output")
    assert tree_flatten(gradients, destination={}).keys() == row["gradients"].keys()
    for name, gradient in tree_flatten(gradients):
        assert_is(gradient, row["gradients"][name], f"gradient of {name}")
    for name, value in tree_flatten(layer.parameters()):
        if name in row["state_after"]:
            assert_is(value, row["state_after"][name], name)


def same_parameters(a, b):
    a, b = tree_flatten(a.parameters()), tree_flatten(b.parameters())
    return [k for k, _ in a] == [k for k, _ in b] and all(
        mx.array_equal(x, y).item() for (_, x), (_, y) in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("number, row", list(enumerate(ROWS)), ids=[name_of(row) for row in ROWS])
def test_weights_that_cpp_saved_are_loaded(number, row, cpp, folder):
    if cpp(number) is None:
        pytest.skip("this is a build without the C++ tests")
    filled = layer_of(row)
    fill_parameters(filled)
    assert same_parameters(layer_of(row).load_weights(folder / f"{number}.out.safetensors"), filled)


# Layers that MLX lacks, with their inputs.
OWN = [
    *[(f"AdaptiveAvgPool{n}d", {"output_size": 2}, (1, *[4] * n, 2)) for n in (1, 2, 3)],
    *[(f"AdaptiveMaxPool{n}d", {"output_size": 2}, (1, *[4] * n, 2)) for n in (1, 2, 3)],
    ("Hardtanh", {"min_val": -0.5, "max_val": 0.25}, (2, 3)),
    ("Hardshrink", {"lambd": 0.25}, (2, 3)),
    ("Softplus", {"beta": 2, "threshold": 3}, (2, 3)),
    *[
        (name, {"input_size": 3, "hidden_size": 2, "num_layers": 2, "bidirectional": True}, (4, 3))
        for name in ("GRU", "LSTM")
    ],
    ("RNN", {"input_size": 3, "hidden_size": 2, "nonlinearity": "relu"}, (4, 3)),
    ("RNN", {"input_size": 3, "hidden_size": 2, "nonlinearity": nn.silu}, (4, 3)),
]
ALL = [(layer_of, row) for row in ROWS] + [(None, row) for row in OWN]


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
@pytest.mark.parametrize("make, row", ALL, ids=[name_of(r) if make else f"{r[0]}{r[1]}" for make, r in ALL])
def test_layers_are_pickled_and_copied(make, row, way):
    if make:
        layer, x, kind = layer_of(row), input_of(row), row["call"]
    else:
        name, kwargs, shape = row
        layer, x, kind = getattr(nn, name)(**kwargs), fill(shape, 0), "once"
    fill_parameters(layer)
    layer.freeze(keys="bias")
    other = pickle.loads(pickle.dumps(layer)) if way == "pickle" else copy.deepcopy(layer)
    assert type(other) is type(layer) and repr(other) == repr(layer) and other.training == layer.training
    assert same_parameters(other, layer)
    assert [k for k, _ in tree_flatten(other.trainable_parameters())] == [
        k for k, _ in tree_flatten(layer.trainable_parameters())
    ]
    a, b = call(layer, kind, x), call(other, kind, x)
    assert a.dtype == b.dtype and mx.array_equal(a, b).item()
    before = dict(tree_flatten(layer.parameters()))
    other.apply(lambda p: p + 1)
    assert all(v is before[k] for k, v in tree_flatten(layer.parameters()))


def test_every_layer_is_among_them():
    layers = {v for v in vars(nn).values() if isinstance(v, type) and issubclass(v, nn.Module)} - {nn.Module}
    tested = {getattr(nn, row["class"] if make else row[0]) for make, row in ALL}
    assert {c.__name__ for c in layers - tested} == {"Sequential"}  # python/tests/test_nn_module.py
