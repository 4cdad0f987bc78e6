"""Activations: each as a function and as a layer, made from one table."""

import copyreg

import treadle.core as mx
from treadle._core._nn import (
    celu,
    elu,
    gelu,
    gelu_approx,
    gelu_fast_approx,
    glu,
    hard_shrink,
    hard_tanh,
    hardswish,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    prelu,
    relu,
    relu2,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    step,
    tanh,
)
from treadle.nn.layers.base import Module

# Layers keep such functions as attributes; pickle and copy take them by name, as they do functions written in Python.
copyreg.pickle(type(relu), lambda function: function.__qualname__)

hardtanh = hard_tanh
hardshrink = hard_shrink


def check_function(f, option):
    """Raises ValueError unless f can be called with an array; a class of layers makes a layer when it is called."""
    if isinstance(f, type):
        raise ValueError(f"{option} is the class {f.__name__}; expected a function or a layer, such as {f.__name__}().")
    if not callable(f):
        raise ValueError(f"{option} is {f!r}; expected a function or a layer.")
    return f


def _layer(name, function, **options):
    """A layer class that calls ``function(x, *options)``.

    The options are attributes with their default values; the arguments of the constructor are named like them, without
    a leading underscore.
    """
    arguments = "".join(f", {n.lstrip('_')}={default!r}" for n, default in options.items())
    values = "".join(f", self.{n}" for n in options)
    assignments = "".join(f"    self.{n} = {n.lstrip('_')}\n" for n in options)
    # Written out, so that the constructor has named arguments.
    source = f"""
def __init__(self{arguments}):
    Module.__init__(self)
{assignments}
def __call__(self, x):
    return function(x{values})
"""
    body = {}
    exec(source, {"Module": Module, "function": function}, body)
    for method in body.values():
        method.__qualname__ = f"{name}.{method.__name__}"
        method.__module__ = __name__
    doc = f"Applies :func:`{function.__name__}`, whose documentation says what it computes."
    return type(name, (Module,), body | {"__module__": __name__, "__qualname__": name, "__doc__": doc})


CELU = _layer("CELU", celu, _alpha=1.0)
ELU = _layer("ELU", elu, _alpha=1.0)
GLU = _layer("GLU", glu, axis=-1)
HardShrink = Hardshrink = _layer("HardShrink", hard_shrink, lambd=0.5)
Hardswish = _layer("Hardswish", hardswish)
HardTanh = Hardtanh = _layer("HardTanh", hard_tanh, min_val=-1.0, max_val=1.0)
LeakyReLU = _layer("LeakyReLU", leaky_relu, _negative_slope=0.01)
LogSigmoid = _layer("LogSigmoid", log_sigmoid)
LogSoftmax = _layer("LogSoftmax", log_softmax)
Mish = _layer("Mish", mish)
ReLU = _layer("ReLU", relu)
ReLU2 = _layer("ReLU2", relu2)
ReLU6 = _layer("ReLU6", relu6)
SELU = _layer("SELU", selu)
Sigmoid = _layer("Sigmoid", sigmoid)
SiLU = _layer("SiLU", silu)
Softmax = _layer("Softmax", softmax)
Softmin = _layer("Softmin", softmin)
Softplus = _layer("Softplus", softplus, beta=1.0, threshold=20.0)
Softshrink = _layer("Softshrink", softshrink, lambd=0.5)
Softsign = _layer("Softsign", softsign)
Step = _layer("Step", step, threshold=0.0)
Tanh = _layer("Tanh", tanh)


class GELU(Module):
    """Applies :func:`gelu`, or an approximation of it.

    Args:
        approx (str): ``"none"``; ``"precise"`` or ``"tanh"`` for :func:`gelu_approx`; ``"fast"`` for
            :func:`gelu_fast_approx`. Default: ``"none"``.
    """

    _FUNCTIONS = {"none": gelu, "precise": gelu_approx, "tanh": gelu_approx, "fast": gelu_fast_approx}

    def __init__(self, approx="none"):
        super().__init__()
        if approx not in self._FUNCTIONS:
            raise ValueError(f"[GELU] approx is {approx!r}; expected one of {', '.join(map(repr, self._FUNCTIONS))}.")
        self._approx = approx

    def __call__(self, x):
        return self._FUNCTIONS[self._approx](x)


class PReLU(Module):
    """Applies :func:`prelu` with a learned slope.

    Args:
        num_parameters (int): The number of slopes: 1, or one for each channel. Default: ``1``.
        init (float): Their first value. Default: ``0.25``.
    """

    def __init__(self, num_parameters=1, init=0.25):
        super().__init__()
        self.weight = mx.full([num_parameters], init)

    def __call__(self, x):
        return prelu(x, self.weight)
