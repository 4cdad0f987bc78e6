"""The array type: construction, attributes, conversions, printing, pickling."""

import copy
import pickle
import weakref

import numpy as np
import pytest
from oracle import DTYPES, check, name_of

import treadle.core as mx


@pytest.mark.parametrize(
    "value",
    [
        1, 1.5, True, 2j, 2**31, -(2**31), 2**40, [], [[]], [1, 2], [1, 2.0, True], [1, 2j], [True, False],
        [2**31, 1], (1, 2), [[1, 2], [3, 4]], [[1, 2], [3]], [[1, 2], 3], [1, [2]], [[], [1]],
        "a", ["a"], None, [None], range(3), {}, [{}], b"ab", np.float64(3), np.float32(3), np.int64(3), np.True_,
        np.arange(6).reshape(2, 3), np.arange(3.0), np.arange(6).reshape(2, 3).T, np.arange(6)[::2], np.ones(2, bool),
        np.ones(2, np.float16), np.ones((2, 0)), np.ones(2, np.complex64), np.array(3),
        np.array(["a"]), np.ones(2, object),
    ],
    ids=repr,
)  # fmt: skip
def test_construction(value):
    check(lambda m: m.array(value))


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
@pytest.mark.parametrize("value", [1, 2.75, True, [1, 2], [1.75, 3], [True, False], np.arange(3), np.arange(3.5)])
def test_construction_with_a_dtype(value, dtype):
    check(lambda m: m.array(value, getattr(m, dtype)))
    check(lambda m: m.array(val=value, dtype=getattr(m, dtype)))


def test_what_mlx_refuses_and_treadle_takes():
    assert mx.array(([1, 2.0], (3, 4))).tolist() == [[1, 2], [3, 4]]
    assert mx.array(np.arange(3)[::-1]).tolist() == [2, 1, 0]
    assert mx.array(np.arange(12).reshape(3, 4)[::-1, ::-2]).tolist() == [[11, 9], [7, 5], [3, 1]]


def test_float64_keeps_its_digits():
    assert mx.array([0.1, 1 / 3], mx.float64).tolist() == [0.1, 1 / 3]
    assert mx.array(np.array([0.1]), mx.float64).item() == 0.1


def test_lists_with_arrays_are_stacked():
    for call in (
        lambda m: m.array([m.array([1, 2]), m.array([3, 4])]),
        lambda m: m.array([m.array([1, 2]), [3, 4.0]]),
        lambda m: m.array([m.array(1), 2]),
        lambda m: m.array([m.array(1.5), 2]),
        lambda m: m.array([[m.array(1.5), 2], [3, m.array(4)]]),
        lambda m: m.array([m.array([1, 2]), m.array([3])]),
        lambda m: m.array(m.array([1, 2])),
        lambda m: m.array(m.array([1, 2]), m.float32),
    ):
        check(call)
    assert mx.array([np.arange(2), np.arange(2)]).shape == (2, 2)
    assert mx.array([np.float32(1), np.float32(2)]).dtype == mx.float32


def test_objects_that_make_arrays():
    class Answer:
        def __mlx_array__(self):
            return mx.array([42])

    assert mx.array(Answer()).tolist() == [42]
    assert (mx.array([1]) + Answer()).tolist() == [43]

    class Wrong:
        def __mlx_array__(self):
            return 42

    with pytest.raises(TypeError, match="returned no array"):
        mx.array(Wrong())


