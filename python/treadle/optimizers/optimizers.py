"""Optimizers: what they remember between steps, and which update rule they apply to a tree of parameters.

The rules themselves are in the library (treadle/optimizers/rules.h). A step hands all parameters to the rule at once.
"""

import treadle.core as mx
from treadle._core import _optimizers as _rules
from treadle._core._nn import with_leaves, zip_leaves
from treadle.optimizers.base import Optimizer
from treadle.utils import ClippedGrads


def _column(states, name):
    return [state[name] for state in states]


def _set_column(states, name, values):
    for state, value in zip(states, values, strict=True):
        state[name] = value


def _check_positive(op, **values):
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"[{op}] {name} is {value}; expected more than 0.")


def _check_not_negative(op, **values):
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"[{op}] {name} is {value}; expected 0 or more.")


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


class Adamax(Adam):
    r"""Adam by the infinity norm (Kingma & Ba 2015), without the correction of the paper, as in MLX.

    .. math::
        m_{t+1} = \beta_1 m_t + (1 - \beta_1) g_t, \quad v_{t+1} = \max(\beta_2 v_t, |g_t|), \quad
        w_{t+1} = w_t - \eta \frac{m_{t+1}}{v_{t+1} + \epsilon}

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1e-3``.
        betas (tuple[float, float]): :math:`(\beta_1, \beta_2)`, in [0, 1). Default: ``(0.9, 0.999)``.
        eps (float): :math:`\epsilon \ge 0`. Default: ``1e-8``.
    """

    def __init__(self, learning_rate=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(learning_rate, betas, eps)

    def _apply(self, gradients, parameters, states):
        columns = _column(states, "m"), _column(states, "v")
        beta1, beta2 = self.betas
        new, m, v = _rules.adamax_update(
            gradients, parameters, *columns, self.learning_rate, beta1=beta1, beta2=beta2, eps=self.eps
        )
        _set_column(states, "m", m)
        _set_column(states, "v", v)
        return new


class Adagrad(Optimizer):
    r"""Adagrad (Duchi et al. 2011).

    .. math::
        v_{t+1} = v_t + g_t^2, \quad w_{t+1} = w_t - \eta \frac{g_t}{\sqrt{v_{t+1}} + \epsilon}

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1e-2``.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-8``.
    """

    def __init__(self, learning_rate=1e-2, eps=1e-8):
        super().__init__()
        _check_positive("Adagrad", eps=eps)
        self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps

    def init_single(self, parameter, state):
        state["v"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        new, v = _rules.adagrad_update(gradients, parameters, _column(states, "v"), self.learning_rate, eps=self.eps)
        _set_column(states, "v", v)
        return new


class RMSprop(Optimizer):
    r"""RMSprop (Tieleman & Hinton 2012).

    .. math::
        v_{t+1} = \alpha v_t + (1 - \alpha) g_t^2, \quad w_{t+1} = w_t - \eta \frac{g_t}{\sqrt{v_{t+1}} + \epsilon}

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1e-2``.
        alpha (float): :math:`\alpha \ge 0`. Default: ``0.99``.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-8``.
    """

    def __init__(self, learning_rate=1e-2, alpha=0.99, eps=1e-8):
        super().__init__()
        _check_not_negative("RMSprop", alpha=alpha)
        _check_positive("RMSprop", eps=eps)
        self._maybe_schedule("learning_rate", learning_rate)
        self.alpha = alpha
        self.eps = eps

    def init_single(self, parameter, state):
        state["v"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        new, v = _rules.rmsprop_update(
            gradients, parameters, _column(states, "v"), self.learning_rate, alpha=self.alpha, eps=self.eps
        )
        _set_column(states, "v", v)
        return new


class AdaDelta(Optimizer):
    r"""AdaDelta (Zeiler 2012).

    .. math::
        v_{t+1} = \rho v_t + (1 - \rho) g_t^2, \quad
        d_{t+1} = \frac{\sqrt{u_t + \epsilon}}{\sqrt{v_{t+1} + \epsilon}} g_t, \quad
        u_{t+1} = \rho u_t + (1 - \rho) d_{t+1}^2, \quad w_{t+1} = w_t - \eta d_{t+1}

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1.0``.
        rho (float): :math:`\rho \ge 0`. Default: ``0.9``.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-6``.
    """

    def __init__(self, learning_rate=1.0, rho=0.9, eps=1e-6):
        super().__init__()
        _check_not_negative("AdaDelta", rho=rho)
        _check_positive("AdaDelta", eps=eps)
        self._maybe_schedule("learning_rate", learning_rate)
        self.rho = rho
        self.eps = eps

    def init_single(self, parameter, state):
        state["v"] = mx.zeros_like(parameter)
        state["u"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        columns = _column(states, "v"), _column(states, "u")
        new, v, u = _rules.adadelta_update(
            gradients, parameters, *columns, self.learning_rate, rho=self.rho, eps=self.eps
        )
        _set_column(states, "v", v)
        _set_column(states, "u", u)
        return new


class Lion(Optimizer):
    r"""Lion (Chen et al. 2023): steps of one size, so rates are 3 to 10 times smaller than Adam's.

    .. math::
        c_{t+1} = \beta_1 m_t + (1 - \beta_1) g_t, \quad m_{t+1} = \beta_2 m_t + (1 - \beta_2) g_t, \quad
        w_{t+1} = (1 - \eta \lambda) w_t - \eta\, \mathrm{sign}(c_{t+1})

    Args:
        learning_rate (float or callable): :math:`\eta`, or a schedule. Default: ``1e-4``.
        betas (tuple[float, float]): :math:`(\beta_1, \beta_2)`, in [0, 1). Default: ``(0.9, 0.99)``.
        weight_decay (float): :math:`\lambda`. Default: ``0``.
    """

    def __init__(self, learning_rate=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__()
        _check_betas("Lion", betas)
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.weight_decay = weight_decay

    def init_single(self, parameter, state):
        state["m"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        beta1, beta2 = self.betas
        new, m = _rules.lion_update(
            gradients,
            parameters,
            _column(states, "m"),
            self.learning_rate,
            beta1=beta1,
            beta2=beta2,
            weight_decay=self.weight_decay,
        )
        _set_column(states, "m", m)
        return new


class Muon(Optimizer):
    """Momentum whose steps are orthogonal matrices (Jordan et al. 2024).

    A parameter of two axes or more is treated as a matrix of its first axis and all others; others take the plain
    momentum step. Meant for the inner matrices of a network: give embeddings, last layers and vectors to another
    optimizer, with :class:`MultiOptimizer`.

    Args:
        learning_rate (float or callable): The rate, or a schedule.
        momentum (float): Default: ``0.95``.
        weight_decay (float): Added to the gradient times the weight. Default: ``0.01``.
        nesterov (bool): Default: ``True``.
        ns_steps (int): Iterations of Newton and Schulz. Default: ``5``.
    """

    def __init__(self, learning_rate, momentum=0.95, weight_decay=0.01, nesterov=True, ns_steps=5):
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.ns_steps = ns_steps

    def init_single(self, parameter, state):
        state["v"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        new, v = _rules.muon_update(
            gradients,
            parameters,
            _column(states, "v"),
            self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            ns_steps=self.ns_steps,
        )
        _set_column(states, "v", v)
        return new


class Adafactor(Optimizer):
    r"""Adafactor (Shazeer & Stern 2018): of a matrix it keeps means of rows and columns only.

    Args:
        learning_rate (float or callable, optional): Counts only without ``relative_step``. Default: ``None``.
        eps (tuple[float, float]): What is added to squares of gradients, and the least scale of a parameter. Default:
            ``(1e-30, 1e-3)``.
        clip_threshold (float): The largest root mean square of an update. Default: ``1``.
        decay_rate (float): Squares are averaged with :math:`\beta_2 = 1 - t^{\text{decay\_rate}}`. Default: ``-0.8``.
        beta_1 (float, optional): Of a first moment, if there is to be one. Default: ``None``.
        weight_decay (float): Default: ``0``.
        scale_parameter (bool): Whether the rate grows with the root mean square of the parameter. Default: ``True``.
        relative_step (bool): Whether the rate is :math:`\min(10^{-2}, 1 / \sqrt t)`. Default: ``True``.
        warmup_init (bool): Then it is :math:`\min(10^{-6} t, 1 / \sqrt t)`. Default: ``False``.
    """

    def __init__(
        self,
        learning_rate=None,
        eps=(1e-30, 1e-3),
        clip_threshold=1.0,
        decay_rate=-0.8,
        beta_1=None,
        weight_decay=0.0,
        scale_parameter=True,
        relative_step=True,
        warmup_init=False,
    ):
        super().__init__()
        if learning_rate is not None:
            self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps
        self.clip_threshold = clip_threshold
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.weight_decay = weight_decay
        self.scale_parameter = scale_parameter
        self.relative_step = relative_step
        self.warmup_init = warmup_init

    def add_group(self, paths, learning_rate=None, weight_decay=None):
        if learning_rate is not None and self.relative_step:
            raise ValueError(
                f"[Adafactor] the group '{paths}' is given a learning rate, but Adafactor chooses its own unless "
                "relative_step is false."
            )
        return super().add_group(paths, learning_rate, weight_decay)

    def init_single(self, parameter, state):
        if parameter.ndim >= 2:
            *rest, rows, columns = parameter.shape
            state["exp_avg_sq_row"] = mx.zeros((*rest, rows), dtype=parameter.dtype)
            state["exp_avg_sq_col"] = mx.zeros((*rest, columns), dtype=parameter.dtype)
        else:
            state["exp_avg_sq"] = mx.zeros_like(parameter)
        if self.beta_1 is not None:
            state["exp_avg"] = mx.zeros_like(parameter)

    def _apply(self, gradients, parameters, states):
        return _rules.adafactor_update(
            gradients,
            parameters,
            states,
            self.state.get("learning_rate"),
            self.step,
            eps=tuple(self.eps),
            clip_threshold=self.clip_threshold,
            decay_rate=self.decay_rate,
            beta_1=self.beta_1,
            weight_decay=self.weight_decay,
            scale_parameter=self.scale_parameter,
            relative_step=self.relative_step,
            warmup_init=self.warmup_init,
        )


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
