"""NumPy's formats, .npy and .npz, against NumPy and MLX."""

import io
import struct
from pathlib import Path

import mlx.core as mlx
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn

DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
DTYPES += ["float16", "float32", "float64", "complex64"]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_exchanged_with_numpy(dtype, shape, tmp_path):
    x = (RNG.random(shape) * 100).astype(dtype)
    np.save(tmp_path / "a.npy", x)
    read = mx.load(tmp_path / "a.npy")
    assert read.shape == x.shape and str(read.dtype).endswith(dtype)
    np.testing.assert_array_equal(np.array(read), x)
    mx.save(tmp_path / "b", read)
    again = np.load(tmp_path / "b.npy")
    assert again.dtype == x.dtype
    np.testing.assert_array_equal(again, x)


def test_bfloat16_is_exchanged_with_mlx(tmp_path):
    path = str(tmp_path / "a.npy")
    mlx.save(path, mlx.array([1.5, -2.0], mlx.bfloat16))
    read = mx.load(path)
    assert read.dtype == mx.bfloat16 and read.tolist() == [1.5, -2.0]
    mx.save(path, read * 2)
    theirs = mlx.load(path)
    assert theirs.dtype == mlx.bfloat16 and theirs.tolist() == [3.0, -4.0]


def test_other_orders_of_elements_and_bytes_are_read(tmp_path):
    x = RNG.random((2, 3, 4))
    for other in (np.asfortranarray(x), x.astype(">f8"), x.astype(">f4"), (x + 1j * x).astype(">c8"), x.T):
        np.save(tmp_path / "a.npy", other)
        np.testing.assert_array_equal(
            np.array(mx.load(tmp_path / "a.npy")), other.astype(other.dtype.newbyteorder("="))
        )


def test_what_is_not_compressed_is_mapped(tmp_path):
    def maps(name):
        return name in Path("/proc/self/maps").read_text()

    values = {"a": np.arange(9), "odd name é": RNG.random((5, 3), np.float32), "h": np.arange(7, dtype=np.uint8)}
    for name, save in (("ours.npz", mx.savez), ("numpy.npz", np.savez), ("packed.npz", mx.savez_compressed)):
        save(tmp_path / name, **{k: v if save is np.savez else mx.array(v) for k, v in values.items()})
        read = mx.load(tmp_path / name)
        assert maps(name) == (name != "packed.npz")
        for key, value in values.items():
            np.testing.assert_array_equal(np.array(read[key]), value)
        read["h"][0] = 9  # a copy: the file stays as it is
        mx.eval(read)
        assert mx.load(tmp_path / name)["h"][0].item() == 0


@pytest.mark.parametrize("save", ["savez", "savez_compressed"])
def test_archives_are_exchanged_with_numpy_and_mlx(save, tmp_path):
    path = str(tmp_path / "a.npz")
    arrays = {"w": RNG.random((3, 4), np.float32), "layers.0.b": np.arange(5)}
    getattr(np, save)(path, arrays["w"] * 2, **arrays)
    for library in (mx, mlx):
        read = library.load(path)
        assert set(read) == {"w", "layers.0.b", "arr_0"}
    ours = {name: mx.array(value) for name, value in arrays.items()}
    getattr(mx, save)(tmp_path / "b", mx.ones(2), **ours)
    for read in (dict(np.load(tmp_path / "b.npz")), mlx.load(str(tmp_path / "b.npz")), mx.load(tmp_path / "b.npz")):
        assert set(read) == {"w", "layers.0.b", "arr_0"}
        for name, value in arrays.items():
            np.testing.assert_array_equal(np.array(read[name]), value)


def test_open_files_are_read_and_written():
    for save, load in ((mx.save, "npy"), (mx.savez, "npz")):
        file = io.BytesIO()
        save(file, mx.arange(3))
        file.seek(0)
        read = mx.load(file, load)
        assert (read if load == "npy" else read["arr_0"]).tolist() == [0, 1, 2]


def test_weights_are_saved_and_loaded(tmp_path):
    a, b = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    path = str(tmp_path / "w.npz")
    a.save_weights(path)
    b.load_weights(path)
    assert mx.array_equal(a(mx.ones((1, 2))), b(mx.ones((1, 2)))).item()


def npy(header, data=b"", version=1, length=None):
    text = header.encode("latin1")
    n = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", n) + text + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "not an .npy file"),
        (b"\x93NUMPZ" + bytes(20), "not an .npy file"),
        (npy(GOOD, bytes(8), version=9), "unknown version"),
        (npy(GOOD, bytes(8), length=5000), "cut short"),
        (npy(GOOD, bytes(8), version=2, length=2**32 - 1), "cut short"),
        (npy(GOOD, bytes(7)), "holds 7 bytes"),
        (npy(GOOD.replace("2,", "2**3,"), bytes(8)), "not a dict"),
        (npy(GOOD.replace("2,", "-2,"), bytes(8)), "not a dict"),
        (npy(GOOD.replace("2,", "99999999999999999999,"), bytes(8)), "not a dict"),
        (npy(GOOD.replace("2,", "4611686018427387904, 4"), bytes(8)), "needs more"),
        (npy(GOOD.replace("2,", "0, 4611686018427387904, 4"), bytes(8)), "needs more"),
        (npy(GOOD.replace("<f4", "|O")), "'O', which is not known"),
        (npy(GOOD.replace("<f4", "<c16")), "'c16', which is not known"),
        (npy(GOOD.replace("'shape'", "'shap'")), "not a dict"),
        (npy(GOOD.replace("'fortran_order': False, ", "")), "not a dict"),
        (npy(GOOD.replace("False", "False, 'descr': '<f4'")), "not a dict"),
        (npy(GOOD.replace("False", "Maybe")), "not a dict"),
        (npy(GOOD + "1"), "not a dict"),
        (npy("{'descr"), "not a dict"),
        (npy(""), "not a dict"),
    ],
)
def test_files_that_lie_are_refused(data, words, tmp_path):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(RuntimeError, match=words):
        mx.load(tmp_path / "a.npy")


@pytest.mark.parametrize("save", ["savez", "savez_compressed"])
def test_broken_archives_are_refused(save, tmp_path):
    path = tmp_path / "a.npz"
    getattr(mx, save)(path, w=mx.arange(1000), b=mx.ones(3))
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    for i in range(300):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            bad[rng.integers(0, len(bad))] = rng.integers(0, 256)
        path.write_bytes(bytes(bad[: rng.integers(0, len(bad))] if i % 3 == 0 else bad))
        try:
            for x in mx.load(path).values():
                mx.eval(x + x)
        except RuntimeError:
            pass


def test_wrong_calls_are_errors(tmp_path):
    with pytest.raises(ValueError, match="arr_0"):
        mx.savez(tmp_path / "a", mx.ones(1), arr_0=mx.ones(1))
    with pytest.raises(RuntimeError, match="cannot be opened"):
        mx.load(tmp_path / "none.npy")
    with pytest.raises(RuntimeError, match="none"):
        mx.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="metadata"):
        mx.load(tmp_path / "a.npz", return_metadata=True)
    with pytest.raises(TypeError):
        mx.save(tmp_path / "a", [1, 2])
