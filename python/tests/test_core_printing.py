"""Printing arrays and graphs, sizes of buffers, and what only a GPU's toolchain can do."""

import io

import mlx.core as mlx
import pytest

import treadle.core as mx

VALUES = [
    [1.23456789, 1e-9, 123456789.0],
    [0.5, float("nan"), float("inf"), -0.0],
    [1.5 + 2.25j, -1e-9 - 1j],
    [1, 2],
    1.25,
]


@pytest.mark.parametrize("precision", [-1, 0, 1, 3, 10])
def test_numbers_are_printed_as_mlx_prints_them(precision):
    def texts(m):
        with m.printoptions(precision=precision):
            assert m.get_printoptions().precision == precision
            return [str(m.array(v)) for v in VALUES] + [str(m.array(VALUES[0], m.float16))]

    assert texts(mx) == texts(mlx)
    assert mx.get_printoptions().precision == -1


def test_print_options_are_set_and_put_back():
    try:
        mx.set_printoptions(precision=2)
        assert str(mx.array(1.256)) == "array(1.26, dtype=float32)"
        with pytest.raises(KeyError), mx.printoptions(precision=4):
            raise KeyError
        assert mx.get_printoptions() == mx.PrintOptions(2)
    finally:
        mx.set_printoptions()
    assert str(mx.array(1.256)) == "array(1.256, dtype=float32)"
    with pytest.raises(ValueError, match="precision -2"):
        mx.set_printoptions(-2)
    assert "1.00" in str(mx.array(1e38)) or len(str(mx.array(1e38))) > 10


def test_a_graph_in_dot_names_operations_and_arrays():
    x, y = mx.array(1.0), mx.array([2.0, 3])
    z = mx.exp(x + y)
    out = io.StringIO()
    mx.export_to_dot(out, z, [z * 2], x=x, long_name=y)
    text = out.getvalue()
    assert text.startswith("digraph {") and text.rstrip().endswith("}")
    for part in ('label="exp"', 'label="add"', 'label="multiply"', '"x"', '"long_name"', "rank=sink", "rank=source"):
        assert part in text
    assert text.count("->") == 8


def test_graphs_are_written_to_files(tmp_path):
    path = tmp_path / "graph.dot"
    mx.export_to_dot(path, mx.split(mx.arange(4), 2))
    assert "digraph" in path.read_text()
    with pytest.raises(RuntimeError, match="cannot be written"):
        mx.export_to_dot(str(tmp_path / "no" / "graph.dot"), mx.array(1) + 1)
    with pytest.raises(ValueError, match="no array"):
        mx.export_to_dot(path, 3)


def test_each_buffer_counts_once():
    a = mx.arange(1000.0)
    mx.eval(a)
    size = mx.get_array_buffer_size(a)
    assert 4000 <= size <= 5000
    b = a[10:]
    mx.eval(b)
    assert mx.get_array_buffer_size(a, [a, b], {"x": a}, 3, None) == size
    assert mx.get_array_buffer_size() == 0
    with pytest.raises(ValueError, match="not evaluated"):
        mx.get_array_buffer_size(a + 1)


def test_what_needs_a_gpu_says_so():
    assert mx.metal.is_available() is False
    arguments = {"name": "mine", "input_names": ["x"], "output_names": ["y"], "source": ""}
    for call in (
        lambda: mx.fast.metal_kernel(**arguments)(inputs=[], output_shapes=[], output_dtypes=[]),
        lambda: mx.fast.cuda_kernel(**arguments),
        lambda: mx.metal.start_capture("a.gputrace"),
        mx.metal.stop_capture,
        mx.metal.device_info,
    ):
        with pytest.raises(RuntimeError, match="Metal|CUDA"):
            call()


def test_objects_with_mlx_array_are_array_like():
    class Mine:
        def __mlx_array__(self):
            return mx.array([1, 2])

    assert (mx.ArrayLike(Mine()) + mx.array(1)).tolist() == [2, 3]
    assert mx.add(Mine(), 1).tolist() == [2, 3]
    with pytest.raises(TypeError, match="__mlx_array__"):
        mx.ArrayLike(3)
