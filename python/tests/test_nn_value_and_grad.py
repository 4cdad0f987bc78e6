"""nn.value_and_grad: what it returns, and what it leaves behind."""

from functools import partial

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = mx.array([2.0, 3.0])
        self.b = mx.array(1.0)
        self.seen = mx.array(0.0)
        self.freeze(keys="seen")

    def __call__(self, x):
        self.seen = self.seen + 1
        return x * self.w + self.b


def test_gradients_are_a_tree_like_the_trainable_parameters():
    model = Scale()
    value, gradients = nn.value_and_grad(model, lambda x: model(x).sum())(mx.array([5.0, 7.0]))
    assert value.item() == 33
    assert gradients.keys() == {"w", "b"}
    assert gradients["w"].tolist() == [5, 7] and gradients["b"].item() == 2


def test_frozen_parameters_get_none():
    model = nn.Sequential(nn.Linear(2, 2), Scale())
    model.layers[0].freeze()
    _, gradients = nn.value_and_grad(model, lambda x: model(x).sum())(mx.ones((1, 2)))
    assert [path for path, _ in tree_flatten(gradients)] == ["layers.1.w", "layers.1.b"]
    assert gradients["layers"][0] == {}


def test_arguments_reach_the_function_and_other_values_come_back():
    model = Scale()

    def loss(model, x, *, factor, extra=None):
        y = model(x) * factor
        return y.sum(), {"y": y, "extra": extra}

    (value, more), gradients = nn.value_and_grad(model, loss)(model, mx.array([1.0, 1.0]), factor=2.0, extra="kept")
    assert value.item() == 14 and more["y"].tolist() == [6, 8] and more["extra"] == "kept"
    assert gradients["w"].tolist() == [2, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_the_parameters_are_the_same_arrays_afterwards(fails):
    model = Scale()
    before = model.w, model.b

    def loss(x):
        y = model(x).sum()
        if fails:
            raise KeyError("stop")
        return y

    if fails:
        with pytest.raises(KeyError, match="stop"):
            nn.value_and_grad(model, loss)(mx.ones(2))
    else:
        nn.value_and_grad(model, loss)(mx.ones(2))
    assert model.w is before[0] and model.b is before[1]
    assert model.seen.item() == 1  # what the call itself replaced


def test_integer_parameters_are_named_in_the_error():
    model = nn.Sequential(nn.Linear(2, 2))
    model.layers[0].index = mx.array([1, 2])
    with pytest.raises(ValueError, match=r"layers\.0\.index"):
        nn.value_and_grad(model, lambda x: model(x).sum())(mx.ones((1, 2)))


def test_a_loss_that_is_no_scalar_is_an_error_that_names_the_reduction():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="reduction"):
        nn.value_and_grad(model, lambda x: model(x))(mx.ones((1, 2)))


def test_the_function_keeps_its_name():
    def loss_of_this(x):
        return x

    assert nn.value_and_grad(nn.Linear(1, 1), loss_of_this).__name__ == "loss_of_this"


def test_a_compiled_step_finds_the_model_as_an_eager_one_does():
    def losses(compiled):
        mx.random.seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Dropout(0.5), nn.Linear(4, 1))

        def step(x):
            loss, gradients = nn.value_and_grad(model, lambda x: (model(x) ** 2).mean())(x)
            model.update({"layers": [{"weight": model.layers[0].weight - 0.1 * gradients["layers"][0]["weight"]}]})
            return loss

        if compiled:
            step = partial(mx.compile, inputs=[model.state, mx.random.state], outputs=[model.state, mx.random.state])(
                step
            )
        x = mx.array(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
        out = [step(x).item() for _ in range(5)]
        return out, [np.array(a) for _, a in tree_flatten(model.parameters())]

    (eager, model_eager), (compiled, model_compiled) = losses(False), losses(True)
    assert len(set(eager)) == 5
    np.testing.assert_allclose(eager, compiled, rtol=1e-6)
    for a, b in zip(model_eager, model_compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_a_function_in_the_place_of_the_model_is_an_error():
    with pytest.raises(TypeError, match=r"the model is a function; expected a Module.*mx\.value_and_grad"):
        nn.value_and_grad(lambda x: x, lambda x: x)
