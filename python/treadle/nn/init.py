"""Initializers: the first values of parameters.

A function here returns an initializer, which is called with a shape, or with an array for its shape, and returns an
array of that shape::

    layer.weight = nn.init.he_normal()(layer.weight.shape)

The fans of a shape are those of a layer's weight, ``(out, ..., in)``: ``fan_in`` is the last length, ``fan_out`` the
first, each times all lengths between. The formulas are in the library (treadle/nn/functional/init.h).
"""

import treadle.core as mx
from treadle._core._nn import init as _init


def _shape(like):
    return getattr(like, "shape", like)


def constant(value, dtype=mx.float32):
    """All elements ``value``."""

    def initializer(a):
        return _init.constant(_shape(a), value, dtype)

    return initializer


def normal(mean=0.0, std=1.0, dtype=mx.float32):
    """Normal, with the given mean and standard deviation."""

    def initializer(a):
        return _init.normal(_shape(a), mean, std, dtype)

    return initializer


def uniform(low=0.0, high=1.0, dtype=mx.float32):
    """Uniform in [low, high)."""

    def initializer(a):
        return _init.uniform(_shape(a), low, high, dtype)

    return initializer


def identity(dtype=mx.float32):
    """The identity matrix; the shape must be square."""

    def initializer(a):
        return _init.identity(_shape(a), dtype)

    return initializer


def glorot_normal(dtype=mx.float32):
    r"""Normal, standard deviation :math:`\text{gain} \sqrt{2 / (\text{fan\_in} + \text{fan\_out})}`.

    The initializer takes ``gain`` as second argument, 1 by default. (Glorot & Bengio 2010)
    """

    def initializer(a, gain=1.0):
        return _init.glorot_normal(_shape(a), gain, dtype)

    return initializer


def glorot_uniform(dtype=mx.float32):
    r"""Uniform in :math:`\pm \text{gain} \sqrt{6 / (\text{fan\_in} + \text{fan\_out})}`.

    The initializer takes ``gain`` as second argument, 1 by default. (Glorot & Bengio 2010)
    """

    def initializer(a, gain=1.0):
        return _init.glorot_uniform(_shape(a), gain, dtype)

    return initializer


def he_normal(dtype=mx.float32):
    r"""Normal, standard deviation :math:`\text{gain} / \sqrt{\text{fan}}`.

    The initializer takes ``mode``, ``"fan_in"`` (default) or ``"fan_out"``, and ``gain``, 1 by default. (He et al.
    2015, whose gain for ReLU is the root of 2.)
    """

    def initializer(a, mode="fan_in", gain=1.0):
        return _init.he_normal(_shape(a), mode, gain, dtype)

    return initializer


def he_uniform(dtype=mx.float32):
    r"""Uniform in :math:`\pm \text{gain} \sqrt{3 / \text{fan}}`.

    The initializer takes ``mode``, ``"fan_in"`` (default) or ``"fan_out"``, and ``gain``, 1 by default.
    """

    def initializer(a, mode="fan_in", gain=1.0):
        return _init.he_uniform(_shape(a), mode, gain, dtype)

    return initializer


def sparse(sparsity, mean=0.0, std=1.0, dtype=mx.float32):
    """A matrix of normal numbers with the share ``sparsity`` of each row zero, at random places. (Martens 2010)"""

    def initializer(a):
        return _init.sparse(_shape(a), sparsity, mean, std, dtype)

    return initializer


def orthogonal(gain=1.0, dtype=mx.float32):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer. (Saxe et al. 2014)"""

    def initializer(a):
        return _init.orthogonal(_shape(a), gain, dtype)

    return initializer
