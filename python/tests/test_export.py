"""Functions in files: export_function, import_function, exporter."""

import subprocess
import sys

import numpy as np
import pytest
from oracle import check

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_map


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "function.treadle")


def test_arguments_by_position_and_name(path):
    mx.export_function(path, lambda x, y: x + y, mx.array(1.0), y=mx.array([1, 2, 3]))
    f = mx.import_function(path)
    x, y = mx.array(2.0), mx.array([1, 2, 3])
    for got in (f(x, y=y), f((x,), {"y": y}), f([x], {"y": y})):
        assert isinstance(got, tuple) and got[0].tolist() == [3, 4, 5]
    for call in (
        lambda: f(x, y),
        lambda: f(mx.array(2), y=y),
        lambda: f(x, y=mx.array([1, 2])),
        lambda: f(2.0, y=y),
        lambda: f(x),
    ):
        with pytest.raises(ValueError, match="import_function"):
            call()


@pytest.mark.parametrize("arguments", [((mx.array(1.0),),), ([mx.array(1.0)],), (mx.array(1.0),)])
def test_examples_may_be_a_tuple_or_list(path, arguments):
    mx.export_function(path, lambda x: (x, x + 1), *arguments)
    assert [y.item() for y in mx.import_function(path)(mx.array(2.0))] == [2, 3]


def test_a_dict_gives_arguments_by_name(path):
    mx.export_function(path, lambda x, a: x * a, (mx.array(3.0),), {"a": mx.array(2.0)})
    assert mx.import_function(path)(mx.array(3.0), a=mx.array(4.0))[0].item() == 12


def test_several_traces_and_metadata(path):
    with mx.exporter(path, lambda *a: sum(a), metadata="hi") as e:
        assert isinstance(e, mx.FunctionExporter)
        e(mx.array(1))
        e(mx.array(1), mx.array(2))
        with pytest.raises(ValueError, match="former trace"):
            e(mx.array(1))
    with pytest.raises(ValueError, match="closed"):
        e(mx.array(1.0))
    f, metadata = mx.import_function(path, return_metadata=True)
    assert metadata == "hi"
    assert f(mx.array(1))[0].item() == 1 and f(mx.array(1), mx.array(5))[0].item() == 6
    with pytest.raises(ValueError, match="no trace takes"):
        f(mx.array(1), mx.array(1), mx.array(1))


def model():
    mx.random.seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.gelu, nn.LayerNorm(16), nn.Linear(16, 4))


def test_a_model_keeps_its_weights_in_the_file(path):
    m = model()
    mx.export_function(path, m, mx.zeros((2, 8)))
    x = mx.random.normal((2, 8))
    expected = m(x)
    m.update(tree_map(mx.zeros_like, m.parameters()))
    f = mx.import_function(path)
    assert mx.allclose(f(x)[0], expected, atol=1e-6)
    # Traced, mapped and differentiated like any function.
    assert mx.allclose(mx.compile(lambda x: f(x)[0])(x), expected, atol=1e-6)
    assert mx.vmap(lambda x: f(x)[0])(mx.stack([x, x])).shape == (2, 2, 4)
    m = model()
    got = mx.grad(lambda x: f(x)[0].sum())(x)
    assert mx.allclose(got, mx.grad(lambda x: m(x).sum())(x), atol=1e-5)


def test_gradients_compiled_functions_and_scans_are_exported(path):
    cases = [
        mx.grad(lambda x: (x**3).sum()),
        mx.compile(lambda x: (x**3).sum()),
        mx.checkpoint(lambda x: mx.sin(x)),
        mx.vmap(lambda x: x * 2 + 1),
        lambda x: mx.scan(lambda c, v: (c * 0.5 + v, mx.exp(c)), mx.zeros(()), x, reverse=True),
        lambda x: mx.scan(lambda c, _: (c * 0.5 + x.sum(), c), mx.zeros(()), None, length=4),
        mx.grad(lambda x: mx.scan(lambda c, v: (mx.tanh(c * 0.5 + v), c), mx.zeros(()), x)[0]),
        lambda x: mx.depends([x + 1], [x * 2])[0],
    ]
    x = mx.array([3.0, 4, 5])
    for f in cases:
        mx.export_function(path, f, mx.zeros((3,)))
        expected = f(x)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for g, e in zip(mx.import_function(path)(x), expected, strict=True):
            assert mx.allclose(g, e, atol=1e-6)


def test_another_process_reads_the_file(path):
    mx.export_function(path, model(), mx.zeros((2, 8)))
    code = f"import treadle.core as mx; print(mx.import_function({path!r})(mx.ones((2, 8)))[0].tolist())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(eval(printed), model()(mx.ones((2, 8))).tolist(), rtol=1e-6)


