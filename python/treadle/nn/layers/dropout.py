"""Dropout: parts of the input are zeroed at random while training."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


class Dropout(Module):
    """While training, zeroes each element with probability ``p`` and divides the others by ``1 - p``.

    Args:
        p (float): In [0, 1). Default: ``0.5``.
    """

    _drop = staticmethod(_nn.dropout)

    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"[{type(self).__name__}] the probability is {p}; expected [0, 1).")
        self._p = p

    def __call__(self, x):
        return self._drop(x, self._p) if self.training else x

    def _extra_repr(self):
        return f"p={self._p}"


class Dropout2d(Dropout):
    """:class:`Dropout` of whole channels of images, ``(N, H, W, C)`` or ``(H, W, C)``."""

    _drop = staticmethod(_nn.dropout2d)


class Dropout3d(Dropout):
    """:class:`Dropout` of whole channels of volumes, ``(N, D, H, W, C)`` or ``(D, H, W, C)``."""

    _drop = staticmethod(_nn.dropout3d)
