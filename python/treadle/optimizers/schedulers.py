"""Learning rate schedules: values that are called with the number of steps taken and return the rate there.

An optimizer takes one as its ``learning_rate``. They print themselves, compare equal and can be pickled. The formulas
are in the library (treadle/optimizers/schedules.h).
"""

from collections.abc import Callable
from dataclasses import dataclass

import treadle.core as mx
from treadle._core import _optimizers as _rules


class _Schedule:
    def __post_init__(self):
        self(mx.array(0, mx.uint64))  # wrong arguments are errors now, not at the first step


@dataclass(frozen=True)
class exponential_decay(_Schedule):
    """``init * decay_rate ** (step / decay_steps)``.

    Args:
        init (float): The first value.
        decay_rate (float): The factor of each ``decay_steps`` steps.
        decay_steps (float): More than 0. Default: ``1``.
    """

    init: float
    decay_rate: float
    decay_steps: float = 1

    def __call__(self, step):
        return _rules.exponential_decay(step, self.init, self.decay_rate, self.decay_steps)


@dataclass(frozen=True)
class step_decay(_Schedule):
    """``init * decay_rate ** (step // step_size)``.

    Args:
        init (float): The first value.
        decay_rate (float): The factor of each ``step_size`` steps.
        step_size (int): More than 0.
    """

    init: float
    decay_rate: float
    step_size: int

    def __call__(self, step):
        return _rules.step_decay(step, self.init, self.decay_rate, self.step_size)


@dataclass(frozen=True)
class cosine_decay(_Schedule):
    """Half a cosine wave from ``init`` down to ``end``, which stays.

    Args:
        init (float): The first value.
        decay_steps (int): The steps it takes, more than 0.
        end (float): The last value. Default: ``0``.
    """

    init: float
    decay_steps: int
    end: float = 0.0

    def __call__(self, step):
        return _rules.cosine_decay(step, self.init, self.decay_steps, self.end)


@dataclass(frozen=True)
class linear_schedule(_Schedule):
    """A straight line from ``init`` to ``end``, which stays.

    Args:
        init (float): The first value.
        end (float): The last value.
        steps (int): The steps it takes, more than 0.
    """

    init: float
    end: float
    steps: int

    def __call__(self, step):
        return _rules.linear_schedule(step, self.init, self.end, self.steps)


@dataclass(frozen=True)
class join_schedules(_Schedule):
    """One schedule after the other: ``schedules[i + 1]`` from step ``boundaries[i]`` on, where it counts from 0.

    Args:
        schedules (list[callable]): At least one.
        boundaries (list[int]): One less.
    """

    schedules: list[Callable]
    boundaries: list[int]

    def __call__(self, step):
        step = mx.array(step)
        starts = [0, *self.boundaries]
        values = [s(step - start if start else step) for s, start in zip(self.schedules, starts, strict=False)]
        return _rules.joined(step, [mx.array(value) for value in values], self.boundaries)
