"""Pooling over windows, channels last."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


def _checked(layer, name, value, axes, least):
    """`value` for each axis, checked."""
    values = [value] * axes if isinstance(value, int) else value
    if not isinstance(values, (list, tuple)) or len(values) != axes or not all(isinstance(v, int) for v in values):
        raise ValueError(f"[{layer}] '{name}' is {value!r}; expected an int or {axes} ints.")
    if min(values) < least:
        raise ValueError(f"[{layer}] '{name}' is {value!r}; expected {least} or more.")
    return tuple(values)


class _Pool(Module):
    _axes: int
    _pool: staticmethod

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        name = type(self).__name__
        self._kernel_size = _checked(name, "kernel_size", kernel_size, self._axes, 1)
        self._stride = self._kernel_size if stride is None else _checked(name, "stride", stride, self._axes, 1)
        self._padding = _checked(name, "padding", padding, self._axes, 0)

    def __call__(self, x):
        return self._pool(x, self._kernel_size, self._stride, self._padding)

    def _extra_repr(self):
        return f"kernel_size={self._kernel_size}, stride={self._stride}, padding={self._padding}"


class MaxPool1d(_Pool):
    """The largest value of each window of sequences ``(N, L, C)``; padding counts as minus infinity.

    Args:
        kernel_size (int or tuple): Length of the window.
        stride (int or tuple, optional): Distance of windows. Default: ``kernel_size``.
        padding (int or tuple): Elements added on both sides. Default: ``0``.
    """

    _axes = 1
    _pool = staticmethod(_nn.max_pool)


class MaxPool2d(_Pool):
    """The largest value of each window of images ``(N, H, W, C)``; padding counts as minus infinity.

    Args: As those of :class:`MaxPool1d`; tuples are for height and width.
    """

    _axes = 2
    _pool = staticmethod(_nn.max_pool)


class MaxPool3d(_Pool):
    """The largest value of each window of volumes ``(N, D, H, W, C)``; padding counts as minus infinity.

    Args: As those of :class:`MaxPool1d`; tuples are for depth, height and width.
    """

    _axes = 3
    _pool = staticmethod(_nn.max_pool)


class AvgPool1d(_Pool):
    """The mean of each window of sequences ``(N, L, C)``; padding counts as zeros.

    Args: As those of :class:`MaxPool1d`.
    """

    _axes = 1
    _pool = staticmethod(_nn.avg_pool)


class AvgPool2d(_Pool):
    """The mean of each window of images ``(N, H, W, C)``; padding counts as zeros.

    Args: As those of :class:`MaxPool1d`; tuples are for height and width.
    """

    _axes = 2
    _pool = staticmethod(_nn.avg_pool)


class AvgPool3d(_Pool):
    """The mean of each window of volumes ``(N, D, H, W, C)``; padding counts as zeros.

    Args: As those of :class:`MaxPool1d`; tuples are for depth, height and width.
    """

    _axes = 3
    _pool = staticmethod(_nn.avg_pool)
