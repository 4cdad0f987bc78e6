"""Learning rate schedules: values that are called with the number of steps taken and return the rate there.

An optimizer takes one as its ``learning_rate``. They print themselves, compare equal and can be pickled. The formulas
are in the library (treadle/optimizers/schedules.h).
"""

import treadle.core as mx
from treadle._core import _optimizers as _rules


def _whole(steps):
    """A number of steps, also where it is written as 1e4; others are left to the check of the types."""
    return int(steps) if isinstance(steps, float) and steps.is_integer() else steps


class _Schedule:
    """A value made of its attributes."""

    def __init__(self, **values):
        self.__dict__.update(values)
        self(mx.array(0, mx.uint64))  # wrong arguments are errors now, not at the first step

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self):
        return hash(repr(self))


class exponential_decay(_Schedule):
    """``init * decay_rate ** (step / decay_steps)``.

    Args:
        init (float): The first value.
        decay_rate (float): The factor of each ``decay_steps`` steps.
        decay_steps (float): More than 0. Default: ``1``.
    """

    def __init__(self, init, decay_rate, decay_steps=1):
        super().__init__(init=float(init), decay_rate=float(decay_rate), decay_steps=float(decay_steps))

    def __call__(self, step):
        return _rules.exponential_decay(step, self.init, self.decay_rate, self.decay_steps)


class step_decay(_Schedule):
    """``init * decay_rate ** (step // step_size)``.

    Args:
        init (float): The first value.
        decay_rate (float): The factor of each ``step_size`` steps.
        step_size (int): More than 0.
    """

    def __init__(self, init, decay_rate, step_size):
        super().__init__(init=float(init), decay_rate=float(decay_rate), step_size=_whole(step_size))

    def __call__(self, step):
        return _rules.step_decay(step, self.init, self.decay_rate, self.step_size)


class cosine_decay(_Schedule):
    """Half a cosine wave from ``init`` down to ``end``, which stays.

    Args:
        init (float): The first value.
        decay_steps (int): The steps it takes, more than 0.
        end (float): The last value. Default: ``0``.
    """

    def __init__(self, init, decay_steps, end=0.0):
        super().__init__(init=float(init), decay_steps=_whole(decay_steps), end=float(end))

    def __call__(self, step):
        return _rules.cosine_decay(step, self.init, self.decay_steps, self.end)


class linear_schedule(_Schedule):
    """A straight line from ``init`` to ``end``, which stays.

    Args:
        init (float): The first value.
        end (float): The last value.
        steps (int): The steps it takes, more than 0.
    """

    def __init__(self, init, end, steps):
        super().__init__(init=float(init), end=float(end), steps=_whole(steps))

    def __call__(self, step):
        return _rules.linear_schedule(step, self.init, self.end, self.steps)


class join_schedules(_Schedule):
    """One schedule after the other: ``schedules[i + 1]`` from step ``boundaries[i]`` on, where it counts from 0.

    Args:
        schedules (list[callable]): At least one.
        boundaries (list[int]): One less.
    """

    def __init__(self, schedules, boundaries):
        super().__init__(schedules=list(schedules), boundaries=[_whole(b) for b in boundaries])

    def __call__(self, step):
        step = mx.array(step)
        starts = [0, *self.boundaries]
        values = [s(step - start if start else step) for s, start in zip(self.schedules, starts, strict=False)]
        return _rules.joined(step, [mx.array(value) for value in values], self.boundaries)
