"""Results whose size depends on values: reading through bool arrays, nonzero, unique; against NumPy and MLX."""

import itertools

import mlx.core as mlx
import numpy as np
import pytest
from oracle import check

import treadle.core as mx

RNG = np.random.default_rng(0)
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
MASKS = {
    "m1": np.array([True, False]),
    "m2": RNG.random((2, 3)) > 0.5,
    "m3": RNG.random((2, 3, 4)) > 0.5,
    "k1": np.array([True, False, True]),
    "k2": RNG.random((3, 4)) > 0.5,
    "l1": np.array([False, True, True, False]),
    "none": np.zeros(3, bool),
    "s": np.array(True),
    "f": np.array(False),
}
PARTS = {
    ":": slice(None),
    "::-1": slice(None, None, -1),
    "0": 0,
    "None": None,
    "...": ...,
    "i": np.array([1, 0]),
    **MASKS,
}


def ours(index):
    return tuple(
        mx.array(p if p.dtype == bool else p.astype(np.int32)) if isinstance(p, np.ndarray) else p for p in index
    )


def numpy_reads(index):
    try:
        return X[index]
    except (IndexError, ValueError):
        return None


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_mix_with_bool_arrays_reads_and_writes_as_numpy_does(length):
    count = 0
    for names in itertools.product(PARTS, repeat=length):
        if not MASKS.keys() & set(names) or names.count("...") > 1:
            continue
        index = tuple(PARTS[n] for n in names)
        expected = numpy_reads(index)
        if expected is None:
            with pytest.raises((IndexError, ValueError)):
                mx.eval(mx.array(X)[ours(index)])
            continue
        count += 1
        got = np.array(mx.array(X)[ours(index)])
        assert got.shape == expected.shape, names
        np.testing.assert_array_equal(got, expected, err_msg=str(names))
        if length == 3 and count % 5:
            continue
        values = RNG.random(expected.shape, np.float32)
        for value in (np.float32(7), values):
            x, y = mx.array(X), X.copy()
            x[ours(index)] = mx.array(value)
            y[index] = value
            np.testing.assert_array_equal(np.array(x), y, err_msg=str(names))
    assert count > 4**length


def test_no_values_fit_only_a_mask_without_true_elements():
    x = mx.array(X)
    x[mx.array([True, False])] = mx.zeros((0, 3, 4))
    with pytest.raises(IndexError):
        mx.eval(x)


def test_a_list_of_bools_is_a_bool_array():
    assert mx.arange(3)[[True, False, True]].tolist() == [0, 2]


def test_the_gradient_goes_to_the_elements_that_are_read():
    def loss(x):
        return (x[x > 0] ** 3).sum()

    x = mx.array([1.0, -1, 3])
    assert mx.grad(loss)(x).tolist() == [3, 0, 27]
    assert mx.grad(lambda x: mx.grad(loss)(x).sum())(x).tolist() == [6, 0, 18]
    _, tangents = mx.jvp(lambda x: x[x > 0], [x], [mx.array([1.0, 2, 3])])
    assert tangents[0].tolist() == [1, 3]


@pytest.mark.parametrize("shape", [(1,), (7,), (1023,), (65536,), (65537,), (300, 500), (3, 70001)])
@pytest.mark.parametrize("density", [0, 0.01, 0.5, 0.99, 1])
def test_places_in_large_masks_of_any_density(shape, density):
    mask = np.random.default_rng(0).random(shape) < density
    got, expected = mx.nonzero(mx.array(mask)), np.nonzero(mask)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.array(g), e)
    values = mask.astype(np.float32) * 3
    flat = np.flatnonzero(values)
    np.testing.assert_array_equal(np.array(mx.array(values)[mx.array(mask)]), values[mask])
    for size in [1, 5, len(flat) + 3]:
        got = mx.flatnonzero(mx.array(values), size=size, fill_value=-7)
        padded = np.full(size, -7)
        padded[: len(flat)] = flat[:size]
        np.testing.assert_array_equal(np.array(got), padded)


def test_memory_that_is_viewed_as_truth_values_may_hold_any_bytes():
    x = mx.array([0, 7, 255, 0, 1] * 50, dtype=mx.uint8).view(mx.bool_)
    assert mx.flatnonzero(x).tolist() == [i for i in range(250) if i % 5 in (1, 2, 4)]


@pytest.mark.parametrize("read", [lambda x: x[x > 0], mx.nonzero, mx.argwhere, mx.flatnonzero, mx.unique])
@pytest.mark.parametrize("transform", [mx.compile, mx.vmap, lambda f: lambda x: mx.scan(lambda c, v: (c, f(v)), 0, x)])
def test_where_values_are_not_known_the_error_says_what_to_do(read, transform):
    with pytest.raises(ValueError, match="size of the result depends on values"):
        mx.eval(transform(read)(mx.ones((2, 3))))


