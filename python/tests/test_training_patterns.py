"""What docs/training-patterns.md says: mixed precision, loss scaling, averages and checkpoints do what they are for."""

import pickle
from functools import partial

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten

HALF = [mx.bfloat16, mx.float16]
# Half a unit in the last place, over a few roundings.
TOLERANCE = {mx.bfloat16: 0.03, mx.float16: 0.004}


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm(4)
        self.pool = nn.AvgPool2d(2)  # where rounding chooses no other element
        self.head = nn.Linear(36, 3)

    def __call__(self, x):
        x = self.pool(nn.relu(self.norm(self.conv(x))))
        return self.head(x.reshape(x.shape[0], -1))


def transformer():
    return nn.Sequential(nn.Linear(5, 8), nn.TransformerEncoder(2, 8, 2, 16), nn.Linear(8, 3))


def recurrent():
    return nn.Sequential(nn.Linear(5, 6), nn.GRU(6, 8), nn.Linear(8, 3))


MODELS = {
    "convolutions": (Conv, (16, 6, 6, 2), (16,)),
    "attention": (transformer, (4, 7, 5), (4, 7)),
    "loops": (recurrent, (4, 7, 5), (4, 7)),
}


def model_and_batch(kind, seed=1):
    mx.random.seed(seed)
    make, shape, labels = MODELS[kind]
    model = make()
    mx.eval(model.parameters())
    return model, mx.random.normal(shape), mx.random.randint(0, 3, labels)


def loss_of(model):
    return lambda x, y: nn.losses.cross_entropy(model(x), y).mean()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_autocast_rounds_a_little_and_keeps_dtypes(kind, dtype):
    model, x, y = model_and_batch(kind)
    loss, grads = nn.value_and_grad(model, loss_of(model))(x, y)
    low_loss, low = nn.value_and_grad(model, nn.autocast(model, loss_of(model), dtype))(x, y)
    assert low_loss.dtype == mx.float32 and low_loss.item() != loss.item()
    assert abs(low_loss.item() - loss.item()) < TOLERANCE[dtype]
    for (path, g), (_, h) in zip(tree_flatten(grads), tree_flatten(low), strict=True):
        assert h.dtype == mx.float32, path
        np.testing.assert_allclose(np.array(h), np.array(g), atol=TOLERANCE[dtype], err_msg=path)
    for path, p in tree_flatten(model.parameters()):
        assert p.dtype == mx.float32, path


def test_running_statistics_are_those_of_the_rewritten_call():
    model, x, y = model_and_batch("convolutions")
    other, _, _ = model_and_batch("convolutions")
    nn.value_and_grad(model, nn.autocast(model, loss_of(model)))(x, y)
    nn.value_and_grad(other, loss_of(other))(x, y)
    for name in ("running_mean", "running_var"):
        ours, theirs = np.array(model.norm[name]), np.array(other.norm[name])
        np.testing.assert_allclose(ours, theirs, atol=0.01)
        assert not np.array_equal(ours, theirs), name


def test_functions_see_the_arrays_they_would_see():
    seen = []

    def f(x):
        y = x @ x
        seen.append(y.dtype)
        return {"y": y, "kind": "product"}

    out = mx.autocast(f, mx.float16)(mx.full((2, 2), 1 / 3))
    assert seen == [mx.float32] and out["kind"] == "product" and out["y"].dtype == mx.float32
    third = np.float32(np.float16(1 / 3))
    assert np.array_equal(np.array(out["y"]), np.full((2, 2), np.float32(np.float16(third * third * 2))))


@pytest.mark.parametrize("dtype", [mx.float32, mx.int32])
def test_autocast_takes_short_floating_types_only(dtype):
    with pytest.raises(ValueError, match="expected bfloat16 or float16"):
        mx.autocast(lambda x: x, dtype)
    with pytest.raises(TypeError, match="callable"):
        mx.autocast(3)


def trained(kind, dtype, compiled, steps=12):
    model, x, y = model_and_batch(kind)
    optimizer = optim.AdamW(learning_rate=5e-3 if kind == "attention" else 3e-2)
    optimizer.init(model.trainable_parameters())
    scale = optim.LossScale(interval=4)
    state = [model.state, optimizer.state, scale.state]

    def loss_fn(x, y):
        return scale.scaled(loss_of(model)(x, y))

    def step(x, y):
        f = loss_fn if dtype is None else nn.autocast(model, loss_fn, dtype)
        loss, grads = nn.value_and_grad(model, f)(x, y)
        loss = scale.unscaled(loss)
        scale.update(optimizer, model, scale.unscaled(grads))
        return loss

    if compiled:
        step = partial(mx.compile, inputs=state, outputs=state)(step)
    losses = []
    for _ in range(steps):
        loss = step(x, y)
        mx.eval(loss, state)
        losses.append(loss.item())
    return losses, scale, optimizer


