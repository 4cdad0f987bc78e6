"""Schedules against mlx.optimizers."""

import copy
import pickle

import mlx.core
import mlx.optimizers
import numpy as np
import pytest

import treadle.core as mx
import treadle.optimizers as optim

SCHEDULES = {
    "exponential": lambda o: o.exponential_decay(1e-1, 0.99),
    "step": lambda o: o.step_decay(1e-1, 0.9, 7),
    "cosine": lambda o: o.cosine_decay(0.1, 30),
    "cosine with end": lambda o: o.cosine_decay(0.1, 30, end=0.05),
    "linear": lambda o: o.linear_schedule(0, 1e-1, steps=20),
    "linear of ints": lambda o: o.linear_schedule(0, 1, 4),
    "joined": lambda o: o.join_schedules([o.linear_schedule(0.0, 1e-1, 10), o.cosine_decay(1e-1, 20)], [10]),
    "joined thrice": lambda o: o.join_schedules(
        [o.linear_schedule(0, 1, 10), lambda step: 0.5, o.exponential_decay(0.3, 0.9)], boundaries=[10, 20]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_have_the_values_of_mlx(name):
    ours, theirs = SCHEDULES[name](optim), SCHEDULES[name](mlx.optimizers)
    for step in (0, 1, 3, 9, 10, 11, 20, 29, 30, 31, 1000):
        a = ours(mx.array(step, mx.uint64))
        b = theirs(mlx.core.array(step, mlx.core.uint64))
        assert str(a.dtype).split(".")[-1] == str(b.dtype).split(".")[-1]
        # A cosine near its end is what remains of the first rate, whose last bit is 7e-9.
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=5e-7, atol=7e-9, err_msg=str(step))


def test_a_plain_int_is_a_step_too():
    assert optim.linear_schedule(0, 1.0, 4)(2).item() == 0.5
    assert optim.join_schedules([optim.linear_schedule(0, 1.0, 4), optim.step_decay(2.0, 0.5, 1)], [4])(5).item() == 1


def test_exponential_decay_takes_decay_steps():
    schedule = optim.exponential_decay(1.0, 0.5, decay_steps=10)
    np.testing.assert_allclose([schedule(s).item() for s in (0, 5, 10, 20)], [1, 0.5**0.5, 0.5, 0.25], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "joined thrice"])  # it holds a lambda
def test_schedules_are_values(name):
    schedule = SCHEDULES[name](optim)
    for other in (
        pickle.loads(pickle.dumps(schedule)),
        copy.deepcopy(schedule),
        eval(repr(schedule), dict(vars(optim))),
    ):
        assert schedule == other and repr(schedule) == repr(other) and hash(schedule) == hash(other)
        assert [schedule(s).item() for s in (0, 7, 40)] == [other(s).item() for s in (0, 7, 40)]


def test_schedules_print_themselves():
    assert repr(optim.cosine_decay(0.1, 20)) == "cosine_decay(init=0.1, decay_steps=20, end=0.0)"
    assert repr(optim.linear_schedule(0, 1, 1e3)) == "linear_schedule(init=0.0, end=1.0, steps=1000)"
    assert optim.step_decay(1, 0.5, 2) != optim.step_decay(1, 0.5, 3)


def test_an_optimizer_with_a_schedule_can_be_pickled():
    optimizer = optim.SGD(optim.linear_schedule(1.0, 0.0, 4))
    optimizer.apply_gradients({"w": mx.array(1.0)}, {"w": mx.array(0.0)})
    other = pickle.loads(pickle.dumps(optimizer))
    for o in (optimizer, other):
        assert o.apply_gradients({"w": mx.array(1.0)}, {"w": mx.array(0.0)})["w"].item() == -0.75


def test_rates_follow_a_schedule_in_an_optimizer():
    def rates(optim, mx):
        optimizer = optim.Adam(learning_rate=optim.cosine_decay(0.1, 5))
        out = [optimizer.learning_rate.item()]
        for _ in range(6):
            optimizer.apply_gradients({}, {})
            out.append(optimizer.learning_rate.item())
        return out

    np.testing.assert_allclose(rates(optim, mx), rates(mlx.optimizers, mlx.core), rtol=5e-7, atol=1e-9)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: optim.step_decay(0.1, 0.9, 0), "step_size is 0"),
        (lambda: optim.cosine_decay(0.1, 0), "decay_steps is 0"),
        (lambda: optim.linear_schedule(0, 1, 0), "steps is 0"),
        (lambda: optim.exponential_decay(0.1, 0.9, 0), "decay_steps is 0"),
        (lambda: optim.join_schedules([], []), "0 schedules and 0 boundaries"),
        (lambda: optim.join_schedules([optim.step_decay(1, 1, 1)], [1]), "1 schedules and 1 boundaries"),
    ],
)
def test_wrong_arguments_are_errors_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()