def test_masks_with_values_are_read_inside_transforms():
    mask = mx.array([True, False, True])
    assert mx.compile(lambda x: x[mask])(mx.arange(3)).tolist() == [0, 2]
    assert mx.vmap(lambda x: x[mask])(mx.arange(6).reshape(2, 3)).tolist() == [[0, 2], [3, 5]]


def test_assignment_through_a_mask_reads_no_value():
    def clipped(x):
        x[x < 0] = 0
        return x

    x = mx.array([[1.0, -2], [-3, 4]])
    for f in (mx.compile(clipped), mx.vmap(clipped)):
        assert f(x + 0).tolist() == [[1, 0], [0, 4]]
    assert mx.grad(lambda x: clipped(x * 1).sum())(x).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "x",
    [
        RNG.random((3, 4, 5)) > 0.5,
        np.zeros((2, 0, 3)),
        np.arange(5),
        np.array([np.nan, 0, -0.0, 1]),
        np.zeros(4),
        np.ones(4),
    ],
)
def test_nonzero_argwhere_and_flatnonzero_are_those_of_numpy(x):
    a = mx.array(x)
    got, expected = mx.nonzero(a), np.nonzero(x)
    assert isinstance(got, tuple) and len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.array(g), e)
    np.testing.assert_array_equal(np.array(mx.argwhere(a)), np.argwhere(x))
    np.testing.assert_array_equal(np.array(mx.flatnonzero(a)), np.flatnonzero(x))
    assert mx.flatnonzero(a).dtype == mx.int32


def test_a_given_size_cuts_and_fills_and_reads_no_value():
    x = mx.array([[0, 1], [2, 0]])
    for size, rows in ((0, []), (1, [[0, 1]]), (2, [[0, 1], [1, 0]]), (3, [[0, 1], [1, 0], [-1, -1]])):
        for f in (mx.argwhere, mx.compile(lambda x, **k: mx.argwhere(x, **k))):
            assert f(x, size=size, fill_value=-1).tolist() == rows
    assert mx.vmap(lambda v: mx.flatnonzero(v, size=2))(x).tolist() == [[1, 0], [0, 0]]
    with pytest.raises(ValueError, match="size -1"):
        mx.nonzero(x, size=-1)


def test_scalars_have_no_places_but_a_count():
    assert mx.argwhere(mx.array(3)).shape == (1, 0) and mx.argwhere(mx.array(0)).shape == (0, 0)
    assert mx.flatnonzero(mx.array(3)).tolist() == [0]
    with pytest.raises(ValueError, match="scalar"):
        mx.nonzero(mx.array(3))


UNIQUE = [[2, 1, 2, 3, 1], [[2, 1], [2, 3]], 3, [True, False, True], [1.5, -0.5, 1.5], [1 + 1j, 1 - 1j, 1 + 1j]]


@pytest.mark.parametrize("a", UNIQUE, ids=str)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 6])
def test_unique_is_that_of_mlx(a, size):
    check(lambda m: m.unique(m.array(a), size))
    check(lambda m: m.unique(m.array(a), size, True, True, True))
    check(lambda m: m.unique(m.array(a), size, return_inverse=True, return_counts=True, fill_value=7))


def test_unique_of_special_values_and_sizes_is_that_of_mlx():
    check(lambda m: m.unique(m.array([float("nan"), 1.0, float("nan"), -0.0, 0.0]), 5, True, True, True))
    check(lambda m: m.unique(m.zeros((0,)), 2, True, True, True))
    check(lambda m: m.unique(m.zeros((0,)), 2, True, True, True, fill_value=4))
    check(lambda m: m.unique(m.zeros((2, 0)), 0, True, True, True))
    check(lambda m: m.unique(m.array([1, 2]), -1))
    check(lambda m: m.unique(m.array([1, 2]), 3, fill_value=m.array([1, 2])))
    check(lambda m: m.unique(m.array([1, 2]), 3, fill_value=m.array(2.5)))
    many = RNG.integers(0, 50, 5000)
    for size in (20, 64):
        check(lambda m, size=size: m.unique(m.array(many), size, True, True, True))
    check(lambda m: m.vmap(lambda v: m.unique(v, 3))(m.array(many[:12].reshape(4, 3))))


def test_unique_without_a_size_has_as_many_as_there_are():
    many = RNG.integers(0, 50, 500)
    got = mx.unique(mx.array(many), return_index=True, return_inverse=True, return_counts=True)
    expected = np.unique(many, return_index=True, return_inverse=True, return_counts=True)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.array(g), e)
    assert mx.unique(mx.zeros((0,))).shape == (0,)


def test_mlx_reads_no_bool_arrays_yet():
    """When this fails, MLX has them: compare with it, not with NumPy alone."""
    with pytest.raises(ValueError):
        mlx.arange(3)[mlx.array([True, False, True])]
