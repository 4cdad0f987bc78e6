"""Other lengths for spatial axes, channels last."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


def upsample_nearest(x, scale_factor):
    """The nearest element for each; ``scale_factor`` has one number for each spatial axis of ``(N, ..., C)``."""
    return _nn.upsample_nearest(x, scale_factor)


def upsample_linear(x, scale_factor, align_corners=False, antialias=False):
    """Elements between two neighbours along each spatial axis; see :class:`Upsample`."""
    return _nn.upsample_linear(x, scale_factor, align_corners, antialias)


def upsample_cubic(x, scale_factor, align_corners=False, antialias=False):
    """Elements on a cubic through four neighbours along each spatial axis; see :class:`Upsample`."""
    return _nn.upsample_cubic(x, scale_factor, align_corners, antialias)


class Upsample(Module):
    """Makes each spatial axis of ``(N, ..., C)`` ``scale_factor`` times as long.

    Args:
        scale_factor (float or tuple): One factor, or one for each spatial axis.
        mode (str): ``"nearest"``, ``"linear"`` (two neighbours along each axis) or ``"cubic"`` (four; Keys 1981).
            Default: ``"nearest"``.
        align_corners (bool): The first and the last elements of input and output lie at the same places; else the
            outer edges do. For the other modes. Default: ``False``.
        antialias (bool): With factors below one every element is a mean over all around its place, as wide as the
            factor asks. Not with ``"nearest"`` or ``align_corners``. Default: ``False``.
    """

    def __init__(self, scale_factor, mode="nearest", align_corners=False, antialias=False):
        super().__init__()
        if mode not in ("nearest", "linear", "cubic"):
            raise ValueError(f"[Upsample] mode is {mode!r}; expected 'nearest', 'linear' or 'cubic'.")
        if antialias and (mode == "nearest" or align_corners):
            raise ValueError("[Upsample] antialias is for the modes 'linear' and 'cubic' without align_corners.")
        several = isinstance(scale_factor, (list, tuple))
        self.scale_factor = tuple(map(float, scale_factor)) if several else float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.antialias = antialias

    def __call__(self, x):
        factors = self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor,) * (x.ndim - 2)
        if x.ndim < 3 or len(factors) != x.ndim - 2:
            raise ValueError(
                f"[Upsample] the input has shape {x.shape} and there are {len(factors)} factors; expected a batch, "
                "one spatial axis or more with a factor for each, and channels."
            )
        if self.mode == "nearest":
            return upsample_nearest(x, factors)
        f = upsample_linear if self.mode == "linear" else upsample_cubic
        return f(x, factors, self.align_corners, self.antialias)

    def _extra_repr(self):
        more = ", antialias=True" if self.antialias else ""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}, align_corners={self.align_corners}" + more
