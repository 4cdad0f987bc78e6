"""GGUF files: exchanged with MLX, block formats as MLX unpacks them, and files that lie."""

import io
import struct

import mlx.core as mlx
import numpy as np
import pytest
from gguf import gguf, number, numbers, tensor, text, texts
from oracle import assert_same

import treadle.core as mx

RNG = np.random.default_rng(0)
COMMON = ["float32", "float16", "int8", "int16", "int32"]


def arrays(m, dtypes=COMMON):
    values = {d: m.array([[1, 0, 3]]).astype(getattr(m, d)) for d in dtypes}
    return values | {"scalar": m.array(2.5), "axes": m.arange(24).reshape(2, 3, 1, 4)}


def metadata(m):
    return {
        "text": "v", "texts": ["a", "", "ü"], "i": m.array(3), "f": m.array(2.5), "u8": m.array(3, m.uint8),
        "floats": m.array([1.0, 2]), "ints": m.array([1, 2], m.int16), "many": m.array([2**40], m.uint64),
    }  # fmt: skip


def test_files_are_exchanged_with_mlx(tmp_path):
    path = str(tmp_path / "a.gguf")
    for writer, reader in ((mx, mlx), (mlx, mx), (mx, mx)):
        writer.save_gguf(path, arrays(writer), metadata(writer))
        got = reader.load(path, return_metadata=True)
        for read, wanted in zip(got, (arrays(reader), metadata(reader)), strict=True):
            assert set(read) == set(wanted)
            for key, value in wanted.items():
                if isinstance(value, str | list):
                    assert read[key] == value
                else:
                    assert read[key].dtype == value.dtype and read[key].tolist() == value.tolist(), key


def test_more_dtypes_and_forms_of_files(tmp_path):
    saved = arrays(mx, [*COMMON, "bfloat16", "float64", "int64"]) | {
        "empty": mx.zeros((0, 3)),
        "t": mx.arange(6).reshape(2, 3).T,
    }
    mx.save_gguf(tmp_path / "a", saved)
    memory = io.BytesIO()
    mx.save_gguf(memory, saved, {"k": "v"})
    memory.seek(0)
    for loaded in (mx.load(tmp_path / "a.gguf"), mx.load(memory, format="gguf")):
        assert list(loaded) == list(saved)
        for name, a in saved.items():
            assert loaded[name].dtype == a.dtype and loaded[name].tolist() == a.tolist(), name
    memory.seek(0)
    assert mx.load(memory, "gguf", return_metadata=True)[1] == {"k": "v"}


def test_arrays_lie_in_the_file_until_they_are_used(tmp_path):
    mx.save_gguf(tmp_path / "a.gguf", {"x": mx.zeros((1 << 20,))})
    mx.save(tmp_path / "a.npy", mx.zeros((1 << 20,)))
    mx.clear_cache()
    before = mx.get_active_memory()
    x, y = mx.load(tmp_path / "a.gguf")["x"], mx.load(tmp_path / "a.npy")
    mx.eval(x, y)
    assert mx.get_active_memory() - before < 1 << 20
    assert (x.sum() + y.sum()).item() == 0


def blocks(count, numbers_before, payload):
    def one():
        return RNG.random(numbers_before).astype(np.float16).tobytes() + RNG.bytes(payload)

    return b"".join(one() for _ in range(count))


@pytest.mark.parametrize("kind, before, payload", [(2, 1, 16), (3, 2, 16), (8, 1, 32)], ids=["Q4_0", "Q4_1", "Q8_0"])
def test_blocks_are_unpacked_as_mlx_does(kind, before, payload, tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf({}, {"a.weight": tensor((64, 3), kind, blocks(6, before, payload))}))
    ours, theirs = mx.load(path), mlx.load(str(path))
    assert set(ours) == set(theirs) == {"a.weight", "a.scales", "a.biases"}
    for name in ours:
        assert_same(ours[name], theirs[name])


