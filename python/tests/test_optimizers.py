"""Optimizers against mlx.optimizers: the same gradients must give the same parameters and states."""

import copy
import pickle

import mlx.core
import mlx.nn
import mlx.optimizers
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import ClippedGrads, tree_flatten, tree_map

SHAPES = {"a": (3, 4), "layers": [{"w": (5,), "b": ()}, {}, {"w": (2, 1, 3)}]}
RNG = np.random.default_rng(0)
PARAMETERS = tree_map(lambda s: RNG.normal(size=s).astype(np.float32), SHAPES, is_leaf=lambda s: isinstance(s, tuple))
GRADIENTS = [
    tree_map(lambda s: RNG.normal(size=s).astype(np.float32), SHAPES, is_leaf=lambda s: isinstance(s, tuple))
    for _ in range(5)
]


def trajectory(mx, optimizer, dtype="float32", steps=5):
    """Parameters and states after every step, as flat lists of pairs."""
    dtype = getattr(mx, dtype)
    parameters = tree_map(lambda a: mx.array(a).astype(dtype), PARAMETERS)
    out = []
    for gradients in GRADIENTS[:steps]:
        gradients = tree_map(lambda a: mx.array(a).astype(dtype), gradients)
        parameters = optimizer.apply_gradients(gradients, parameters)
        for path, a in tree_flatten([parameters, optimizer.state]):
            out.append((path, str(a.dtype).split(".")[-1], np.array(a.astype(mx.float32))))
    return out


def assert_same(ours, theirs, rtol=2e-6, atol=1e-7):
    assert [(p, d) for p, d, _ in ours] == [(p, d) for p, d, _ in theirs]
    for (path, _, a), (_, _, b) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol, atol, err_msg=path)


OPTIMIZERS = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.02}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"learning_rate": 1e-2}),
    ("Adam", {"learning_rate": 1e-2, "betas": [0.8, 0.95], "eps": 1e-3, "bias_correction": True}),
    ("AdamW", {"learning_rate": 1e-2}),
    ("AdamW", {"learning_rate": 1e-2, "weight_decay": 0.3, "bias_correction": True}),
    ("Adamax", {"learning_rate": 1e-2}),
    ("Adamax", {"learning_rate": 1e-2, "betas": [0.8, 0.95], "eps": 1e-3}),
    ("Adagrad", {"learning_rate": 1e-2}),
    ("Adagrad", {"learning_rate": 0.1, "eps": 1e-2}),
    ("RMSprop", {"learning_rate": 1e-2}),
    ("RMSprop", {"learning_rate": 1e-2, "alpha": 0.9, "eps": 1e-3}),
    ("AdaDelta", {"learning_rate": 1.0}),
    ("AdaDelta", {"learning_rate": 0.5, "rho": 0.8, "eps": 1e-3}),
    ("Lion", {"learning_rate": 1e-2}),
    ("Lion", {"learning_rate": 1e-2, "betas": [0.8, 0.95], "weight_decay": 0.1}),
    ("Muon", {"learning_rate": 1e-2}),
    ("Muon", {"learning_rate": 1e-2, "momentum": 0.8, "weight_decay": 0.0, "nesterov": False, "ns_steps": 3}),
    ("Adafactor", {}),
    ("Adafactor", {"learning_rate": 1e-2, "relative_step": False, "scale_parameter": False, "weight_decay": 0.1}),
    ("Adafactor", {"beta_1": 0.8, "warmup_init": True, "clip_threshold": 0.5}),
    ("Adafactor", {"eps": (1e-8, 1e-2), "decay_rate": -0.5}),
]


@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_trajectories_are_those_of_mlx(name, options):
    assert_same(
        trajectory(mx, getattr(optim, name)(**options)),
        trajectory(mlx.core, getattr(mlx.optimizers, name)(**options)),
    )


def hundred_steps(mx, optimizer, dtype):
    """The parameters after 100 steps towards the minimum of a quadratic function."""
    dtype = getattr(mx, dtype)
    parameters = tree_map(lambda a: mx.array(a).astype(dtype), PARAMETERS)
    target = tree_map(lambda a: mx.array(a).astype(dtype), GRADIENTS[0])
    for _ in range(100):
        gradients = tree_map(lambda w, t: w - t, parameters, target)
        parameters = optimizer.apply_gradients(gradients, parameters)
        mx.eval(parameters, optimizer.state)
    return {path: np.array(a.astype(mx.float32)) for path, a in tree_flatten(parameters)}


