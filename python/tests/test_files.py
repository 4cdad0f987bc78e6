"""Arrays in files: safetensors, by name and as open files, exchanged with mlx."""

import io
import os
from pathlib import Path

import mlx.core
import numpy as np
import pytest

import treadle.core as mx

DTYPES = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64".split()  # noqa: SIM905
DTYPES += "float16 bfloat16 float32 float64 complex64".split()  # noqa: SIM905


def arrays(mx, dtypes=DTYPES):
    return {d: mx.array([[1, 0, 3]]).astype(getattr(mx, d)) for d in dtypes} | {"scalar": mx.array(2.5)}


def numbers(a, float32):
    return np.array(a.astype(float32))


@pytest.mark.parametrize("kind", [str, Path])
def test_arrays_and_metadata_come_back(tmp_path, kind):
    path = kind(tmp_path / "a.safetensors")
    saved = arrays(mx)
    mx.save_safetensors(path, saved, {"format": "mlx"})
    loaded, metadata = mx.load(path, return_metadata=True)
    assert metadata == {"format": "mlx"} and list(loaded) == list(saved)
    for name, a in saved.items():
        assert loaded[name].dtype == a.dtype and loaded[name].shape == a.shape
        assert loaded[name].tolist() == a.tolist(), name


def test_an_ending_is_added_to_a_name_without_one(tmp_path):
    mx.save_safetensors(str(tmp_path / "a"), {"x": mx.array(1)})
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_open_files_are_read_and_written(tmp_path):
    with open(tmp_path / "a.bin", "wb") as file:
        mx.save_safetensors(file, {"x": mx.array([1, 2])})
    with open(tmp_path / "a.bin", "rb") as file:
        assert mx.load(file, format="safetensors")["x"].tolist() == [1, 2]
    memory = io.BytesIO()
    mx.save_safetensors(memory, {"x": mx.array([1, 2])})
    memory.seek(0)
    loaded = mx.load(memory)
    memory.close()
    assert (loaded["x"] * 2).tolist() == [2, 4]


def test_files_are_exchanged_with_mlx(tmp_path):
    path = str(tmp_path / "a.safetensors")
    common = [d for d in DTYPES if d != "float64"]
    for writer, reader in ((mx, mlx.core), (mlx.core, mx)):
        writer.save_safetensors(path, arrays(writer, common))
        loaded = reader.load(path)
        assert set(loaded) == {*common, "scalar"}
        for name, a in arrays(reader, common).items():
            assert loaded[name].dtype == a.dtype
            np.testing.assert_array_equal(numbers(loaded[name], reader.float32), numbers(a, reader.float32), name)


def test_what_is_wrong_is_said(tmp_path):
    with open(tmp_path / "a.gguf", "wb+") as file, pytest.raises(RuntimeError, match="not a GGUF file"):
        mx.load(file)
    with open(tmp_path / "a.txt", "wb+") as file, pytest.raises(ValueError, match=r"\.txt"):
        mx.load(file)
    with pytest.raises(RuntimeError, match="bytes"):
        mx.load(io.BytesIO(b"123"))
