"""MultiOptimizer: MLX's list with filters, and the reference's dict of paths."""

import mlx.core
import mlx.nn
import mlx.optimizers
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten, tree_map

RNG = np.random.default_rng(3)
PARAMETERS = {"a": RNG.normal(size=(3, 4)), "layers": [{"w": RNG.normal(size=(4, 2)), "b": RNG.normal(size=2)}]}
GRADIENTS = tree_map(lambda a: RNG.normal(size=a.shape), PARAMETERS)


def arrays(mx, tree):
    return tree_map(lambda a: mx.array(a.astype(np.float32)), tree)


def states(mx, optim, steps=4):
    optimizer = optim.MultiOptimizer(
        [optim.Muon(learning_rate=0.02), optim.AdamW(learning_rate=1e-2), optim.SGD(learning_rate=0.1, momentum=0.9)],
        [lambda path, g: g.ndim == 2 and path != "a", lambda path, g: path.endswith("b")],
    )
    parameters = arrays(mx, PARAMETERS)
    for _ in range(steps):
        parameters = optimizer.apply_gradients(arrays(mx, GRADIENTS), parameters)
    return {p: np.array(a) for p, a in tree_flatten([parameters, optimizer.state])}


def test_a_list_with_filters_is_that_of_mlx():
    # MLX's order differs from run to run.
    ours, theirs = states(mx, optim), states(mlx.core, mlx.optimizers)
    assert ours.keys() == theirs.keys() and list(ours)[:2] == ["0.a", "0.layers.0.w"]
    for path, expected in theirs.items():
        np.testing.assert_allclose(ours[path], expected, rtol=2e-5, atol=2e-6, err_msg=path)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(2, 3)
        self.decoder = [nn.Linear(3, 3), nn.Linear(3, 1)]


def moved(keys):
    """Which parameters an optimizer of each key moves, by how far its rate lets it."""
    model = Model()
    optimizer = optim.MultiOptimizer({k: optim.SGD(10.0**i) for i, k in enumerate(keys)}, model)
    before = dict(tree_flatten(tree_map(np.array, model.parameters())))
    optimizer.update(model, tree_map(mx.ones_like, model.parameters()))
    after = dict(tree_flatten(tree_map(np.array, model.parameters())))
    return {p: keys[round(np.log10((before[p] - after[p]).mean()))] for p in before}


def test_a_dict_goes_by_the_longest_path():
    assert set(moved(["encoder", "decoder"]).items()) == {
        ("encoder.weight", "encoder"),
        ("encoder.bias", "encoder"),
        ("decoder.0.weight", "decoder"),
        ("decoder.0.bias", "decoder"),
        ("decoder.1.weight", "decoder"),
        ("decoder.1.bias", "decoder"),
    }
    by = moved(["*", "decoder", "decoder.1", "*.bias"])
    assert by["encoder.weight"] == "*" and by["decoder.0.weight"] == "decoder" and by["decoder.1.weight"] == "decoder.1"
    assert by["encoder.bias"] == "*.bias" and by["decoder.0.bias"] == "decoder"
    assert moved(["default", "encoder"])["decoder.0.bias"] == "default"


def test_a_dict_must_take_every_trainable_parameter():
    with pytest.raises(ValueError, match=r"takes decoder\.0\.weight, .*decoder\.1\.bias; the keys are encoder"):
        optim.MultiOptimizer({"encoder": optim.SGD(1.0)}, Model())
    model = Model()
    for layer in model.decoder:
        layer.freeze()
    optim.MultiOptimizer({"encoder": optim.SGD(1.0)}, model)
    with pytest.raises(ValueError, match="takes 'decoder"):
        optim.MultiOptimizer({"encoder": optim.SGD(1.0)}).init(Model().parameters())


def test_each_key_of_a_dict_must_have_a_parameter():
    with pytest.raises(
        ValueError, match=r"\[MultiOptimizer\] no parameter is at 'encode'; there are 'encoder\.weight'"
    ):
        optim.MultiOptimizer({"encode": optim.SGD(1.0), "*": optim.SGD(1.0)}, Model())
    model = Model()
    model.encoder.freeze()
    optim.MultiOptimizer({"encoder": optim.SGD(1.0), "*": optim.SGD(1.0)}, model)


def test_state_and_learning_rate_are_those_of_the_parts():
    model = Model()
    optimizer = optim.MultiOptimizer({"encoder": optim.Adam(1e-3), "decoder": optim.SGD(0.5)}, model)
    optimizer.init(model.trainable_parameters())
    assert optimizer.names == ["encoder", "decoder"] and optimizer.learning_rate.item() == pytest.approx(1e-3)
    assert list(optimizer.state) == ["states"] and "encoder" in optimizer.state["states"][0]
    optimizer.learning_rate = 0.25
    assert [o.learning_rate.item() for o in optimizer.optimizers] == [0.25, 0.25]
    optimizer.state = optimizer.state
    with pytest.raises(ValueError, match="2 entries"):
        optimizer.state = {"states": []}
    with pytest.raises(ValueError, match="filter"):
        optim.MultiOptimizer([optim.SGD(1.0), optim.SGD(1.0)])


def test_a_compiled_step_runs():
    mx.random.seed(1)
    model = Model()
    optimizer = optim.MultiOptimizer({"encoder": optim.Adam(1e-2), "*": optim.Muon(0.02)}, model)
    optimizer.init(model.trainable_parameters())
    x = mx.random.normal((8, 2))

    def loss(model, x):
        y = model.encoder(x)
        for layer in model.decoder:
            y = layer(nn.relu(y))
        return (y - x[:, :1]).square().mean()

    def step(x):
        value, gradients = nn.value_and_grad(model, loss)(model, x)
        optimizer.update(model, gradients)
        return value

    step = mx.compile(step, inputs=[model.state, optimizer.state], outputs=[model.state, optimizer.state])
    losses = [step(x).item() for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0] and optimizer.step.item() == 60
