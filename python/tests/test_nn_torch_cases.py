"""Layers that MLX lacks against figures of PyTorch, tests/cases/torch_cases.json: results and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn

ROWS = json.loads((Path(__file__).resolve().parents[2] / "tests" / "cases" / "torch_cases.json").read_text())


def fill(shape, seed, scale=1.0):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape)


def assert_is(value, expected):
    assert list(value.shape) == expected["shape"]
    np.testing.assert_allclose(np.array(value).ravel(), expected["values"], rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['class']}{r['kwargs']}")
def test_layer_computes_what_pytorch_does(row):
    layer = getattr(nn, row["class"])(**{k: tuple(v) if isinstance(v, list) else v for k, v in row["kwargs"].items()})
    weights = {k: fill(shape, i + 1, 0.5) for i, (k, shape) in enumerate(row["weights"].items())}
    layer.load_torch_state_dict(weights)

    def loss(parameters, x):
        layer.update(parameters)
        y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
        return (y * mx.array(fill(y.shape, 7))).sum(), y

    x = mx.array(fill(row["input"], 0, 2.0))
    (_, y), (gradients, x_gradient) = mx.value_and_grad(loss, argnums=(0, 1))(layer.parameters(), x)
    assert_is(y, row["output"])
    assert_is(x_gradient, row["input_gradient"])
    for name, expected in row["gradients"].items():
        if name.startswith("weight"):
            kind, _, ending = name.partition("_l")
            short = {"weight_ih": 0, "weight_hh": 1}[kind]
            ours = layer._names[short] + ("" if ending == "0" else f"_l{ending}")
            assert_is(gradients[ours], expected)
