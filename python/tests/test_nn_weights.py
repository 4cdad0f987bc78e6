"""Weights in files: saved, loaded, exchanged with mlx."""

import io
from pathlib import Path

import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten


def equal(a, b):
    a, b = tree_flatten(a.parameters()), tree_flatten(b.parameters())
    return [k for k, _ in a] == [k for k, _ in b] and all(
        np.array_equal(np.array(x), np.array(y)) for (_, x), (_, y) in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
@pytest.mark.parametrize(
    "kind", [str, Path, lambda p: io.BufferedReader(io.FileIO(str(p))), lambda p: list(mx.load(str(p)).items())]
)
def test_weights_come_back_from_a_file(tmp_path, ending, kind):
    m, other = nn.Sequential(nn.Linear(3, 2), nn.PReLU()), nn.Sequential(nn.Linear(3, 2), nn.PReLU())
    path = tmp_path / f"w.{ending}"
    m.save_weights(path)
    source = kind(path)
    assert other.load_weights(source) is other
    if isinstance(source, io.IOBase):
        source.close()
    assert equal(m, other)


def test_weights_are_exchanged_with_mlx(tmp_path):
    path = str(tmp_path / "w.safetensors")
    ours, theirs = nn.Linear(3, 2), mlx.nn.Linear(3, 2)
    ours.save_weights(path)
    theirs.load_weights(path)
    assert np.array_equal(np.array(ours.weight), np.array(theirs.weight))
    theirs.bias = theirs.bias + 1
    theirs.save_weights(path)
    ours.load_weights(path)
    assert np.array_equal(np.array(ours.bias), np.array(theirs.bias))


def test_weights_are_read_from_gguf(tmp_path):
    m, other = nn.Linear(3, 2), nn.Linear(3, 2)
    path = str(tmp_path / "w.gguf")
    mx.save_gguf(path, dict(tree_flatten(m.parameters())))
    assert equal(m, other.load_weights(path))
