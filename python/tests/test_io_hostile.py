"""Safetensors files that lie: each is read as what it says or refused, never read beyond its end."""

import json
import struct

import numpy as np
import pytest

import treadle.core as mx

DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I64": 8, "BOOL": 1, "C64": 8}


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return str(path)


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HEADERS = {
    "negative length": entry(shape=(-1,)),
    "fraction": entry(shape=(1.5,)),
    "text as a length": entry(shape=("1",)),
    "lengths that overflow": entry(shape=(2**40, 2**40), offsets=(0, 8)),
    "a product that wraps to the bytes there are": entry("U8", (2**32, 2**32, 1), (0, 0)),
    "an overflow hidden by a zero": entry(shape=(0, 2**62, 4), offsets=(0, 0)),
    "more than int64": entry(shape=(2**64,)),
    "bytes beyond the end": entry(shape=(4,), offsets=(0, 16)),
    "begins beyond the end": entry(offsets=(8, 12)),
    "offsets that wrap": entry(offsets=(2**64 - 4, 0)),
    "ends before it begins": entry(offsets=(4, 0)),
    "negative offsets": entry(offsets=(-4, 0)),
    "three offsets": entry(offsets=(0, 4, 8)),
    "too few bytes": entry(shape=(2,)),
    "unknown dtype": entry("F31"),
    "no dtype": {"shape": [1], "data_offsets": [0, 4]},
    "a number": 3,
    "null": None,
}


@pytest.mark.parametrize("what", HEADERS)
def test_tensors_that_do_not_fit_are_refused(what, tmp_path):
    path = write(tmp_path / "a.safetensors", {"t": HEADERS[what]}, bytes(8))
    with pytest.raises(RuntimeError, match="'t' wrongly"):
        mx.load(path)


@pytest.mark.parametrize(
    "header, length",
    [
        (b"{}", 2**63),
        (b"{}", 2**64 - 1),
        (b"{}", 100_000_001),
        (b"{}", 3),
        (b"", 0),
        (b"[]", None),
        (b"{" * 1000, None),
        (b'{"t":', None),
        (b'{"\xff": 1}', None),
        (b'{"__metadata__": {"a": 1}}', None),
        (b'{"__metadata__": 3}', None),
        (
            b'{"t": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}, '
            b'"t": {"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
            None,
        ),
        (
            b'{"a": {"dtype":"U8","shape":[5],"data_offsets":[0,5]}, '
            b'"b": {"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
            None,
        ),
    ],
)
def test_headers_that_lie_are_refused(header, length, tmp_path):
    with pytest.raises(RuntimeError):
        mx.load(write(tmp_path / "a.safetensors", header, bytes(8), length))


@pytest.mark.parametrize("seed", range(300))
def test_random_headers_are_read_as_they_say_or_refused(seed, tmp_path):
    rng = np.random.default_rng(seed)
    data = rng.bytes(int(rng.integers(0, 64)))

    def number():
        kind = rng.integers(0, 12)
        if kind == 0:
            return int(rng.choice([-1, 2**31, 2**32, 2**62]))
        return int(rng.integers(0, 70 if kind < 4 else 5))

    header = {}
    for i in range(rng.integers(0, 4)):
        dtype = str(rng.choice(list(DTYPES)))
        shape = [number() for _ in range(rng.integers(0, 4))]
        begin = number()
        # Mostly the right length, so that some files are good.
        size = DTYPES[dtype] * int(np.prod(np.array(shape, dtype=object), initial=1))
        header[f"t{i}"] = entry(dtype, shape, (begin, begin + size if rng.random() < 0.8 else number()))
    try:
        loaded = mx.load(write(tmp_path / "a.safetensors", header, data))
    except RuntimeError:
        return
    assert loaded.keys() == header.keys()
    for name, x in loaded.items():
        said = header[name]
        begin, end = said["data_offsets"]
        assert list(x.shape) == said["shape"] and x.nbytes == end - begin and end <= len(data)
        if said["dtype"] not in ("BOOL", "BF16"):
            assert bytes(x) == data[begin:end]


def test_random_changes_of_a_good_file_do_no_harm(tmp_path):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(str(path), {"w": mx.ones((3, 4)), "b": mx.arange(5)}, {"k": "v"})
    good = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(500):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            bad[rng.integers(0, len(bad) - 68)] = rng.integers(0, 256)
        path.write_bytes(bytes(bad[: rng.integers(1, len(bad) + 1)] if rng.random() < 0.2 else bad))
        try:
            for x in mx.load(str(path)).values():
                mx.eval(x + x)
        except RuntimeError:
            pass
