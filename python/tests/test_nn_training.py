"""Training loops as the reference writes them: eager, compiled, with clipping, accumulation and frozen parts."""

from functools import partial

import mlx.core
import mlx.nn
import mlx.optimizers
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten, tree_map

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 8, 2)).astype(np.float32)
LABELS = RNG.integers(0, 3, size=(6, 8))


def network(nn):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            # A bias before BatchNorm has no gradient but rounding errors, which Adam makes large.
            self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm(4)
            self.pool = nn.MaxPool2d(2)
            self.dropout = nn.Dropout(0.2)
            self.head = nn.Linear(64, 3)

        def __call__(self, x):
            x = self.pool(nn.relu(self.norm(self.conv(x))))
            return self.head(self.dropout(x.reshape(x.shape[0], -1)))

    return Network()


def train(mx, nn, optim, compiled, listed=True):
    """Losses of six steps, and all parameters and states after them."""
    mx.random.seed(4)
    model = network(nn)
    schedule = optim.join_schedules([optim.linear_schedule(0, 1e-2, 2), optim.cosine_decay(1e-2, 10)], [2])
    optimizer = optim.AdamW(schedule, bias_correction=True)
    optimizer.init(model.trainable_parameters())

    def loss_fn(model, x, y):
        return nn.losses.cross_entropy(model(x), y).mean()

    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        grads, _ = optim.clip_grad_norm(grads, max_norm=1.0)
        optimizer.update(model, grads)
        return loss

    state = [model.state, optimizer.state] + ([mx.random.state] if listed else [])
    if compiled:
        step = partial(mx.compile, inputs=state, outputs=state)(step)
    losses = []
    for x, y in zip(IMAGES, LABELS, strict=True):
        loss = step(mx.array(x), mx.array(y))
        mx.eval(loss, state)
        losses.append(loss.item())
    return losses, {k: np.array(v) for k, v in tree_flatten([model.parameters(), optimizer.state])}


def assert_same(a, b, rtol):
    np.testing.assert_allclose(a[0], b[0], rtol=rtol)
    assert a[1].keys() == b[1].keys()
    for path, value in a[1].items():
        atol = rtol * max(1e-3, np.abs(value).max())
        np.testing.assert_allclose(value, b[1][path], rtol=rtol, atol=atol, err_msg=path)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_convolutional_network_trains_as_with_mlx(compiled):
    ours = train(mx, nn, optim, compiled)
    theirs = train(mlx.core, mlx.nn, mlx.optimizers, compiled)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    assert_same(ours, theirs, rtol=1e-4)


def test_a_compiled_step_does_what_an_eager_one_does():
    assert_same(train(mx, nn, optim, True), train(mx, nn, optim, False), rtol=1e-5)


def test_the_random_state_need_not_be_listed():
    assert_same(train(mx, nn, optim, True, listed=False), train(mx, nn, optim, True), rtol=1e-6)


def regression():
    x = mx.array(RNG.normal(size=(32, 4)).astype(np.float32))
    return x, x.sum(axis=1, keepdims=True)


def test_the_basic_loop_of_the_reference_learns():
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.AdamW(learning_rate=1e-2)
    x, y = regression()

    def loss_fn(model, x, y):
        return nn.losses.mse_loss(model(x), y).mean()

    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        optimizer.update(model, grads)
        return loss

    losses = []
    for _ in range(150):
        losses.append(step(x, y))
        mx.eval(model.parameters(), optimizer.state)
    assert losses[-1].item() < 0.05 * losses[0].item()


def test_one_value_of_clip_grad_norm_goes_into_update():
    model = nn.Linear(4, 1)
    optimizer = optim.SGD(learning_rate=1.0)
    before = np.array(model.weight)
    x, y = regression()
    _, grads = nn.value_and_grad(model, lambda: nn.losses.mse_loss(model(x), y).sum())()
    grads = optim.clip_grad_norm(grads, max_norm=0.5)
    optimizer.update(model, grads)
    moved = np.sqrt(((np.array(model.weight) - before) ** 2).sum() + grads["bias"].item() ** 2)
    np.testing.assert_allclose(moved, 0.5, rtol=1e-4)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    model = nn.Linear(4, 1)
    x, y = regression()

    def loss_fn(model, x, y):
        return nn.losses.mse_loss(model(x), y).mean()

    accumulated = None
    for part in (slice(0, 16), slice(16, 32)):
        _, grads = nn.value_and_grad(model, loss_fn)(model, x[part], y[part])
        accumulated = grads if accumulated is None else tree_map(lambda a, g: a + g, accumulated, grads)
    accumulated = tree_map(lambda g: g * 0.5, accumulated)
    _, whole = nn.value_and_grad(model, loss_fn)(model, x, y)
    for name in whole:
        np.testing.assert_allclose(np.array(accumulated[name]), np.array(whole[name]), rtol=1e-5)


def test_only_what_is_unfrozen_moves():
    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(4, 1)
            self.lora = nn.Linear(4, 1, bias=False)

        def __call__(self, x):
            return self.base(x) + self.lora(x)

    model = Adapted()
    model.freeze()
    model.apply_to_modules(lambda k, m: m.unfreeze() if "lora" in k else None)
    assert model.trainable_parameters().keys() == {"base", "lora"} and model.trainable_parameters()["base"] == {}
    base, lora = model.base.weight, model.lora.weight
    x, y = regression()
    optimizer = optim.Adam()
    _, grads = nn.value_and_grad(model, lambda: nn.losses.mse_loss(model(x), y).mean())()
    optimizer.update(model, grads)
    assert model.base.weight is base and not np.array_equal(np.array(model.lora.weight), np.array(lora))
    assert [k for k, _ in tree_flatten(optimizer.state)] == ["step", "learning_rate", "lora.weight.m", "lora.weight.v"]


def test_a_loop_that_evaluates_the_loss_alone_keeps_the_step():
    model = nn.Linear(4, 1)
    optimizer = optim.Adam()
    optimizer.init(model.parameters())
    x, y = regression()
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, lambda: nn.losses.mse_loss(model(x), y).mean())()
        optimizer.update(model, grads)
        return loss

    for _ in range(500):
        mx.eval(step(x, y))
    assert optimizer.step.item() == 500


def test_tied_weights_get_one_gradient_and_one_update():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Linear(3, 3, bias=False)
            self.decode = self.encode

        def __call__(self, x):
            return self.decode(mx.tanh(self.encode(x)))

    x = mx.random.normal((5, 3))
    model = Tied()
    weight = model.encode.weight
    optimizer, alone = optim.AdamW(0.1), optim.AdamW(0.1)
    parameters = {"w": weight}
    for _ in range(3):
        _, gradients = nn.value_and_grad(model, lambda: mx.square(model(x)).sum())()
        optimizer.update(model, gradients)
        gradient = mx.grad(lambda w: mx.square(mx.tanh(x @ w.T) @ w.T).sum())(parameters["w"])
        parameters = alone.apply_gradients({"w": gradient}, parameters)
    np.testing.assert_allclose(np.array(model.encode.weight), np.array(parameters["w"]), rtol=1e-5, atol=1e-6)
    assert model.encode is model.decode
