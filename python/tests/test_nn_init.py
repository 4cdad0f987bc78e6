"""Initializers against mlx.nn.init: the same seed gives the same values."""

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn

CASES = {
    "constant": lambda init: init.constant(0.5),
    "normal": lambda init: init.normal(1.0, 0.2),
    "uniform": lambda init: init.uniform(-2, 3),
    "identity": lambda init: init.identity(),
    "glorot_normal": lambda init: init.glorot_normal(),
    "glorot_normal with gain": lambda init: lambda a: init.glorot_normal()(a, gain=4.0),
    "glorot_uniform": lambda init: init.glorot_uniform(),
    "glorot_uniform with gain": lambda init: lambda a: init.glorot_uniform()(a, 4.0),
    "he_normal": lambda init: init.he_normal(),
    "he_normal fan_out": lambda init: lambda a: init.he_normal()(a, mode="fan_out", gain=5),
    "he_uniform": lambda init: init.he_uniform(),
    "he_uniform fan_out": lambda init: lambda a: init.he_uniform()(a, "fan_out", 5),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(5, 5), (4, 3, 2, 6)])
def test_values_are_those_of_mlx(name, shape):
    if name == "identity" and len(shape) != 2:
        pytest.skip("the identity is a matrix")
    values = []
    for nn_, mx_ in ((nn, mx), (mlx.nn, mlx.core)):
        mx_.random.seed(3)
        values.append(np.array(CASES[name](nn_.init)(mx_.zeros(shape))))
    np.testing.assert_allclose(*values, rtol=2e-6, atol=2e-6)


def test_a_shape_does_as_well_as_an_array():
    assert nn.init.he_normal()((3, 4)).shape == (3, 4)
    assert nn.init.uniform(dtype=mx.bfloat16)([3, 4]).dtype == mx.bfloat16
    assert nn.init.constant(2.0)(3).tolist() == [2, 2, 2]


def test_layers_start_as_those_of_mlx_do():
    values = []
    for nn_, mx_ in ((nn, mx), (mlx.nn, mlx.core)):
        mx_.random.seed(11)
        layer = nn_.Linear(6, 3)
        values.append((np.array(layer.weight), np.array(layer.bias)))
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.init.he_normal()((3,)), "at least two axes"),
        (lambda: nn.init.glorot_uniform()(mx.zeros(3)), "at least two axes"),
        (lambda: nn.init.he_uniform()((3, 3), mode="fan"), "'fan'"),
        (lambda: nn.init.identity()((2, 3)), "square"),
        (lambda: nn.init.sparse(0.5)((2, 3, 4)), "two axes"),
        (lambda: nn.init.sparse(1.5)((2, 3)), "sparsity"),
        (lambda: nn.init.orthogonal()((3,)), "two axes"),
    ],
)
def test_wrong_shapes_are_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_sparse_matrices_are_those_of_mlx(sparsity, dtype):
    mx.random.seed(7)
    mlx.core.random.seed(7)
    ours = nn.init.sparse(sparsity, 0.5, 2.0, getattr(mx, dtype))(mx.zeros((6, 10)))
    theirs = mlx.nn.init.sparse(sparsity, 0.5, 2.0, getattr(mlx.core, dtype))(mlx.core.zeros((6, 10)))
    assert str(ours.dtype).endswith(dtype)
    # Sums of 0.5 and twice a normal number, rounded to the dtype.
    tolerance = 2e-3 if dtype == "float16" else 2e-6
    np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=tolerance, atol=tolerance)
    assert ((np.array(ours) == 0).sum(axis=1) == np.ceil(sparsity * 10)).all()


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 7), (7, 3), (40, 70), (100, 33)])
def test_orthogonal_matrices_are_those_of_mlx(shape):
    mx.random.seed(3)
    mlx.core.random.seed(3)
    ours = np.array(nn.init.orthogonal(2.0)(mx.zeros(shape)))
    theirs = np.array(mlx.nn.init.orthogonal(2.0)(mlx.core.zeros(shape)))
    # The last columns of a square matrix lie close to the others, so their rounding counts for more.
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


@pytest.mark.parametrize("shape", [(300, 300), (64, 500), (500, 64)])
def test_rows_or_columns_of_orthogonal_matrices_are_orthonormal(shape):
    q = np.array(nn.init.orthogonal()(shape), np.float64)
    product = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=2e-5)
    assert nn.init.orthogonal(dtype=mx.float16)((3, 4)).dtype == mx.float16


def test_the_reference_snippet_initializes_a_model():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    seen = []

    def init_weights(key, module):
        seen.append(key)
        if isinstance(module, nn.Linear):
            module.weight = nn.init.constant(0.25)(module.weight.shape)

    model.apply_to_modules(init_weights)
    assert seen == ["", "layers.2", "layers.1", "layers.0"]
    assert {v for layer in (0, 2) for row in model.layers[layer].weight.tolist() for v in row} == {0.25}


def test_a_fan_of_a_vector_names_the_parameter():
    with pytest.raises(ValueError, match=r"^layers\.0\.bias: \[he_normal\]"):
        nn.Sequential(nn.Linear(3, 4)).apply(nn.init.he_normal())


# Mean, deviation and bounds for a weight of 400 outputs and 300 inputs.
STATISTICS = {
    "normal": (lambda: nn.init.normal(0.5, 2.0), 0.5, 2.0, None),
    "uniform": (lambda: nn.init.uniform(-1, 3), 1.0, 4 / 12**0.5, (-1, 3)),
    "glorot_normal": (lambda: nn.init.glorot_normal(), 0.0, (2 / 700) ** 0.5, None),
    "glorot_uniform": (lambda: nn.init.glorot_uniform(), 0.0, (2 / 700) ** 0.5, [(6 / 700) ** 0.5]),
    "he_normal": (lambda: nn.init.he_normal(), 0.0, 300**-0.5, None),
    "he_uniform": (lambda: nn.init.he_uniform(), 0.0, 300**-0.5, [(3 / 300) ** 0.5]),
    "sparse": (lambda: nn.init.sparse(0.25, 0.0, 2.0), 0.0, 2 * 0.75**0.5, None),
    "orthogonal": (lambda: nn.init.orthogonal(), 0.0, 400**-0.5, None),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_those_of_the_distribution(name):
    init, mean, deviation, bounds = STATISTICS[name]
    mx.random.seed(17)
    x = np.array(init()((400, 300)), np.float64)
    # Four deviations of what 120000 draws give.
    assert abs(x.mean() - mean) < 4 * deviation / x.size**0.5
    assert abs(x.std() / deviation - 1) < 4 / (2 * x.size) ** 0.5 + 1e-6
    assert np.unique(x).size > (0.7 if name == "sparse" else 0.9) * x.size
    if bounds:
        low, high = (-bounds[0], bounds[0]) if len(bounds) == 1 else bounds
        assert low <= x.min() < low + 1e-3 * deviation and high - 1e-3 * deviation < x.max() <= high
    if name == "sparse":
        assert ((x == 0).sum(axis=1) == 75).all()
