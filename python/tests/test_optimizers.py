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
from treadle.utils import ClippedGrads, tree_flatten, tree_map, tree_unflatten

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


WHOLE = [
    *OPTIMIZERS,
    (
        "SGD",
        {"learning_rate": optim.join_schedules([optim.linear_schedule(0, 0.1, 2), optim.cosine_decay(0.1, 5)], [2])},
    ),
    ("MultiOptimizer", {"optimizers": {"layers": optim.Muon(0.02), "*": optim.Lion()}}),
    ("MultiOptimizer", {"optimizers": [optim.Adam(1e-2)]}),
]


def goes_on(first, second):
    """Two more steps of both give the same bits."""
    a, b = trajectory(mx, first, steps=2), trajectory(mx, second, steps=2)
    for (path, dtype, x), (other, other_dtype, y) in zip(a, b, strict=True):
        assert path == other and dtype == other_dtype
        np.testing.assert_array_equal(x, y, err_msg=path)


@pytest.mark.parametrize("name, options", WHOLE)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_copies_and_pickles_go_on_alike_and_are_independent(name, options, duplicate):
    optimizer = duplicate(getattr(optim, name)(**options))
    trajectory(mx, optimizer, steps=2)
    other, third = duplicate(optimizer), duplicate(optimizer)
    trajectory(mx, other, steps=1)
    assert (optimizer.step.item(), other.step.item()) == (2, 3)
    goes_on(optimizer, third)


@pytest.mark.parametrize("name, options", WHOLE)
def test_training_goes_on_from_a_file_bit_for_bit(name, options, tmp_path):
    optimizer = copy.deepcopy(getattr(optim, name)(**options))
    trajectory(mx, optimizer, steps=3)
    mx.save_safetensors(str(tmp_path / "state.safetensors"), tree_flatten(optimizer.state, destination={}))
    other = copy.deepcopy(getattr(optim, name)(**options))
    other.state = tree_unflatten(mx.load(str(tmp_path / "state.safetensors")))
    goes_on(optimizer, other)


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


def test_a_list_of_gradients_for_an_array_is_an_error_with_its_path():
    optimizer = optim.SGD(0.1)
    with pytest.raises(ValueError, match=r"\[SGD\] the gradient of 'a.w' is a list and its parameter an array"):
        optimizer.apply_gradients({"a": {"w": [mx.ones(3)]}}, {"a": {"w": mx.ones((2, 3))}})


def test_a_gradient_of_another_shape_is_an_error_with_its_path():
    gradients = {"layers": [{"w": mx.zeros(3)}, {"w": mx.zeros((2, 2))}]}
    parameters = {"layers": [{"w": mx.zeros(3)}, {"w": mx.zeros(2)}]}
    with pytest.raises(ValueError, match=r"layers\.1\.w.*\(2, 2\).*\(2,\)"):
        optim.AdamW(0.1).apply_gradients(gradients, parameters)


@pytest.mark.parametrize("wrong", [(2, 4, 3), (3,), (1, 3), ()])
def test_a_step_that_fails_leaves_nothing_behind(wrong):
    parameters, optimizer = {"w": mx.zeros((4, 3))}, optim.AdamW(0.1)
    for gradients in ({"w": mx.ones(wrong)}, {"w": mx.ones((4, 3)), "v": mx.ones(3)}):
        with pytest.raises(ValueError, match="gradient of 'w'|gradient for 'v' but no such parameter"):
            optimizer.apply_gradients(gradients, parameters)
        assert sorted(optimizer.state) == ["learning_rate", "step"] and optimizer.step.item() == 0
    right = {"w": mx.ones((4, 3))}
    assert optimizer.apply_gradients(right, parameters)["w"].shape == (4, 3)
    with pytest.raises(ValueError, match="gradient of 'w'"):
        optimizer.apply_gradients({"w": mx.ones(wrong)}, parameters)
    assert optimizer.step.item() == 1 and optimizer.state["w"]["m"].shape == (4, 3)


def test_states_that_do_not_fit_are_named():
    p = {"a": {"w": mx.ones((3, 2))}}
    lion = optim.Lion()
    lion.init(p)
    for kind, name in ((optim.AdaDelta, "v"), (optim.Adafactor, "exp_avg_sq_row")):
        optimizer = kind()
        optimizer.state = lion.state
        with pytest.raises(ValueError, match=rf"the state of 'a\.w' has no '{name}'"):
            optimizer.apply_gradients(p, p)
    lion.state["a"]["w"]["m"] = mx.zeros((1, 2))
    with pytest.raises(ValueError, match=r"the state of 'a\.w' has a \(1, 2\) as 'm'; expected one of shape \(3, 2\)"):
        lion.apply_gradients(p, p)


@pytest.mark.parametrize("gradient", [None, {"z": mx.ones(2)}, "text"])
def test_a_gradient_that_is_no_array_is_named(gradient):
    with pytest.raises(ValueError, match=r"gradient (of|for) 'a\.w"):
        optim.Adam().apply_gradients({"a": {"w": gradient}}, {"a": {"w": mx.ones((3, 2))}})


