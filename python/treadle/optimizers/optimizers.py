"""Optimizers: what they remember between steps, and which update rule they apply to a tree of parameters.

The rules themselves are in the library (treadle/optimizers/rules.h). A step hands all parameters to the rule at once.
"""

import treadle.core as mx
from treadle._core import _optimizers as _rules
from treadle._core._nn import with_leaves, zip_leaves
from treadle.utils import ClippedGrads, tree_map, tree_map_with_path


class Optimizer:
    """Base of all optimizers.

    The state is a dict: ``"step"``, scheduled values such as ``"learning_rate"``, and a tree like the parameters with
    a dict for each of them. A new optimizer defines :meth:`init_single` and :meth:`apply_single`; a class derived from
    one of the optimizers here may define either anew.

    Args:
        schedulers (dict, optional): From names of state entries to functions of the step that give their values.
    """

    def __init__(self, schedulers=None):
        self._initialized = False
        self._state = {"step": mx.array(0, mx.uint64)}
        self._schedulers = dict(schedulers or {})

    def update(self, model, gradients):
        """Applies gradients to a model and gives it the new parameters.

        Args:
            model (Module): The model.
            gradients (dict): A tree like a part of the model's parameters, as from :func:`treadle.nn.value_and_grad`,
                or the result of :func:`clip_grad_norm`.
        """
        model.update(self.apply_gradients(gradients, model))

    def init(self, parameters):
        """Adds the state of parameters that have none yet. The first step does so; a compiled step needs it before.

        Args:
            parameters (dict): A tree of parameters.
        """
        self._state = _grown(self._state, parameters)
        tree_map(self._init_if_empty, parameters, self._state)
        self._initialized = True

    def _init_if_empty(self, parameter, state):
        if not state:
            self.init_single(parameter, state)

    def init_single(self, parameter, state):
        """Puts the state of one parameter into the dict ``state``."""
        raise NotImplementedError(f"[{type(self).__name__}] an optimizer must define init_single(parameter, state).")

    def apply_gradients(self, gradients, parameters):
        """The new parameters, as a tree like ``gradients``.

        Args:
            gradients (dict): A tree of gradients.
            parameters (dict): A tree of parameters, which may have more than ``gradients`` has.
        """
        if isinstance(gradients, ClippedGrads):
            gradients = gradients.grads
        if not self._initialized:
            self.init(gradients)
        for name, schedule in self._schedulers.items():
            self.state[name] = schedule(self.step)
        self.state["step"] = self.step + 1

        if type(self).apply_single is not Optimizer.apply_single:
            return tree_map(self.apply_single, gradients, parameters, self.state)
        places = zip_leaves(gradients, parameters, self.state)
        try:
            new = self._apply(*places) if places[0] else []
        except ValueError:
            self._check_shapes(gradients, parameters)
            raise
        return with_leaves(gradients, new)

    def _check_shapes(self, gradients, parameters):
        """Raises ValueError for the first gradient that has not the shape of its parameter."""

        def check(path, gradient, parameter):
            if gradient.shape != parameter.shape:
                raise ValueError(
                    f"[{type(self).__name__}] the gradient of '{path}' has shape {gradient.shape}; expected that of "
                    f"the parameter, {parameter.shape}."
                )

        tree_map_with_path(check, gradients, parameters)

    def apply_single(self, gradient, parameter, state):
        """The new value of one parameter; changes the dict ``state``, which is its own."""
        return self._apply([gradient], [parameter], [state])[0]

    def _apply(self, gradients, parameters, states):
        """The new values of parameters; changes the dicts ``states``, one for each."""
        raise NotImplementedError(
            f"[{type(self).__name__}] an optimizer must define apply_single(gradient, parameter, state)."
        )

    @property
    def state(self):
        """The state; may be set, for instance to one that was saved."""
        return self._state

    @state.setter
    def state(self, state):
        self._initialized = False
        self._state = state

    @property
    def step(self):
        """The number of steps taken, an array."""
        return self.state["step"]

    @property
    def learning_rate(self):
        """The learning rate of the last step, an array; may be set to a number. A schedule sets it at every step."""
        return self.state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.state["learning_rate"] = mx.array(learning_rate)

    def _maybe_schedule(self, name, value):
        """Puts a number, or the present value of a schedule, into the state."""
        if callable(value):
            self._schedulers[name] = value
            self.state[name] = value(self.step)
        else:
            self.state[name] = mx.array(value)


def _grown(state, parameters):
    """`state` with ``{}`` at the places of `parameters` that it lacks. Dicts are changed, sequences are new."""
    if isinstance(parameters, ClippedGrads):
        parameters = parameters.grads
    if isinstance(parameters, dict):
        for key, value in parameters.items():
            state[key] = _grown(state.get(key, {}), value)
    elif isinstance(parameters, (list, tuple)):
        present = list(state)
        present.extend({} for _ in parameters[len(present) :])
        items = [*map(_grown, present, parameters), *present[len(parameters) :]]
        return type(parameters)(*items) if hasattr(parameters, "_fields") else type(parameters)(items)
    return state


