"""EMA: exponential moving averages of a model's parameters."""

import contextlib

import treadle.core as mx
from treadle._core import _optimizers as _rules
from treadle._core._nn import with_leaves, zip_leaves
from treadle.optimizers.stateful import Stateful
from treadle.utils import tree_flatten, tree_map


class EMA(Stateful):
    """Exponential moving averages of a model's trainable parameters, which often do better than those of the last step.

    After each step ``average = average + (1 - decay) (parameter - average)``. Averages are kept in float32 or wider: in
    bfloat16 a change of one part in a thousand would be lost. They may be part of a compiled step, by their state::

        ema = optim.EMA(model, decay=0.999)
        ...
        optimizer.update(model, grads)
        ema.update(model)
        ...
        with ema.averaged(model):
            evaluate(model)

    Source: Polyak & Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992.

    The state has ``"updates"`` and ``"average"``.

    Args:
        model (Module): The model; the averages begin as its parameters.
        decay (float): At least 0 and below 1. Default: ``0.999``.
        warmup (bool): After n updates the decay is at most (1 + n) / (10 + n), so that the first parameters are soon
            forgotten. Default: ``False``.
    """

    def __init__(self, model, decay=0.999, warmup=False):
        if not 0 <= decay < 1:
            raise ValueError(f"[EMA] the decay is {decay}; expected at least 0 and below 1.")
        self._decay, self._warmup = decay, warmup
        half = (mx.float16, mx.bfloat16)
        self._state = {
            "updates": mx.array(0, mx.int32),
            "average": tree_map(
                lambda p: p.astype(mx.float32) if p.dtype in half else mx.array(p), model.trainable_parameters()
            ),
        }

    @property
    def average(self):
        """The averages, a tree like the model's trainable parameters."""
        return self._state["average"]

    def update(self, model):
        """Takes the parameters of ``model`` into account; to be called after each step.

        Raises:
            ValueError: Other parameters are trainable than were in the beginning.
        """
        averages, parameters = self._pairs(model)
        n = self._state["updates"]
        decay = _rules.ema_warmup(n, self._decay) if self._warmup else mx.array(self._decay)
        self._state["average"] = with_leaves(self.average, _rules.ema_update(averages, parameters, decay))
        self._state["updates"] = n + 1

    def apply(self, model):
        """Gives the averages to the model, in its dtypes, and returns the parameters that it had."""
        averages, parameters = self._pairs(model)
        own = model.trainable_parameters()
        dtypes = [p.dtype for p in parameters]
        model.update(with_leaves(self.average, [a.astype(d) for a, d in zip(averages, dtypes, strict=True)]))
        return own

    @contextlib.contextmanager
    def averaged(self, model):
        """In the scope of a ``with``, the model has the averages."""
        own = self.apply(model)
        try:
            yield model
        finally:
            model.update(own)

    def _pairs(self, model):
        own = model.trainable_parameters()
        names = [[path for path, _ in tree_flatten(tree)] for tree in (self.average, own)]
        if names[0] != names[1]:
            raise ValueError(
                f"[EMA] the model has {len(names[1])} trainable parameters, {len(names[0])} are averaged; expected the "
                "same."
            )
        return zip_leaves(self.average, own)
