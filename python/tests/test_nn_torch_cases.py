"""Layers with PyTorch's weights against its figures, tests/cases/torch_cases.json: results and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn

CASES = Path(__file__).resolve().parents[2] / "tests" / "cases"
ROWS = json.loads((CASES / "torch_cases.json").read_text())
PARITY = json.loads((CASES / "nn_cases.json").read_text())


def fill(shape, seed, scale=1.0):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape)


def weights_of(row):
    weights = {k: fill(shape, i + 1, 0.5) for i, (k, shape) in enumerate(row["weights"].items())}
    return {k: np.abs(v) + 0.5 if k.endswith("running_var") else v for k, v in weights.items()}


def called(layer, row, x):
    name = row["class"]
    if name == "MultiHeadAttention":
        keys = x[..., : row["kwargs"].get("key_input_dims")]
        return layer(x, keys, keys)
    y = layer(x, x) if name == "Bilinear" or "Decoder" in name or name == "Transformer" else layer(x)
    return y[0] if isinstance(y, tuple) else y


def assert_is(value, expected):
    assert list(value.shape) == expected["shape"]
    np.testing.assert_allclose(np.array(value).ravel(), expected["values"], rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['class']}{r['kwargs']}")
def test_layer_computes_what_pytorch_does(row):
    layer = getattr(nn, row["class"])(**{k: tuple(v) if isinstance(v, list) else v for k, v in row["kwargs"].items()})
    layer.load_torch_state_dict(weights_of(row)).eval()

    def loss(parameters, x):
        layer.update(parameters)
        y = called(layer, row, x)
        return (y * mx.array(fill(y.shape, 7))).sum(), y

    x = mx.array(fill(row["input"], 0, 2.0))
    if integers := row["kwargs"].get("num_embeddings"):
        x = mx.floor((x / 2 + 1) * (integers / 2)).astype(mx.int32)
        assert_is(called(layer, row, x), row["output"])
        return
    (_, y), (gradients, x_gradient) = mx.value_and_grad(loss, argnums=(0, 1))(layer.parameters(), x)
    assert_is(y, row["output"])
    assert_is(x_gradient, row["input_gradient"])
    for name, expected in row["gradients"].items():
        if name.startswith("weight"):
            kind, _, ending = name.partition("_l")
            short = {"weight_ih": 0, "weight_hh": 1}[kind]
            ours = layer._names[short] + ("" if ending == "0" else f"_l{ending}")
            assert_is(gradients[ours], expected)


def test_all_layers_with_parameters_are_among_them():
    with_parameters = {row["class"] for row in PARITY if row["parameters"]}
    assert len(with_parameters) > 20 and not with_parameters - {row["class"] for row in ROWS}