@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_a_hundred_steps_end_where_those_of_mlx_do(name, options):
    ours = hundred_steps(mx, getattr(optim, name)(**options), "float32")
    theirs = hundred_steps(mlx.core, getattr(mlx.optimizers, name)(**options), "float32")
    for path, expected in theirs.items():
        np.testing.assert_allclose(ours[path], expected, rtol=2e-5, atol=2e-5, err_msg=path)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_half_precision_is_no_further_from_float32_than_in_mlx(name, options, dtype):
    exact = hundred_steps(mlx.core, getattr(mlx.optimizers, name)(**options), "float32")
    ours = hundred_steps(mx, getattr(optim, name)(**options), dtype)
    theirs = hundred_steps(mlx.core, getattr(mlx.optimizers, name)(**options), dtype)
    ulp = {"float16": 2**-10, "bfloat16": 2**-7}[dtype]
    for path, truth in exact.items():
        error = np.abs(ours[path] - truth).max()
        # Parameters begin at sizes around 1.
        assert error <= 1.5 * np.abs(theirs[path] - truth).max() + 4 * ulp * max(1, np.abs(truth).max()), path


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_half_precision_parameters_stay_half(name, options, dtype):
    ours = trajectory(mx, getattr(optim, name)(**options), dtype)
    assert {d for p, d, _ in ours if p.startswith("0.")} == {dtype}
    theirs = trajectory(mlx.core, getattr(mlx.optimizers, name)(**options), dtype)
    assert [(p, d) for p, d, _ in ours] == [(p, d) for p, d, _ in theirs]


def test_learning_rates_have_the_reference_defaults():
    assert optim.Adam().learning_rate.item() == pytest.approx(1e-3)
    assert optim.AdamW().learning_rate.item() == pytest.approx(1e-3)
    rates = {"Adamax": 1e-3, "Adagrad": 1e-2, "AdaDelta": 1.0, "RMSprop": 1e-2, "Lion": 1e-4}
    for name, rate in rates.items():
        assert getattr(optim, name)().learning_rate.item() == pytest.approx(rate)
    for optimizer in (optim.SGD, optim.Muon):
        with pytest.raises(TypeError):
            optimizer()
    assert "learning_rate" not in optim.Adafactor().state


def test_the_learning_rate_can_be_set():
    optimizer = optim.SGD(learning_rate=1.0)
    optimizer.learning_rate = 0.5
    assert optimizer.learning_rate.item() == 0.5 and optimizer.state["learning_rate"].dtype == mx.float32
    new = optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})
    assert new["w"].item() == 0.0


def test_a_schedule_sets_the_learning_rate_at_every_step():
    optimizer = optim.SGD(learning_rate=lambda step: 1.0 / (step + 1))
    assert optimizer.learning_rate.item() == 1.0
    rates = []
    for _ in range(3):
        optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})
        rates.append(optimizer.learning_rate.item())
    np.testing.assert_allclose(rates, [1.0, 0.5, 1 / 3], rtol=1e-6)
    assert optimizer.step.item() == 3 and optimizer.step.dtype == mx.uint64


def test_update_changes_the_model():
    model = nn.Linear(2, 1)
    before = np.array(model.weight)
    optim.SGD(0.5).update(model, {"weight": mx.ones((1, 2))})
    np.testing.assert_allclose(np.array(model.weight), before - 0.5)


@pytest.mark.parametrize("module", ["ours", "theirs"])
def test_init_makes_the_state_that_mlx_makes(module):
    def state(nn, optim):
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False))
        model.layers[0].freeze()
        optimizer = optim.Adam(1e-3)
        optimizer.init(model.trainable_parameters())
        return [(p, str(a.dtype)[-7:], tuple(a.shape)) for p, a in tree_flatten(optimizer.state)], repr(
            tree_map(lambda a: 0, optimizer.state)
        )

    assert state(nn, optim) == state(mlx.nn, mlx.optimizers)


def test_parameters_that_come_later_get_a_state():
    optimizer = optim.Adam(1e-3)
    optimizer.init({"a": mx.zeros(2)})
    optimizer.init({"a": mx.zeros(2), "layers": [{"b": mx.zeros(3)}]})
    optimizer.init({"layers": [{}, {"c": mx.zeros(1)}]})
    assert [p for p, _ in tree_flatten(optimizer.state)][2:] == [
        "a.m",
        "a.v",
        "layers.0.b.m",
        "layers.0.b.v",
        "layers.1.c.m",
        "layers.1.c.v",
    ]


def test_training_goes_on_from_a_saved_state():
    first, second = optim.AdamW(1e-2), optim.AdamW(1e-2)
    whole = trajectory(mx, first)
    parameters = tree_map(mx.array, PARAMETERS)
    for i, gradients in enumerate(GRADIENTS):
        if i == 2:
            saved = pickle.loads(pickle.dumps(second.state))
            second = optim.AdamW(1.0)
            second.state = saved
        parameters = second.apply_gradients(tree_map(mx.array, gradients), parameters)
    last = [(p, np.array(a)) for p, a in tree_flatten([parameters, second.state])]
    for (p, a), (q, _, b) in zip(last, whole[-len(last) :], strict=True):
        assert p == q
        np.testing.assert_array_equal(a, b, err_msg=p)


