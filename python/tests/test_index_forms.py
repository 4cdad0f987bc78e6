"""Reading and writing at an index, in all of NumPy's forms: against NumPy, and against MLX where it has the form."""

import itertools
from operator import getitem

import mlx.core as mlx
import numpy as np
import pytest
from oracle import assert_same, check, outcome

import treadle.core as mx

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
PARTS = {
    "0": 0,
    "-1": -1,
    ":": slice(None),
    "::-1": slice(None, None, -1),
    "1:": slice(1, None),
    "None": None,
    "...": ...,
    "True": True,
    "False": False,
    "i": np.array([0, 1]),
    "ij": np.array([[0], [-1]]),
    "s": np.array(1),
}
UPDATES = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def converted(part, m):
    return m.array(part.astype(np.int32)) if isinstance(part, np.ndarray) else part


def ours(index):
    return tuple(converted(p, mx) for p in index)


def result(call, *arguments):
    try:
        return np.array(call(*arguments))
    except (IndexError, ValueError):
        return "an error"


def assert_equal(a, b, what):
    if isinstance(a, str) or isinstance(b, str):
        assert isinstance(a, str) and isinstance(b, str), f"{what}: {a} and {b}"
        return
    assert a.shape == b.shape, what
    np.testing.assert_array_equal(a, b, err_msg=str(what))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_mix_of_parts_reads_what_numpy_reads(length):
    for names in itertools.product(PARTS, repeat=length):
        if names.count("...") > 1:
            continue
        index = tuple(PARTS[n] for n in names)
        assert_equal(result(getitem, mx.array(X), ours(index)), result(getitem, X, index), names)


def written(x, index, value):
    x[index] = value
    return x


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_mix_of_parts_writes_where_numpy_writes(length):
    # Each element is named once, so that it does not matter which value comes last.
    rng = np.random.default_rng(length)
    for names in itertools.product(PARTS, repeat=length):
        if names.count("...") > 1 or names.count("ij") + names.count("i") > 2:
            continue
        index = tuple(PARTS[n] for n in names)
        expected = result(getitem, X, index)
        if isinstance(expected, str):
            values = np.float32(1)
        else:
            values = rng.random(expected.shape, np.float32)
            if values.ndim and rng.random() < 0.3:
                values = values[:1] if values.shape[0] else values
        a = result(written, mx.array(X), ours(index), mx.array(values))
        b = result(written, X.copy(), index, values)
        assert_equal(a, b, names)


def random_index(rng, shape):
    """A random mix of parts for an array of this shape, arrays of one broadcastable shape among them."""
    common = [int(n) for n in rng.integers(1, 4, rng.integers(1, 3))]
    parts = []
    used = int(rng.integers(0, len(shape) + 1))
    gap = int(rng.integers(0, used + 1)) if rng.random() < 0.3 else used
    lengths = [*shape[:gap], *shape[len(shape) - used + gap :]]
    for i, n in enumerate(lengths):
        if i == gap:
            parts.append(...)
        kind = rng.integers(0, 5)
        if kind == 0:
            parts.append(int(rng.integers(-n, n)))
        elif kind in (1, 2):
            step = int(rng.choice([-3, -2, -1, 1, 2, 3]))
            ends = [None if rng.random() < 0.3 else int(rng.integers(-n - 2, n + 3)) for _ in range(2)]
            parts.append(slice(*ends, step))
        else:
            own = [k if rng.random() < 0.7 else 1 for k in common][int(rng.integers(0, len(common) + 1)) :]
            parts.append(rng.integers(-n, n, own))
        if rng.random() < 0.2:
            parts.append(None)
    return tuple(parts)