def test_a_failing_argument_keeps_its_error():
    class Broken:
        def __mlx_array__(self):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mx.array(Broken())


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_attributes(dtype):
    def attributes(m, shape):
        x = m.zeros(shape, getattr(m, dtype))
        return [x.shape, x.ndim, x.size, x.itemsize, x.nbytes]

    for shape in ((), (3,), (2, 0), (2, 3, 4)):
        check(lambda m, s=shape: attributes(m, s))
        x = mx.zeros(shape, getattr(mx, dtype))
        assert x.dtype is getattr(mx, dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_numbers_and_lists(dtype):
    for value in ([1, 0, 1], [[1, 0], [1, 1]], [[[1]]], 1, [1]):
        check(lambda m, v=value: m.array(v, getattr(m, dtype)).tolist())
        check(lambda m, v=value: m.array(v, getattr(m, dtype)).item())


def test_lists_of_views():
    for call in (
        lambda m: m.arange(6).reshape(2, 3).T.tolist(),
        lambda m: m.broadcast_to(m.array([1, 2]), (2, 2)).tolist(),
        lambda m: m.arange(10)[::3].tolist(),
        lambda m: m.zeros((2, 0, 3)).tolist(),
    ):
        check(call)


@pytest.mark.parametrize("convert", [bool, int, float, complex, bytes, len, list, iter, abs, range(5).__getitem__])
@pytest.mark.parametrize("value", [3, 2.5, True, [1], [1.5], [1, 2], [], [[1]], 0, 1.0])
def test_conversions(convert, value):
    def call(m):
        result = convert(m.array(value))
        return "an iterator" if convert is iter else result

    check(call)


def test_conversion_of_complex_numbers():
    assert complex(mx.array(1 + 2j)) == 1 + 2j
    assert bool(mx.array(0j)) is False


def test_iteration_and_membership():
    check(lambda m: list(m.array([[1, 2], [3, 4]])))
    check(lambda m: [3 in m.array([1, 2, 3]), 4 in m.array([1, 2, 3])])
    a, b = mx.array([1, 2])
    assert (a.item(), b.item()) == (1, 2)


@pytest.mark.parametrize(
    "expression",
    """m.array([1, 2]); m.array([[1, 2], [3, 4]]); m.array(1.5); m.array([]); m.zeros((2, 0)); m.array([True, False])
    m.zeros((3, 10, 10)); m.arange(7); m.arange(6); m.arange(2000.0); m.array([1 + 2j, 1 - 2j, -0.5j])
    m.array([1.123456789, 1e10, 1e-10, float("nan"), float("inf"), -float("inf"), -0.0, 100000, 1000000, 0.1])
    m.array([1.1, 3.3], m.bfloat16); m.array([1.1, 65504], m.float16); m.array([1.1, 1e300], m.float64)
    m.array([255, 0], m.uint8); m.array([-128], m.int8); m.array(2**40); m.arange(12).reshape(3, 4).T
    m.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]); m.array([[1.5], [2]])""".replace("\n", ";").split(";"),
)
def test_repr(expression):
    check(lambda m: repr(eval(expression.strip(), {"m": m})))
    check(lambda m: str(eval(expression.strip(), {"m": m})))


def test_format():
    assert f"{mx.array(1.23456):.2f}" == "1.23"
    assert f"{mx.array([1, 2])}" == "array([1, 2], dtype=int32)"
    with pytest.raises(TypeError):
        f"{mx.array([1, 2]):.2f}"


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_copies_and_pickles(dtype):
    for x in (mx.array([[1, 0], [1, 1]], getattr(mx, dtype)), mx.array(1, getattr(mx, dtype)), mx.zeros((2, 0))):
        for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), pickle.loads(pickle.dumps(x.T)).T):
            assert y is not x
            assert y.dtype == x.dtype and y.shape == x.shape
            assert mx.max(y != x).item() is False if x.size else True


def test_a_copy_is_another_array():
    x = mx.array([1, 2])
    y, z = copy.copy(x), copy.deepcopy({"a": [x]})["a"][0]
    x += 1
    x[0] = 9
    assert y.tolist() == z.tolist() == [1, 2]


def test_a_damaged_pickle_is_refused():
    x = mx.array([1, 2])
    name, shape, data = x.__getstate__()
    for state in ((name, shape), ("float7", shape, data), (name, (3,), data)):
        with pytest.raises(ValueError):
            mx.array.__new__(mx.array).__setstate__(state)


def test_identity_counts_as_hash():
    x, y = mx.array([1, 2]), mx.array([1, 2])
    assert hash(x) == hash(x)
    assert len({x, y, x}) == 2
    x += 1
    assert {x: "found"}[x] == "found"