def test_shapeless_functions_take_other_lengths(path):
    w = mx.random.normal((8, 8))

    def attention(x, mask):
        b, t, _ = x.shape
        q = (x @ w).reshape(b, t, 2, 4).transpose(0, 2, 1, 3)
        y = mx.fast.scaled_dot_product_attention(q, q, q, scale=0.5, mask=mask)
        y = y.transpose(0, 2, 1, 3).reshape(b, t, 8)
        return y.mean(axis=1), mx.softmax(y[:, 1:] + mx.arange(t - 1)[:, None]), y.var()

    def inputs(b, t):
        return mx.random.normal((b, t, 8)), mx.random.uniform(shape=(t, t)) > 0.3

    mx.export_function(path, attention, *inputs(2, 5), shapeless=True)
    f = mx.import_function(path)
    for b, t in ((2, 5), (3, 8), (16, 64), (7, 33)):
        x = inputs(b, t)
        for got, expected in zip(f(*x), attention(*x), strict=True):
            assert got.shape == expected.shape and mx.allclose(got, expected, atol=1e-5)
    for wrong in ((mx.ones((2, 5, 4)), mx.ones((5, 5)) > 0), (inputs(2, 5)[0], inputs(2, 6)[1])):
        with pytest.raises(ValueError, match="no trace takes"):
            f(*wrong)


def test_shapeless_reshapes_and_sums(path):
    mx.export_function(path, lambda x: (x.reshape(-1, 2), x.sum() * 2 + x), mx.ones((4,)), shapeless=True)
    f = mx.import_function(path)
    for n in (2, 6, 10):
        a, b = f(mx.ones(n))
        assert a.shape == (n // 2, 2) and b.tolist() == [2 * n + 1] * n
    with pytest.raises(ValueError):
        mx.eval(f(mx.ones(5)))
    with pytest.raises(ValueError, match="cannot express"):
        mx.export_function(path, lambda x: x * x.shape[0] ** 2.5, mx.ones((4,)), shapeless=True)


def test_a_callback_gets_the_parts_in_order():
    got = []
    mx.export_function(got.append, lambda x, b: mx.exp(x) * 2 + b, mx.ones((3,)), b=mx.array(1.0))
    assert [e["type"] for e in got] == ["inputs", "keyword_inputs", "outputs", "constants"] + ["primitive"] * 3
    assert got[0]["inputs"] == [("A", (3,), mx.float32), ("B", (), mx.float32)]
    assert got[1]["keywords"] == [("b", "B")] and got[3]["constants"][0][1].item() == 2
    assert [e["name"] for e in got[4:]] == ["exp", "multiply", "add"]
    assert got[-1]["outputs"] == got[2]["outputs"]
    with pytest.raises(ValueError, match="metadata"):
        mx.export_function(got.append, lambda x: x, mx.ones(3), metadata="m")


@pytest.mark.parametrize(
    "fun, arguments, error",
    [
        (lambda x: {"a": x}, (mx.array(1.0),), ValueError),
        (lambda x: 3, (mx.array(1.0),), ValueError),
        (lambda x: x, (3,), ValueError),
        (lambda x: x[x > 0], (mx.ones(3),), ValueError),
        (lambda x: x.item(), (mx.ones(()),), ValueError),
        (3, (mx.ones(()),), TypeError),
    ],
)
def test_what_cannot_be_exported_is_an_error_and_leaves_no_file(fun, arguments, error, tmp_path):
    with pytest.raises(error):
        mx.export_function(tmp_path / "f", fun, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be opened"):
        mx.import_function(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"abc")
    with pytest.raises(RuntimeError, match="not a file of a function"):
        mx.import_function(tmp_path / "bad")


def test_random_numbers_without_a_key_are_the_same_in_each_call(path):
    mx.export_function(path, lambda x: mx.random.uniform(shape=(2,)) + x, mx.array(0.0))
    f = mx.import_function(path)
    assert f(mx.array(0.0))[0].tolist() == f(mx.array(0.0))[0].tolist()
    mx.export_function(path, lambda k: mx.random.uniform(shape=(2,), key=k), mx.random.key(0))
    f = mx.import_function(path)
    assert f(mx.random.key(1))[0].tolist() == mx.random.uniform(shape=(2,), key=mx.random.key(1)).tolist()


AGAINST_MLX = {
    "by position and name": (lambda m: lambda x, y: m.exp(x) * y, lambda m, x: ((x,), {"y": x + 1})),
    "a tuple": (lambda m: lambda x, y: (x @ y.T, x - y), lambda m, x: (((x, x * 2),), {})),
    "gradients": (lambda m: m.grad(lambda x: (m.softmax(x) ** 2).sum()), lambda m, x: ((x,), {})),
    "compiled": (lambda m: m.compile(lambda x: m.sort(x, axis=0)), lambda m, x: ((x,), {})),
    "a wrong result": (lambda m: lambda x: {"a": x}, lambda m, x: ((x,), {})),
    "a wrong argument": (lambda m: lambda x: x, lambda m, x: ((3,), {})),
}


@pytest.mark.parametrize("case", AGAINST_MLX)
def test_what_is_imported_is_what_mlx_imports(case, path):
    fun, examples = AGAINST_MLX[case]

    def through_a_file(m):
        args, kwargs = examples(m, m.array([[0.5, 1, -2], [3, 0.25, 1]]))
        m.export_function(path, fun(m), *args, **kwargs)
        return m.import_function(path)(*args, **kwargs)

    check(through_a_file, 2)


def test_an_exporter_and_other_lengths_are_those_of_mlx(path):
    def through_a_file(m):
        with m.exporter(path, lambda *a: sum(a), metadata="kept", shapeless=True) as e:
            e(m.ones((2, 3)))
            e(m.ones((2, 3)), m.ones((2, 3)))
        f, metadata = m.import_function(path, return_metadata=True)
        return [f(m.ones((4, 3))), f(m.ones((4, 5)), m.ones((4, 5))), metadata]

    check(through_a_file)