@pytest.mark.parametrize("seed", range(200))
def test_random_indices_read_what_numpy_and_mlx_read(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 5)))
    x = rng.random(shape, np.float32)
    index = random_index(rng, shape)
    assert_equal(result(getitem, mx.array(x), ours(index)), result(getitem, x, index), index)
    check(lambda m: m.array(x)[tuple(converted(p, m) for p in index)])


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("seed", range(40))
def test_updates_apply_every_value_for_an_element(seed, update):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    x = rng.random(shape) + 0.5
    index = random_index(rng, shape)
    values = rng.random(x[index].shape) + 0.5
    expected = x.copy()
    UPDATES[update].at(expected, index, values)
    got = getattr(mx.array(x, mx.float64).at[ours(index)], update)(mx.array(values, mx.float64))
    np.testing.assert_allclose(np.array(got), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16", "bfloat16"])
@pytest.mark.parametrize("update", [u for u in UPDATES if u != "divide"])
@pytest.mark.parametrize("index", [np.array([0, 2]), np.array([1, 1]), slice(1, 3)], ids=["once", "twice", "slice"])
def test_updates_keep_the_dtype(index, update, dtype):
    def call(m, values):
        x = m.array([7, 5, 3], getattr(m, dtype))
        return getattr(x.at[converted(index, m)], update)(values)

    check(lambda m: call(m, m.array([2, 1])))
    check(lambda m: call(m, 2))


def test_integers_are_divided_towards_zero():
    for index in (mx.array([0, 1]), slice(0, 2)):
        assert mx.array([20, -7, 5]).at[index].divide(3).tolist() == [6, -2, 5]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int64", "uint64"])
def test_index_arrays_may_be_of_any_integer_type(dtype):
    for index in ([1, 0], [[0, 1]]):
        i = np.array(index).astype(dtype)
        assert_equal(np.array(mx.array(X)[mx.array(i), :, mx.array(i)]), X[i, :, i], dtype)
        assert_equal(np.array(mx.array(X)[i, i]), X[i, i], dtype)


def test_lists_numpy_arrays_ranges_and_numpy_numbers_are_indices():
    x = mx.array(X)
    for index in ([1, 0], [[1], [0]], [], (slice(None), [2, 0]), ([0, 1], [1, 2]), np.int64(1), np.array(1), range(2)):
        assert_equal(np.array(x[index]), X[index], index)


def test_bounds_beyond_int64_are_clipped():
    x = mx.array(X)
    for s in (slice(-(2**70), 2**70), slice(2**70, None, -(2**70)), slice(None, None, 2**70), slice(1, None, 2**62)):
        assert_equal(np.array(x[s]), X[s], s)


def test_a_bool_array_assigns_a_number():
    for mask in (X > 3, X[:, :, 0] > 5, np.array([True, False]), [False, True], np.array(True), np.array(False)):
        index = mask if isinstance(mask, list) else mx.array(mask)
        assert_equal(np.array(written(mx.array(X), index, 7)), written(X.copy(), mask, 7), mask)
    for index in (
        (slice(None), np.array([True, False, True])),
        (slice(None, None, -1), np.array([True, False, True])),
        (0, np.array([True, False, True])),
        (..., np.array([True, False, True, True])),
        (slice(1, 2), None, X[0] > 13),
        (np.array([True, False]), slice(0, 2)),
        (np.array([True, False]), 1),
    ):
        a = tuple(mx.array(p) if isinstance(p, np.ndarray) else p for p in index)
        assert_equal(np.array(written(mx.array(X), a, 7)), written(X.copy(), index, 7), index)


MASKED = [
    (X > 3, 20),
    (X > 3, 1),
    (X[:, :, 0] > 5, (4, 4)),
    (X[:, :, 0] > 5, (1, 4)),
    (X[:, :, 0] > 5, 4),
    (np.array([False, True]), (1, 3, 4)),
    ((slice(None), np.array([True, False, True])), (2, 2, 4)),
    ((slice(None), np.array([True, False, True])), (2, 1)),
    ((slice(None, None, -1), X[0] > 5), (2, 6)),
    ((1, np.array([True, False, True])), (2, 4)),
    ((..., np.array([False, True, True, False])), (3, 2)),
    ((np.array([True, True]), slice(None), 2), (2, 3)),
    ((np.array([True, False]), None, slice(1, 3)), (1, 1, 2, 4)),
]


@pytest.mark.parametrize("index, shape", MASKED)
def test_a_bool_array_assigns_one_value_for_each_true_element(index, shape):
    values = np.random.default_rng(0).random(shape, np.float32)
    parts = index if isinstance(index, tuple) else (index,)
    converted = tuple(mx.array(p) if isinstance(p, np.ndarray) else p for p in parts)
    got = written(mx.array(X), converted, mx.array(values))
    assert_equal(np.array(got), written(X.copy(), index, values), shape)


def test_too_few_values_for_a_bool_array_are_an_error():
    x = written(mx.array(X), mx.array(X > 3), mx.arange(7))
    with pytest.raises(IndexError, match="length 7"):
        mx.eval(x)


def test_a_bool_array_updates_elements():
    mask = X > 3
    got = mx.array(X).at[mx.array(mask)].add(10)
    assert_equal(np.array(got), np.where(mask, X + 10, X), "add")


ERRORS = {
    "x[0, 0, 0, 0]": ValueError,
    "x['a']": ValueError,
    "x[1.0]": ValueError,
    "x[m.array([1.0])]": ValueError,
    "x[..., ...]": ValueError,
    "x[m.array([0, 1]), m.array([0, 1, 2])]": ValueError,
    "m.array(3)[0]": ValueError,
    "x.at.add(1)": ValueError,
    "x.at['a'].add(1)": ValueError,
    "written(x, 0, m.zeros(5))": ValueError,
    "written(x, 0, m.zeros((2, 3, 4)))": ValueError,
    "written(x, m.array([True, False, True]), 7)": ValueError,
    "written(x, 0, 'a')": ValueError,
}


@pytest.mark.parametrize("text", ERRORS)
def test_wrong_indices_are_the_errors_of_mlx(text):
    def call(m):
        return eval(text, {"m": m, "x": m.array(X), "written": written})

    assert outcome(call, mx) is ERRORS[text]
    assert_same(outcome(call, mx), outcome(call, mlx))


def test_an_index_outside_its_axis_is_an_error():
    x = mx.array(X)
    with pytest.raises(IndexError, match="outside axis 1 of length 3"):
        x[0, 3]
    for index in ((mx.array([0, 2]), mx.array([0, 0])), (mx.array([0, -3]), slice(None), mx.array([0, 0]))):
        with pytest.raises(IndexError):
            mx.eval(x[index])
        with pytest.raises(IndexError):
            mx.eval(written(mx.array(X), index, 0))
    with pytest.raises(ValueError, match="step"):
        x[::0]
    with pytest.raises(ValueError, match="broadcast"):
        written(mx.array(X), (mx.array([True, True]), mx.array([True, True, True])), 0)


# slices from computed starts


SLICES = ["[0, 1], (0, 2), (1, 3, 2)", "[1], (0,), (1, 2, 2)", "[2, 1], (2, 1), (2, 2, 2)", "[1, 1], (0, 1), (1, 2, 4)"]


@pytest.mark.parametrize("text", SLICES)
def test_slices_start_where_an_array_says(text):
    check(lambda m: eval(f"m.slice(m.array({X.tolist()}), m.array({text.replace('], ', ']), ', 1)})", {"m": m}))
    start, axes, size = eval(text)

    def update(m):
        values = m.array(np.arange(np.prod(size), dtype=np.float32).reshape(size))
        return m.slice_update(m.array(X), values, m.array(start), axes)

    check(update)


def test_a_start_that_is_computed_needs_no_new_trace():
    traced = []

    @mx.compile
    def window(x, at):
        traced.append(at)
        return mx.slice(x, at, (1,), (2, 1, 4)), mx.slice_update(x, mx.zeros((2, 1, 4)), at, (1,))

    for i in range(3):
        part, rest = window(mx.array(X), mx.array([i]))
        assert_equal(np.array(part), X[:, i : i + 1], i)
        assert_equal(np.array(rest), written(X.copy(), (slice(None), slice(i, i + 1)), 0), i)
    assert len(traced) == 1


def test_wrong_starts_are_errors():
    x = mx.array(X)
    for arguments in (([0], (0, 2), (1, 3, 2)), ([0.0], (0,), (1, 3, 4)), ([0], (0,), (1, 3)), ([0], (0,), (3, 3, 4))):
        with pytest.raises(ValueError):
            mx.slice(x, mx.array(arguments[0]), *arguments[1:])
    with pytest.raises(IndexError):
        mx.eval(mx.slice(x, mx.array([1]), (0,), (2, 3, 4)))


# derivatives and memory


@pytest.mark.parametrize("seed", range(20))
def test_gradients_pass_through_reading_and_writing(seed):
    rng = np.random.default_rng(1000 + seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    x = rng.random(shape, np.float32)
    index = random_index(rng, shape)
    weight = rng.random(x[index].shape, np.float32)

    def read(m):
        i = tuple(converted(p, m) for p in index)
        return m.grad(lambda v: (m.sin(v)[i] * m.array(weight)).sum())(m.array(x))

    check(read)
    # The values of duplicates differ between the libraries, so each element is written once.
    once = tuple(p if not isinstance(p, np.ndarray) else np.zeros([1] * p.ndim, np.int64) for p in index)
    values = rng.random(x[once].shape, np.float32)

    def write(m):
        i = tuple(converted(p, m) for p in once)

        def loss(v, w):
            v = m.sin(v)
            v[i] = w * w
            return (v * v).sum()

        return m.grad(loss, argnums=(0, 1))(m.array(x), m.array(values))

    check(write)

    def add(m):
        i = tuple(converted(p, m) for p in index)
        loss = lambda v, w: (v.at[i].add(w * w) ** 2).sum()  # noqa: E731
        return m.grad(loss, argnums=(0, 1))(m.array(x), m.array(weight))

    check(add)


INDICES = {
    "position": lambda: 5,
    "slice": lambda: slice(3, 9, 2),
    "array": lambda: mx.array([1, 7]),
    "two arrays": lambda: (mx.array([1, 7]), mx.array([3, 2])),
    "arrays apart": lambda: (mx.array([1, 7]), slice(2, 5), mx.array([3, 2])),
}


@pytest.mark.parametrize("index", INDICES)
def test_writing_needs_no_second_copy_of_an_array_that_nobody_else_holds(index):
    x = mx.zeros((64, 128, 256)) + 1
    mx.eval(x)
    i = INDICES[index]()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    x[i] = 2
    mx.eval(x)
    x = x.at[i].add(1)
    mx.eval(x)
    assert mx.get_peak_memory() - before < x.nbytes // 8
    assert x[i].min().item() == 3
    other = x[...]
    x[i] = 5
    mx.eval(x)
    assert other[i].max().item() == 3