def test_weak_references_and_subclasses():
    class Sub(mx.array):
        pass

    x = Sub([1, 2])
    assert isinstance(x, mx.array) and (x + 1).tolist() == [2, 3]
    r = weakref.ref(x)
    del x
    assert r() is None


def test_an_array_made_without_init_is_refused_by_operators():
    bare = mx.array.__new__(mx.array)
    with pytest.raises(TypeError):
        bare + mx.array(1)
    with pytest.raises(TypeError):
        mx.array(1) * bare


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_objects(dtype):
    d = getattr(mx, dtype)
    assert str(d) == repr(d) == f"treadle.core.{dtype.rstrip('_')}"
    assert d == d and d != mx.float64 and d != dtype and hash(d) == hash(getattr(mx, dtype))
    assert pickle.loads(pickle.dumps(d)) is d and copy.deepcopy(d) is d
    check(lambda m: getattr(m, dtype).size)
    assert {d: 1}[mx.zeros((1,), d).dtype] == 1


def test_str_of_a_dtype_under_the_alias():
    from treadle import core

    core._as_mlx()
    try:
        assert str(mx.float32) == "mlx.core.float32" and str(mx.bool_) == "mlx.core.bool"
    finally:
        core._core._set_module_name("treadle.core")


def test_categories():
    kinds = ["generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating"]
    kinds += ["complexfloating", *DTYPES]
    for a in kinds:
        for b in kinds:
            check(lambda m, a=a, b=b: m.issubdtype(getattr(m, a), getattr(m, b)))
    for a in DTYPES:
        for b in DTYPES:
            check(lambda m, a=a, b=b: m.can_cast(getattr(m, a), getattr(m, b)))
        for kind in ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating",
                     "numeric", "numb"):  # fmt: skip
            check(lambda m, a=a, k=kind: m.isdtype(getattr(m, a), k))
        check(lambda m, a=a: m.isdtype(getattr(m, a), (m.float32, "integral")))


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_limits_of_dtypes(dtype):
    def floats(m):
        i = m.finfo(getattr(m, dtype))
        return [i.min, i.max, i.eps, i.smallest_normal, i.bits, repr(i)]

    check(floats)
    check(lambda m: (lambda i: [i.min, i.max, repr(i)])(m.iinfo(getattr(m, dtype))))


def test_dtypes_are_given_as_objects():
    for call in (lambda: mx.array([1], "float32"), lambda: mx.zeros(2, int), lambda: mx.array([1]).astype("int32")):
        with pytest.raises(TypeError):
            call()


def test_names_that_are_not_there_yet_say_so():
    with pytest.raises(NotImplementedError, match="treadle.core.quantize"):
        mx.quantize(mx.ones((64, 64)))
    with pytest.raises(AttributeError):
        getattr(mx, "no_such_" + "name")
    assert name_of(mx.float32) == "float32"


def test_every_name_of_mlx_is_there_or_says_that_it_is_not():
    import mlx.core as mlx

    unknown = []
    for name in dir(mlx):
        if name.startswith("_"):
            continue
        try:
            getattr(mx, name)
        except AttributeError:
            unknown.append(name)
    for module in ("random", "fast", "linalg", "fft", "metal", "cuda", "distributed"):
        for name in dir(getattr(mlx, module)):
            if not name.startswith("_") and not hasattr(getattr(mx, module), name):
                unknown.append(f"{module}.{name}")
    assert unknown == []


@pytest.mark.parametrize(
    "arguments", [{"ddof": 1}, {"correction": 1}, {"ddof": 1, "correction": 0}, {"correction": None}]
)
def test_the_spread_takes_the_array_apis_name_of_ddof(arguments):
    check(lambda m: m.std(m.array([1.0, 2, 4]), **arguments))
    check(lambda m: m.array([1.0, 2, 4]).std(**arguments))
    check(lambda m: m.array([1.0, 2, 4]).var(**arguments))
