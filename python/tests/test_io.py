"""Safetensors files: what MLX writes is read, and the reverse."""

from pathlib import Path

import mlx.core as reference
import numpy as np
import pytest

import treadle.core as mx


def values():
    return {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, -2], np.int8), "c": np.array(2.5)}


def test_a_file_of_mlx_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    expected = {k: v.astype(np.float32) for k, v in values().items()}
    reference.save_safetensors(str(path), {k: reference.array(v) for k, v in expected.items()}, {"k": "v"})
    arrays, metadata = mx.load(path, return_metadata=True)
    assert metadata["k"] == "v"
    assert {k: np.array(v).tolist() for k, v in arrays.items()} == {k: v.tolist() for k, v in expected.items()}


def test_mlx_reads_our_file(tmp_path):
    path = str(tmp_path / "x.safetensors")
    mx.save_safetensors(path, {"h": mx.array([1.5, 2.5], mx.bfloat16), "i": mx.array([[1, 2]])}, {"k": "v"})
    arrays, metadata = reference.load(path, return_metadata=True)
    assert metadata["k"] == "v"
    assert arrays["h"].dtype == reference.bfloat16
    assert arrays["h"].tolist() == [1.5, 2.5]
    assert arrays["i"].tolist() == [[1, 2]]


def test_the_ending_is_added(tmp_path):
    mx.save_safetensors(str(tmp_path / "x"), {"a": mx.array(1)})
    assert mx.load(str(tmp_path / "x.safetensors"))["a"].item() == 1


def test_errors(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be opened"):
        mx.load(str(tmp_path / "none.safetensors"))
    with pytest.raises(RuntimeError, match="cannot be opened"):
        mx.load("weights.gguf")
    with pytest.raises(TypeError, match="expected a str or os.PathLike"):
        mx.load(3)
    with pytest.raises(TypeError, match="'a' is a list; expected an array"):
        mx.save_safetensors(str(tmp_path / "x"), {"a": [1.0]})
    assert list(Path(tmp_path).iterdir()) == []
