"""LossScale: a factor on the loss that keeps gradients in float16 away from 0 and from infinity."""

import treadle.core as mx
from treadle._core import _optimizers as _rules
from treadle._core._nn import with_leaves, zip_leaves
from treadle.optimizers.stateful import Stateful
from treadle.utils import ClippedGrads, tree_flatten, tree_map


class LossScale(Stateful):
    """A factor on the loss that follows the gradients, without asking for a value: it may be part of a compiled step.

    While gradients are finite, the scale grows by ``growth`` every ``interval`` steps. A step whose gradients are not
    finite changes neither model nor optimizer, and shrinks the scale by ``backoff``, down to 1::

        scale = optim.LossScale()

        def loss_fn(x, y):
            return scale.scaled(nn.losses.cross_entropy(model(x), y).mean())

        def step(x, y):
            loss, grads = nn.value_and_grad(model, nn.autocast(model, loss_fn, mx.float16))(x, y)
            loss = scale.unscaled(loss)
            scale.update(optimizer, model, scale.unscaled(grads))
            return loss

    Source: Micikevicius et al., Mixed Precision Training, 2018.

    The state has ``"scale"`` and ``"good_steps"``.

    Args:
        initial (float): The first scale, at least 1. Default: ``65536``.
        growth (float): At least 1. Default: ``2``.
        backoff (float): Above 0 and at most 1. Default: ``0.5``.
        interval (int): Finite steps in a row until the scale grows. Default: ``2000``.
    """

    def __init__(self, initial=65536.0, growth=2.0, backoff=0.5, interval=2000):
        self._options = (growth, backoff, interval)
        self._state = {
            "scale": _rules.check_loss_scale(initial, growth, backoff, interval),
            "good_steps": mx.array(0, mx.int32),
        }

    @property
    def scale(self):
        """The scale, an array."""
        return self._state["scale"]

    def scaled(self, loss):
        """The loss to differentiate: in float32 or wider, times the scale."""
        return _rules.scale_loss(loss, self.scale)

    def unscaled(self, tree):
        """A tree of gradients, or the loss, by the scale; what is not finite stays so."""
        arrays = [v for _, v in tree_flatten([tree])]
        return with_leaves([tree], _rules.unscale(arrays, self.scale))[0]

    def update(self, optimizer, model, gradients):
        """A step of the optimizer if all gradients are finite, else none; then adapts the scale.

        Args:
            optimizer (Optimizer): The optimizer.
            model (Module): The model.
            gradients (dict): The gradients, unscaled and perhaps clipped.

        Returns:
            array: Whether they were finite.
        """
        if isinstance(gradients, ClippedGrads):
            gradients = gradients.grads
        optimizer.init(model.trainable_parameters())
        before = tree_map(lambda v: v, optimizer.state)  # other containers: the optimizer changes its own
        leaves, parameters = zip_leaves(gradients, model)
        finite = _rules.all_finite(leaves)
        now, _ = zip_leaves(optimizer.apply_gradients(gradients, model), gradients)
        _keep_if(finite, optimizer.state, before)
        model.update(with_leaves(gradients, _rules.keep_if(finite, now, parameters)))
        self._state["scale"], self._state["good_steps"] = _rules.next_scale(
            self.scale, self._state["good_steps"], finite, *self._options
        )
        return finite


def _keep_if(finite, state, before):
    """Puts back the arrays of `before`, where not finite, into the containers of `state`, which stay the same."""
    if state.keys() != before.keys() if isinstance(state, dict) else len(state) != len(before):
        raise ValueError(
            "[LossScale] the optimizer has another state after a step than before it; expected all of it to be there "
            "after init()."
        )
    for key in list(state) if isinstance(state, dict) else range(len(state)):
        now, old = state[key], before[key]
        if isinstance(now, (dict, list, tuple)):
            _keep_if(finite, now, old)
        elif isinstance(now, mx.array) and now is not old:
            state[key] = _rules.keep_if(finite, [now], [old])[0]