def _column(states, name):
    return [state[name] for state in states]


def _set_column(states, name, values):
    for state, value in zip(states, values, strict=True):
        state[name] = value


def _check_betas(op, betas):
    for i, beta in enumerate(betas):
        if not 0 <= beta < 1:
            raise ValueError(f"[{op}] beta{i + 1} is {beta}; expected [0, 1).")


class SGD(Optimizer):
    r"""Stochastic gradient descent.

    .. math::
        g'_t = g_t + \lambda w_t, \quad v_{t+1} = \mu v_t + (1 - \tau) g'_t, \quad w_{t+1} = w_t - \eta v_{t+1}

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule.
        momentum (float): :math:`\mu`. Default: ``0``.
        weight_decay (float): :math:`\lambda`. Default: ``0``.
        dampening (float): :math:`\tau`. Default: ``0``.
        nesterov (bool): The step is :math:`g'_t + \mu v_{t+1}`; needs a momentum and no dampening. Default: ``False``.
    """

    def __init__(self, learning_rate, momentum=0.0, weight_decay=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"[SGD] nesterov with momentum {momentum} and dampening {dampening}; expected a positive momentum and "
                "no dampening."
            )
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.dampening = dampening
        self.nesterov = nesterov

    def init_single(self, parameter, state):
        state["v"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        new, v = _rules.sgd_update(
            gradients,
            parameters,
            _column(states, "v"),
            self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            dampening=self.dampening,
            nesterov=self.nesterov,
        )
        if self.momentum > 0:
            _set_column(states, "v", v)
        return new


class Adam(Optimizer):
    r"""Adam (Kingma & Ba 2015).

    .. math::
        m_{t+1} = \beta_1 m_t + (1 - \beta_1) g_t, \quad v_{t+1} = \beta_2 v_t + (1 - \beta_2) g_t^2, \quad
        w_{t+1} = w_t - \eta \frac{m_{t+1}}{\sqrt{v_{t+1}} + \epsilon}

    **The bias correction of the paper is off by default**, as in MLX: the first steps are then about three times as
    large as those of the paper. Pass ``bias_correction=True`` for what other libraries call Adam.

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1e-3``.
        betas (tuple[float, float]): :math:`(\beta_1, \beta_2)`, in [0, 1). Default: ``(0.9, 0.999)``.
        eps (float): :math:`\epsilon \ge 0`. Default: ``1e-8``.
        bias_correction (bool): Divide :math:`m` by :math:`1 - \beta_1^t` and :math:`v` by :math:`1 - \beta_2^t`.
            Default: ``False``.
    """

    def __init__(self, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8, bias_correction=False):
        super().__init__()
        _check_betas("Adam", betas)
        if not eps >= 0:
            raise ValueError(f"[Adam] eps is {eps}; expected 0 or more.")
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.eps = eps
        self.bias_correction = bias_correction

    def init_single(self, parameter, state):
        state["m"] = mx.zeros_like(parameter)
        state["v"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        return self._adam(_rules.adam_update, gradients, parameters, states)

    def _adam(self, rule, gradients, parameters, states, **more):
        beta1, beta2 = self.betas
        new, m, v = rule(
            gradients,
            parameters,
            _column(states, "m"),
            _column(states, "v"),
            self.learning_rate,
            self.step,
            beta1=beta1,
            beta2=beta2,
            eps=self.eps,
            bias_correction=self.bias_correction,
            **more,
        )
        _set_column(states, "m", m)
        _set_column(states, "v", v)
        return new


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov & Hutter 2019): Adam's step from :math:`w_t (1 - \eta \lambda)`.

    Args:
        learning_rate, betas, eps, bias_correction: As those of :class:`Adam`.
        weight_decay (float): :math:`\lambda`. Default: ``0.01``.
    """

    def __init__(self, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, bias_correction=False):
        super().__init__(learning_rate, betas, eps, bias_correction)
        self.weight_decay = weight_decay

    def _apply(self, gradients, parameters, states):
        return self._adam(_rules.adamw_update, gradients, parameters, states, weight_decay=self.weight_decay)


def clip_grad_norm(grads, max_norm):
    r"""Gradients of which the norm over all is at most ``max_norm``: all times :math:`\min(1, \text{max\_norm} / n)`.

    Args:
        grads (dict): A tree of gradients.
        max_norm (float): 0 or more.

    Returns:
        The gradients and the norm :math:`n` before clipping, as a pair that is also taken for the gradients alone.
    """
    if isinstance(grads, ClippedGrads):
        grads = grads.grads
    (leaves,) = zip_leaves(grads)
    clipped, norm = _rules.clip_grad_norm(leaves, max_norm)
    return ClippedGrads((with_leaves(grads, clipped), norm))
