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


class _AdaptivePool(Module):
    _axes: int
    _pool: staticmethod

    def __init__(self, output_size):
        super().__init__()
        sizes = (output_size,) * self._axes if isinstance(output_size, int) else tuple(output_size)
        whole = all(n is None or (isinstance(n, int) and n > 0) for n in sizes)
        if len(sizes) != self._axes or not whole:
            raise ValueError(
                f"[{type(self).__name__}] 'output_size' is {output_size!r}; expected a positive int, or {self._axes} "
                "of them or None."
            )
        self._output_size = sizes

    def __call__(self, x):
        if x.ndim != self._axes + 2:
            raise ValueError(
                f"[{type(self).__name__}] the input has shape {x.shape}; expected a batch, {self._axes} spatial axes "
                "and channels."
            )
        return self._pool(x, tuple(-1 if n is None else n for n in self._output_size))

    def _extra_repr(self):
        return f"output_size={self._output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means over as many windows of sequences ``(N, L, C)`` as are wanted: ``(N, output_size, C)``.

    Window i holds the elements from ``floor(i * L / output_size)`` to ``ceil((i + 1) * L / output_size)``.

    Args:
        output_size (int or tuple): The number of windows along each spatial axis; None keeps an axis as it is.
    """

    _axes = 1
    _pool = staticmethod(_nn.adaptive_avg_pool)


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """:class:`AdaptiveAvgPool1d` of images ``(N, H, W, C)``; tuples are for height and width."""

    _axes = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """:class:`AdaptiveAvgPool1d` of volumes ``(N, D, H, W, C)``; tuples are for depth, height and width."""

    _axes = 3


class AdaptiveMaxPool1d(_AdaptivePool):
    """The largest values of the windows of :class:`AdaptiveAvgPool1d`."""

    _axes = 1
    _pool = staticmethod(_nn.adaptive_max_pool)


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The largest values of the windows of :class:`AdaptiveAvgPool2d`."""

    _axes = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The largest values of the windows of :class:`AdaptiveAvgPool3d`."""

    _axes = 3
