"""clip_grad_norm against mlx.optimizers, and as one value."""

import mlx.core
import mlx.optimizers
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten


def clipped(optim, mx, max_norm, dtype="float32", scale=1.0):
    dtype = getattr(mx, dtype)
    grads = {
        "w1": mx.array([2.0, 3.0]).astype(dtype) * scale,
        "layers": [{"w2": mx.array([[1.0]]).astype(dtype) * scale}],
    }
    return optim.clip_grad_norm(grads, max_norm=max_norm)


@pytest.mark.parametrize("max_norm", [10.0, 2.0, 0.0])
@pytest.mark.parametrize("dtype, scale", [("float32", 1.0), ("float16", 1.0), ("float16", 3000.0), ("bfloat16", 1.0)])
def test_gradients_and_norm_are_those_of_mlx(max_norm, dtype, scale):
    (a, norm_a), (b, norm_b) = (
        clipped(o, m, max_norm, dtype, scale) for o, m in ((optim, mx), (mlx.optimizers, mlx.core))
    )
    rtol = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}[dtype]
    np.testing.assert_allclose(norm_a.item(), norm_b.item(), rtol=rtol)
    a, b = tree_flatten(a), tree_flatten(b)
    for (path, x), (other, y) in zip(a, b, strict=True):
        assert path == other and str(x.dtype).split(".")[-1] == str(y.dtype).split(".")[-1] == dtype
        np.testing.assert_allclose(
            np.array(x.astype(mx.float32)), np.array(y.astype(mlx.core.float32)), rtol=rtol, err_msg=path
        )


def test_the_result_goes_straight_into_update():
    model = nn.Linear(2, 1, bias=False)
    model.weight = mx.zeros((1, 2))
    grads = optim.clip_grad_norm({"weight": mx.array([[3.0, 4.0]])}, max_norm=1.0)
    optim.SGD(1.0).update(model, grads)
    np.testing.assert_allclose(np.array(model.weight), [[-0.6, -0.8]], rtol=1e-5)
    assert grads["weight"].shape == (1, 2) and grads.norm.item() == 5.0
    mx.eval(grads)
    twice, norm = optim.clip_grad_norm(grads, 0.5)
    np.testing.assert_allclose(norm.item(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.array(twice["weight"]), [[0.3, 0.4]], rtol=1e-5)


def test_a_negative_norm_is_an_error():
    with pytest.raises(ValueError, match="max_norm is -1"):
        clipped(optim, mx, -1)
