"""MLX as the oracle: the same call on both, and what may differ."""

import mlx.core as mlx
import numpy as np

import treadle.core as mx

DTYPES = [
    "bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "complex64",
]  # fmt: skip
FLOATS = {"float16", "bfloat16", "float32"}

# Error by the dtype of the result, relative and, near 0, absolute.
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 4e-6, "complex64": 1e-5}


def values(dtype, domain=(0.5, 1.25, 2.5, 0.75)):
    """Four elements of a dtype; floating ones are `domain`."""
    if dtype == "bool_":
        return [True, False, True, True]
    if dtype in FLOATS:
        return list(domain)
    if dtype == "complex64":
        return [complex(x, y) for x, y in zip(domain, reversed(domain), strict=True)]
    return [1, 2, 3, 5] if dtype.startswith("u") else [-3, 2, 3, 5]


def expressions(text):
    """The expressions of a text, which separates them by lines and semicolons."""
    return [e.strip() for e in text.replace("\n", ";").split(";") if e.strip()]


def name_of(dtype):
    return str(dtype).rsplit(".", 1)[1]


def outcome(call, m):
    """What call(m) gives, computed, or the type of its error."""
    try:
        result = call(m)
        m.eval(result)
        return result
    except RuntimeError:  # what MLX raises for some wrong arguments
        return ValueError
    except (ValueError, TypeError, IndexError) as error:
        return type(error)


def as_numpy(x):
    if name_of(x.dtype) == "bfloat16":
        x = x.astype(mlx.float32 if isinstance(x, mlx.array) else mx.float32)
    return np.array(x)


def assert_same(ours, theirs, scale=1.0):
    """Equal in type, structure, dtype and shape; numbers within the tolerance of their dtype."""
    if isinstance(theirs, type):
        # A wrong Python type is a TypeError here; MLX finds some of them late.
        same = ours is theirs or (ours, theirs) == (TypeError, ValueError)
        assert same, f"MLX raises {theirs.__name__}; got {ours!r}"
        return
    assert not isinstance(ours, type), f"raised {ours.__name__}; MLX gives {theirs}"
    if isinstance(theirs, list | tuple):
        assert type(ours) is type(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, scale)
        return
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key], scale)
        return
    if not isinstance(theirs, mlx.array):
        assert ours == theirs and type(ours) is type(theirs)
        return
    assert isinstance(ours, mx.array)
    assert name_of(ours.dtype) == name_of(theirs.dtype)
    assert ours.shape == theirs.shape
    tolerance = TOLERANCE.get(name_of(theirs.dtype), 0) * scale
    np.testing.assert_allclose(as_numpy(ours), as_numpy(theirs), rtol=tolerance, atol=tolerance)


def check(call, scale=1.0):
    """call(m) for both libraries m must give the same."""
    assert_same(outcome(call, mx), outcome(call, mlx), scale)