@pytest.mark.parametrize("make", [lambda: optim.Adam(1e-2), lambda: optim.MultiOptimizer([optim.Adam(1e-2)])])
def test_parameters_that_are_unfrozen_later_get_their_state(make):
    model, optimizer = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)), make()
    model.layers[0].freeze()
    step = nn.value_and_grad(model, lambda x: mx.square(model(x)).mean())
    x = mx.random.normal((5, 3), key=mx.random.key(0))
    optimizer.update(model, step(x)[1])
    model.unfreeze()
    before = np.array(model.layers[0].weight)
    optimizer.update(model, step(x)[1])
    assert not np.array_equal(np.array(model.layers[0].weight), before) and optimizer.step.item() == 2


IN_PLACE = [
    ("SGD", {"learning_rate": 1e-3}),
    ("SGD", {"learning_rate": 1e-3, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"bias_correction": True}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": optim.cosine_decay(1e-3, 10), "bias_correction": True}),
    ("Adamax", {}),
    ("Adagrad", {}),
    ("RMSprop", {}),
    ("AdaDelta", {}),
    ("Lion", {"weight_decay": 0.1}),
]


@pytest.mark.parametrize("name, options", IN_PLACE)
@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_needs_no_second_copy_of_parameters_and_state(name, options, clipped, compiled):
    optimizer = getattr(optim, name)(**options)
    parameters = {"w": mx.random.normal((512, 1024)), "b": mx.random.normal((512, 512))}
    gradients = tree_map(mx.ones_like, parameters)
    optimizer.init(parameters)
    state = [parameters, optimizer.state]

    def step(gradients):
        if clipped:
            gradients = optim.clip_grad_norm(gradients, 1.0)
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


@pytest.mark.parametrize("name, options", [("Muon", {"learning_rate": 1e-3}), ("Adafactor", {})])
def test_rules_on_matrices_keep_one_array_for_each_parameter_and_state(name, options):
    optimizer = getattr(optim, name)(**options)
    parameters = {f"w{i}": mx.random.normal((512, 512)) for i in range(4)}
    gradients = tree_map(mx.ones_like, parameters)
    for i in range(4):
        parameters = optimizer.apply_gradients(gradients, parameters)
        mx.eval(parameters, optimizer.state)
        if i == 1:
            before = mx.get_active_memory()
    assert mx.get_active_memory() == before


def test_a_compiled_step_is_traced_once_while_its_rates_change():
    warm = optim.join_schedules([optim.linear_schedule(0, 0.5, 3), optim.cosine_decay(0.5, 6)], [3])
    rates = {}
    for compiled in (False, True):
        optimizer = optim.SGD(warm).add_group("b", learning_rate=optim.exponential_decay(1.0, 0.5))
        parameters = {"w": mx.zeros(3), "b": mx.zeros(3)}
        optimizer.init(parameters)
        state, traces, seen = [parameters, optimizer.state], [], []

        def step(parameters=parameters, optimizer=optimizer, traces=traces):
            traces.append(1)
            parameters.update(optimizer.apply_gradients(tree_map(mx.ones_like, parameters), parameters))

        if compiled:
            step = mx.compile(step, inputs=state, outputs=state)
        for i in range(10):
            if i == 8:
                optimizer.learning_rate = 7.0  # overwritten: there is a schedule
            before = tree_map(np.array, parameters)
            step()
            mx.eval(state)
            moved = {k: before[k] - np.array(parameters[k]) for k in before}
            seen.append((optimizer.learning_rate.item(), moved["w"][0], moved["b"][0]))
        assert len(traces) == (1 if compiled else 10)
        rates[compiled] = np.array(seen)
    np.testing.assert_allclose(rates[True], rates[False], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(rates[True][:, 0], [warm(i).item() for i in range(10)], rtol=1e-6)
    np.testing.assert_allclose(rates[True][:, 2], 0.5 ** np.arange(10), rtol=1e-4)


def test_a_rate_that_is_set_between_compiled_steps_needs_no_new_trace():
    optimizer, parameters, traces = optim.SGD(1.0), {"w": mx.zeros(1)}, []
    optimizer.init(parameters)
    state = [parameters, optimizer.state]

    def step():
        traces.append(1)
        parameters.update(optimizer.apply_gradients({"w": mx.ones(1)}, parameters))

    step = mx.compile(step, inputs=state, outputs=state)
    for rate in (1.0, 2.0, 4.0):
        optimizer.learning_rate = rate
        step()
    assert parameters["w"].item() == -7 and len(traces) == 1


def moved(optimizer, steps=1):
    """How far the last step moves each of six parameters."""
    tree = {"encoder": {"weight": 0, "bias": 0}, "layers": [{"weight": 0, "bias": 0}, {"weight": 0, "bias": 0}]}
    for _ in range(steps):
        zeros = tree_map(lambda _: mx.zeros(()), tree)
        new = optimizer.apply_gradients(tree_map(mx.ones_like, zeros), zeros)
    return [-value.item() for _, value in tree_flatten(new)]


def test_groups_have_their_own_rates():
    def make():
        return (
            optim.SGD(1.0)
            .add_group("layers", learning_rate=2.0)
            .add_group("*.bias", learning_rate=optim.linear_schedule(4.0, 0.0, 4))
            .add_group("layers.1.bias", learning_rate=8.0)
        )

    assert moved(make()) == [1, 4, 2, 2, 2, 8]
    optimizer = make()
    assert moved(optimizer, steps=2) == [1, 3, 2, 2, 2, 8]
    assert optimizer.learning_rate.item() == 1 and [r.item() for r in optimizer.state["group_rates"]] == [2, 3, 8]
    plain = optim.SGD(1.0)
    moved(plain)
    optimizer.state = plain.state  # of an optimizer without groups
    assert moved(optimizer) == [1, 3, 2, 2, 2, 8]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_groups_have_their_own_weight_decay(one_by_one):
    class Single(optim.AdamW):
        def apply_single(self, gradient, parameter, state):
            return super().apply_single(gradient, parameter, state)

    optimizer = (Single if one_by_one else optim.AdamW)(0.1, weight_decay=0.5)
    optimizer.add_group("layers", learning_rate=0.2).add_group("*.bias", weight_decay=0.0)
    ones = {
        "encoder": {"weight": mx.ones(2), "bias": mx.ones(2)},
        "layers": [{"weight": mx.ones(2), "bias": mx.ones(2)}],
    }
    new = optimizer.apply_gradients(tree_map(mx.zeros_like, ones), ones)
    np.testing.assert_allclose([np.array(a)[0] for _, a in tree_flatten(new)], [0.95, 1, 0.9, 1], rtol=1e-6)
    assert optimizer.weight_decay == 0.5 and optimizer.learning_rate.item() == pytest.approx(0.1)


def test_groups_that_cannot_be_served_are_errors():
    with pytest.raises(ValueError, match="'a' is given a weight decay"):
        optim.Adam().add_group("a", weight_decay=0.1)
    with pytest.raises(ValueError, match="neither"):
        optim.AdamW().add_group("a")
    with pytest.raises(ValueError, match="chooses its own"):
        optim.Adafactor().add_group("a", learning_rate=0.1)
    with pytest.raises(ValueError, match="chooses its own unless relative_step is false"):
        optim.Adafactor(0.1).add_group("a", learning_rate=0.1)
    assert optim.Adafactor(0.1, relative_step=False).add_group("a", learning_rate=0.1)
    with pytest.raises(ValueError, match="add groups to the optimizers"):
        optim.MultiOptimizer([optim.Adam()]).add_group("a", learning_rate=0.1)


def test_groups_without_a_parameter_are_errors_of_the_next_step():
    optimizer = optim.SGD(1.0).add_group("layer", learning_rate=2.0)
    with pytest.raises(
        ValueError, match=r"^\[SGD\] no parameter is at 'layer'; there are 'encoder\.weight', 'encoder\.b"
    ):
        moved(optimizer)
    assert optimizer.step.item() == 0

    # Frozen parameters count, and so does the rest.
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model.layers[0].freeze()
    optimizer = optim.SGD(1.0).add_group("layers.0", learning_rate=2.0).add_group("default", learning_rate=3.0)
    step = nn.value_and_grad(model, lambda x: mx.square(model(x)).sum())
    optimizer.update(model, step(mx.ones((1, 2)))[1])
    optimizer.add_group("*.wait", learning_rate=2.0)
    with pytest.raises(ValueError, match=r"'\*\.wait'; there are 'layers\.0\.weight'"):
        optimizer.update(model, step(mx.ones((1, 2)))[1])


def test_the_learning_rate_can_be_set_to_a_schedule():
    optimizer = optim.SGD(1.0)
    assert moved(optimizer)[0] == 1
    optimizer.learning_rate = optim.step_decay(8.0, 0.5, 1)
    assert optimizer.learning_rate.item() == 4
    assert [moved(optimizer)[0], moved(optimizer)[0]] == [4, 2]
    multi = optim.MultiOptimizer({"layers": optim.SGD(1.0), "*": optim.SGD(2.0)})
    multi.learning_rate = optim.linear_schedule(1.0, 0.0, 2)
    assert moved(multi, steps=2) == [0.5] * 6


def test_an_optimizer_without_its_rule_says_what_to_define():
    class Stateless(optim.Optimizer):
        pass

    class Ruleless(optim.Optimizer):
        def init_single(self, parameter, state):
            state["v"] = mx.zeros_like(parameter)

    w = {"w": mx.ones((2,))}
    with pytest.raises(NotImplementedError, match=r"\[Stateless\] .*define init_single\(parameter, state\)"):
        Stateless().init(w)
    with pytest.raises(NotImplementedError, match=r"\[Ruleless\] .*define apply_single\(gradient, parameter, state\)"):
        Ruleless().apply_gradients(w, w)