@pytest.mark.parametrize("kind", MODELS)
def test_training_with_loss_scaling_falls_as_in_float32(kind):
    full, _, _ = trained(kind, None, compiled=False)
    for dtype in HALF:
        eager, _, _ = trained(kind, dtype, compiled=False)
        compiled, scale, optimizer = trained(kind, dtype, compiled=True)
        np.testing.assert_allclose(compiled, eager, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(compiled, full, atol=8 * TOLERANCE[dtype])
        assert compiled[-1] < 0.7 * compiled[0]
        # Three times four good steps, but for those that were skipped.
        skipped = 12 - optimizer.step.item()
        assert skipped <= 3 and scale.scale.item() >= 65536 * 2.0 ** (2 - 2 * skipped)


def test_small_gradients_survive_in_float16():
    model = nn.Linear(1, 1, bias=False)
    model.weight = mx.array([[1.0]])

    def loss(x):
        return (model(x) * 1e-9).sum()

    lost = nn.value_and_grad(model, nn.autocast(model, loss, mx.float16))(mx.ones((1, 1)))[1]
    scale = optim.LossScale(initial=2.0**20)
    scaled = nn.value_and_grad(model, nn.autocast(model, lambda x: scale.scaled(loss(x)), mx.float16))
    kept = scale.unscaled(scaled(mx.ones((1, 1)))[1])
    assert lost["weight"].item() == 0
    np.testing.assert_allclose(kept["weight"].item(), 1e-9, rtol=0.02)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optim.SGD(0.1, momentum=0.9),
        lambda: optim.AdamW(optim.cosine_decay(0.1, 10)),
        lambda: optim.Adafactor(),
        lambda: optim.MultiOptimizer([optim.Lion(0.1), optim.Muon(0.1)], [lambda path, _: "bias" in path]),
    ],
    ids=["sgd", "adamw", "adafactor", "multi"],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_that_is_not_finite_changes_nothing_but_the_scale(optimizer, compiled):
    mx.random.seed(3)
    model, optimizer, scale = nn.Linear(4, 3), optimizer(), optim.LossScale(initial=8)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state, scale.state]

    def step(factor):
        grads = {"weight": mx.ones((3, 4)) * factor, "bias": mx.ones((3,))}
        return scale.update(optimizer, model, grads)

    def numbers():
        mx.eval(state)
        return {k: np.array(v) for k, v in tree_flatten([model.parameters(), optimizer.state])}

    containers = optimizer.state
    if compiled:
        step = partial(mx.compile, inputs=state, outputs=state)(step)
    assert step(mx.array(1.0)).item() is True
    before = numbers()
    assert step(mx.array(float("inf"))).item() is False
    after = numbers()
    assert before.keys() == after.keys()
    for path, value in before.items():
        assert np.array_equal(value, after[path]), path
    assert scale.scale.item() == 4
    assert step(mx.array(float("nan"))).item() is False and scale.scale.item() == 2
    assert step(mx.array(1.0)).item() is True
    assert any(not np.array_equal(v, before[k]) for k, v in numbers().items() if ".weight" in k or k.endswith("weight"))
    if isinstance(containers, dict) and "states" not in containers:
        assert containers is optimizer.state


def test_loss_scales_refuse_numbers_that_make_no_sense():
    for wrong in ({"initial": 0}, {"growth": 0.5}, {"backoff": 2}, {"interval": 0}):
        with pytest.raises(ValueError, match="LossScale"):
            optim.LossScale(**wrong)


def test_averages_follow_the_formula():
    model = nn.Linear(2, 2)
    for warmup in (False, True):
        model.weight = mx.ones((2, 2))
        ema = optim.EMA(model, decay=0.75, warmup=warmup)
        expected = np.ones((2, 2), np.float32)
        for n, w in enumerate((3.0, -2.0, 5.0)):
            model.weight = mx.full((2, 2), w)
            ema.update(model)
            decay = min(0.75, (1 + n) / (10 + n)) if warmup else 0.75
            expected = expected + (1 - decay) * (w - expected)
            np.testing.assert_allclose(np.array(ema.average["weight"]), expected, rtol=1e-6)
        assert ema.state["updates"].item() == 3