def test_every_type_of_metadata_is_read(tmp_path):
    path = tmp_path / "a.gguf"
    values = {k: number(k, 1) for k in "BbHhIiQq?"} | {"f": number("f", 1.5), "d": number("d", 1.25)}
    lists = {k * 2: numbers(k, [1, 0]) for k in "BbHhIiQq?fd"} | {"none": texts([]), "t": texts(["a", "b"])}
    path.write_bytes(gguf(values | lists, {"x": tensor((2,), 0, bytes(8))}, version=2))
    _, read = mx.load(path, return_metadata=True)
    names = "uint8 int8 uint16 int16 uint32 int32 uint64 int64 bool float32 float64".split()  # noqa: SIM905
    for key, dtype in zip("BbHhIiQq?fd", names, strict=True):
        assert str(read[key].dtype).endswith(dtype) and read[key].shape == () and read[key * 2].tolist() == [1, 0]
    assert read["f"].item() == 1.5 and read["d"].item() == 1.25 and read["none"] == [] and read["t"] == ["a", "b"]


def test_another_alignment_is_heeded(tmp_path):
    path = tmp_path / "a.gguf"
    data = {"x": tensor((1,), 26, struct.pack("<i", 7)), "y": tensor((1,), 26, struct.pack("<i", 8))}
    path.write_bytes(gguf({"general.alignment": number("I", 64)}, data, alignment=64))
    assert {k: v.tolist() for k, v in mx.load(path).items()} == {"x": [7], "y": [8]}


@pytest.mark.parametrize("alignment", [8, 32, 64, 4096])
def test_a_given_alignment_is_written(tmp_path, alignment):
    path = tmp_path / "a.gguf"
    values = {"x": mx.array([1.0]), "y": mx.arange(33), "z": mx.array([2], mx.int8)}
    mx.save_gguf(path, values, {"general.alignment": mx.array(alignment, mx.uint32)})
    read, metadata = mx.load(path, return_metadata=True)
    assert {k: v.tolist() for k, v in read.items()} == {k: v.tolist() for k, v in values.items()}
    assert metadata["general.alignment"].item() == alignment
    data = path.read_bytes()
    assert data[-alignment:][0] == 2 and len(data) % alignment == 0