def test_copies_are_independent():
    optimizer = optim.AdamW(1e-2)
    trajectory(mx, optimizer, steps=1)
    other = copy.deepcopy(optimizer)
    trajectory(mx, other, steps=1)
    assert optimizer.step.item() == 1 and other.step.item() == 2


def test_one_step_is_one_call_for_all_parameters(monkeypatch):
    from treadle.optimizers import optimizers

    calls = []
    rule = optimizers._rules.adamw_update

    class Rules:
        def adamw_update(self, gradients, *args, **kwargs):
            calls.append(len(gradients))
            return rule(gradients, *args, **kwargs)

    monkeypatch.setattr(optimizers, "_rules", Rules())
    trajectory(mx, optim.AdamW(1e-2), steps=2)
    assert calls == [4, 4]


def test_apply_single_can_be_overridden():
    def halved(base):
        class Halved(base):
            def apply_single(self, gradient, parameter, state):
                return super().apply_single(gradient / 2, parameter, state)

        return Halved(1e-2)

    assert_same(trajectory(mx, halved(optim.AdamW)), trajectory(mlx.core, halved(mlx.optimizers.AdamW)))


def test_a_new_optimizer_needs_only_the_two_methods_for_one_parameter():
    def signs(optim, mx):
        class Signs(optim.Optimizer):
            def __init__(self):
                super().__init__()
                self._maybe_schedule("learning_rate", 0.25)

            def init_single(self, parameter, state):
                state["count"] = mx.zeros(parameter.shape)

            def apply_single(self, gradient, parameter, state):
                state["count"] = state["count"] + 1
                return parameter - self.learning_rate * mx.sign(gradient) / state["count"]

        return Signs()

    assert_same(trajectory(mx, signs(optim, mx)), trajectory(mlx.core, signs(mlx.optimizers, mlx.core)))


def test_the_base_class_says_what_is_to_be_defined():
    with pytest.raises(NotImplementedError, match="init_single"):
        optim.Optimizer().init({"w": mx.zeros(1)})

    class Half(optim.Optimizer):
        def init_single(self, parameter, state):
            state["v"] = parameter

    with pytest.raises(NotImplementedError, match=r"\[Half\].*apply_single"):
        Half().apply_gradients({"w": mx.zeros(1)}, {"w": mx.zeros(1)})


@pytest.mark.parametrize(
    "make",
    [
        lambda o: o.SGD(0.1, nesterov=True),
        lambda o: o.SGD(0.1, momentum=0.9, dampening=0.1, nesterov=True),
        lambda o: o.Adam(0.1, betas=[1.0, 0.9]),
        lambda o: o.Adam(0.1, betas=[0.9, -0.1]),
        lambda o: o.AdamW(0.1, eps=-1.0),
    ],
)
def test_wrong_options_are_errors_as_in_mlx(make):
    for module in (optim, mlx.optimizers):
        with pytest.raises(ValueError):
            make(module)


def test_clipped_gradients_are_taken_as_gradients():
    model = nn.Linear(2, 1, bias=False)
    model.weight = mx.zeros((1, 2))
    optim.SGD(1.0).update(model, ClippedGrads(({"weight": mx.ones((1, 2))}, mx.array(3.0))))
    np.testing.assert_array_equal(np.array(model.weight), [[-1, -1]])


def test_a_gradient_of_another_shape_is_an_error_with_its_path():
    gradients = {"layers": [{"w": mx.zeros(3)}, {"w": mx.zeros((2, 2))}]}
    parameters = {"layers": [{"w": mx.zeros(3)}, {"w": mx.zeros(2)}]}
    with pytest.raises(ValueError, match=r"layers\.1\.w.*\(2, 2\).*\(2,\)"):
        optim.AdamW(0.1).apply_gradients(gradients, parameters)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adamax", "Adagrad", "RMSprop", "AdaDelta", "Lion"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_needs_no_second_copy_of_parameters_and_state(name, compiled):
    optimizer = getattr(optim, name)(learning_rate=1e-3)
    parameters = {"w": mx.random.normal((512, 1024)), "b": mx.random.normal((512, 512))}
    gradients = tree_map(mx.ones_like, parameters)
    optimizer.init(parameters)
    state = [parameters, optimizer.state]

    def step(gradients):
        parameters.update(optimizer.apply_gradients(gradients, parameters))

    if compiled:
        step = mx.compile(step, inputs=state, outputs=state)
    for i in range(4):
        if i == 2:
            mx.reset_peak_memory()
            before = mx.get_active_memory()
        step(gradients)
        mx.eval(state)
    assert mx.get_peak_memory() - before < 100_000