def test_a_model_has_the_averages_for_a_while():
    model = nn.Linear(2, 2).set_dtype(mx.bfloat16)
    first = np.array(model.weight.astype(mx.float32))
    ema = optim.EMA(model, decay=0.5)
    model.weight = model.weight + 1
    own = np.array(model.weight.astype(mx.float32))
    ema.update(model)
    with pytest.raises(RuntimeError), ema.averaged(model):
        assert model.weight.dtype == mx.bfloat16
        np.testing.assert_allclose(np.array(model.weight.astype(mx.float32)), (first + own) / 2, atol=0.01)
        raise RuntimeError
    assert np.array_equal(np.array(model.weight.astype(mx.float32)), own)
    restored = pickle.loads(pickle.dumps(ema))
    assert np.array_equal(np.array(restored.average["weight"]), np.array(ema.average["weight"]))


def test_averages_may_be_part_of_a_compiled_step():
    def run(compiled):
        mx.random.seed(2)
        model, optimizer = nn.Linear(3, 3), optim.SGD(0.1)
        optimizer.init(model.trainable_parameters())
        ema = optim.EMA(model, decay=0.9)
        state = [model.state, optimizer.state, ema.state]

        def step(x):
            loss, grads = nn.value_and_grad(model, lambda x: mx.square(model(x)).mean())(x)
            optimizer.update(model, grads)
            ema.update(model)
            return loss

        if compiled:
            step = partial(mx.compile, inputs=state, outputs=state)(step)
        for i in range(5):
            mx.eval(step(mx.full((2, 3), float(i))), state)
        return np.array(ema.average["weight"]), np.array(model.weight)

    for eager, compiled in zip(run(False), run(True), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-6, atol=1e-7)


def test_averages_refuse_other_parameters_and_decays():
    model = nn.Linear(2, 2)
    ema = optim.EMA(model)
    model.freeze(keys="bias")
    with pytest.raises(ValueError, match="1 trainable parameters, 2 are averaged"):
        ema.update(model)
    with pytest.raises(ValueError, match="decay"):
        optim.EMA(model, decay=1.0)


class Deep(nn.Module):
    def __init__(self, depth, dims):
        super().__init__()
        self.layers = [Block(dims) for _ in range(depth)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Block(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.l1, self.l2, self.l3 = (nn.Linear(dims, dims) for _ in range(3))

    def __call__(self, x):
        return x + self.l3(mx.tanh(self.l2(mx.tanh(self.l1(x)))))


def by_patching_the_class(model):
    """The usual snippet: a class whose calls are checkpoints."""

    class Checkpointed(Block):
        pass

    def patch(layer):
        original_call = type(layer).__call__

        def checkpointed_call(self, *args, **kwargs):
            def inner(params, *args, **kwargs):
                self.update(params)
                return original_call(self, *args, **kwargs)

            return mx.checkpoint(inner)(self.trainable_parameters(), *args, **kwargs)

        type(layer).__call__ = checkpointed_call

    for layer in model.layers:
        layer.__class__ = Checkpointed
    for layer in model.layers:
        patch(layer)
    return model


def with_checkpoint(model):
    def call(x):
        for layer in model.layers:
            x = nn.checkpoint(layer)(x)
        return x

    return call


@pytest.mark.parametrize("compiled", [False, True])
def test_checkpoints_lower_the_peak(compiled):
    def peak(wrap):
        mx.random.seed(0)
        model, x = Deep(8, 64), mx.random.normal((2048, 64))
        call = wrap(model)

        def step(x):
            return nn.value_and_grad(model, lambda x: mx.square(call(x)).mean())(x)

        if compiled:
            step = mx.compile(step, inputs=model.state)
        mx.eval(model.parameters(), x)
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_peak_memory()
        loss, grads = step(x)
        mx.eval(loss, grads)
        return mx.get_peak_memory() - before, loss.item(), [np.array(g) for _, g in tree_flatten(grads)]

    plain, loss, grads = peak(lambda model: model)
    for wrap in (with_checkpoint, by_patching_the_class):
        lower, same_loss, same_grads = peak(wrap)
        assert lower < 0.65 * plain, f"{lower} of {plain} bytes"
        assert same_loss == pytest.approx(loss, rel=1e-6)
        for a, b in zip(grads, same_grads, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    mx.random.seed(5)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = mx.random.normal((12, 4))
    loss_and_grads = nn.value_and_grad(model, lambda x: mx.square(model(x)).mean())
    whole = loss_and_grads(x)[1]
    parts = [loss_and_grads(part)[1] for part in mx.split(x, 3)]
    for path, g in tree_flatten(whole):
        mean = sum(np.array(dict(tree_flatten(p))[path]) for p in parts) / 3
        np.testing.assert_allclose(np.array(g), mean, rtol=1e-5, atol=1e-7)