X = {"x": tensor((2,), 0, bytes(8))}
BAD = {
    "magic": b"GGUG" + gguf({}, X)[4:],
    "version": gguf({}, X, version=1),
    "nothing": b"",
    "only the magic": b"GGUF",
    "too many values": gguf({}, X, counts=(1, 2**60)),
    "too many tensors": gguf({}, X, counts=(2**60, 0)),
    "a value too many": gguf({}, {}, counts=(0, 1)),
    "a key longer than the file": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**63) + bytes(40),
    "a text longer than the file": gguf({"k": (8, struct.pack("<Q", 2**40))}, X),
    "a list longer than the file": gguf({"k": (9, struct.pack("<IQ", 5, 2**61))}, X),
    "a list whose bytes wrap": gguf({"k": (9, struct.pack("<IQ", 12, 2**61 + 1))}, X),
    "texts more than the file": gguf({"k": (9, struct.pack("<IQ", 8, 2**50))}, X),
    "a list of lists": gguf({"k": (9, struct.pack("<IQ", 9, 1) + bytes(20))}, X),
    "an unknown value": gguf({"k": (13, bytes(8))}, X),
    "a key twice": gguf({"k": number("i", 1)}, X).replace(
        struct.pack("<QQ", 1, 1), struct.pack("<QQ", 1, 2)
    )[:24] + (text("k") + struct.pack("<Ii", 5, 1)) * 2 + bytes(64),
    "alignment 0": gguf({"general.alignment": number("I", 0)}, X),
    "alignment 12": gguf({"general.alignment": number("I", 12)}, X),
    "alignment in words": gguf({"general.alignment": (8, text("32"))}, X),
    "a type that is not known": gguf({}, {"x": tensor((2,), 99, bytes(8))}),
    "blocks that are not supported": gguf({}, {"x": tensor((256,), 12, bytes(144))}),
    "blocks over a short axis": gguf({}, {"x": tensor((16, 2), 2, bytes(18))}),
    "blocks without an axis": gguf({}, {"x": tensor((), 2, bytes(18))}),
    "too many axes": gguf({}, {"x": tensor((1,) * 9, 0, bytes(4))}),
    "a length of 2^63": gguf({}, {"x": tensor((2**63,), 0, bytes(4))}),
    "lengths that wrap": gguf({}, {"x": tensor((2**32, 2**32), 0, bytes(4))}),
    "lengths that wrap behind a 0": gguf({}, {"x": tensor((0, 2**62, 4), 0, b"")}),
    "bytes beyond the end": gguf({}, {"x": tensor((100,), 0, bytes(4))}),
    "an offset beyond the end": gguf({}, X, offsets={"x": 2**40}),
    "an offset that wraps": gguf({}, X, offsets={"x": 2**64 - 4}),
    "tensors that overlap": gguf({}, X | {"y": tensor((2,), 0, bytes(8))}, offsets={"x": 0, "y": 4}),
    "a name twice": gguf({}, {"x": X["x"], "y": X["x"]}).replace(text("y"), text("x")),
    "a name of what is unpacked": gguf(
        {}, {"a.weight": tensor((32,), 2, bytes(18)), "a.scales": tensor((1,), 1, bytes(2))}
    ),
    "a name that is no text": gguf({}, {b"\xff\xfe": X["x"]}),
    "a text in overlong form": gguf({"k": (8, text(b"\xc0\x80"))}, X),
    "a text with half a pair": gguf({"k": (8, text(b"\xed\xa0\x80"))}, X),
    "a text that breaks off": gguf({"k": (8, text(b"\xe2\x82"))}, X),
    "no data": gguf({}, {"x": tensor((2,), 0, b"")}),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_files_that_lie_are_refused(what, tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(BAD[what])
    with pytest.raises(RuntimeError, match="load_gguf"):
        mx.load(path)


def test_random_changes_of_a_good_file_do_no_harm(tmp_path):
    path = tmp_path / "a.gguf"
    tensors = {
        "w": tensor((32, 2), 2, blocks(2, 1, 16)),
        "x": tensor((4,), 0, RNG.bytes(16)),
        "b": tensor((3,), 24, b"abc"),
    }
    good = gguf({"k": number("i", 1), "t": (8, text("v")), "l": texts(["a"])}, tensors)
    for _ in range(1000):
        bad = bytearray(good)
        for _ in range(RNG.integers(1, 4)):
            bad[RNG.integers(4, len(bad) - 96)] = RNG.integers(0, 256)
        path.write_bytes(bytes(bad[: RNG.integers(1, len(bad) + 1)] if RNG.random() < 0.2 else bad))
        try:
            for x in mx.load(path).values():
                mx.eval(x + x)
        except RuntimeError:
            pass


def test_what_cannot_be_written_is_an_error(tmp_path):
    path = tmp_path / "a.gguf"
    for values, extra, error in (
        ({"a": mx.array([True])}, {}, ValueError),
        ({"a": mx.array([1], mx.uint8)}, {}, ValueError),
        ({"a": [1]}, {}, TypeError),
        ({}, {"k": 3}, TypeError),
        ({}, {"k": mx.ones((2, 2))}, ValueError),
        ({}, {"k": mx.array(1.0, mx.bfloat16)}, ValueError),
        ({}, {"general.alignment": mx.array(12, mx.uint32)}, ValueError),
        ({}, {"general.alignment": mx.array(0, mx.uint32)}, ValueError),
        ({}, {"general.alignment": mx.array(64)}, ValueError),
        ({}, {"general.alignment": mx.array(1 << 31, mx.uint32)}, ValueError),
    ):
        with pytest.raises(error, match="save_gguf"):
            mx.save_gguf(path, values, extra)
    assert not path.exists()
