"""Layers that say where a token stands."""

import treadle.core as mx
from treadle._core import _nn
from treadle.nn.layers.base import Module


class RoPE(Module):
    """Rotary positions (Su et al. 2021): features of the last axis turned in pairs, by angles that grow with position.

    Args:
        dims (int): How many features are turned; the rest stay.
        traditional (bool): Pairs are neighbours, else half of ``dims`` apart. Default: ``False``.
        base (float): Angles fall with the feature's number as powers of it. Default: ``10000``.
        scale (float): Factor of positions. Default: ``1``.
    """

    def __init__(self, dims, traditional=False, base=10000, scale=1.0):
        super().__init__()
        self.dims = dims
        self.traditional = traditional
        self.base = base
        self.scale = scale

    def __call__(self, x, offset=0):
        return mx.fast.rope(x, self.dims, traditional=self.traditional, base=self.base, scale=self.scale, offset=offset)

    def _extra_repr(self):
        return f"{self.dims}, traditional={self.traditional}"


class SinusoidalPositionalEncoding(Module):
    """Sines and cosines of positions (Vaswani et al. 2017): ``(...)`` to ``(..., dims)``.

    Args:
        dims (int): Size of the new axis, even.
        min_freq (float): The lowest frequency. Default: ``1e-4``.
        max_freq (float): The highest. Default: ``1``.
        scale (float, optional): Factor of the result. Default: ``sqrt(2 / dims)``.
        cos_first (bool): Whether cosines come before sines. Default: ``False``.
        full_turns (bool): Multiplies the frequencies by two pi. Default: ``False``.
    """

    def __init__(self, dims, min_freq=0.0001, max_freq=1, scale=None, cos_first=False, full_turns=False):
        super().__init__()
        self._sigmas = _nn.sinusoidal_frequencies(dims, min_freq, max_freq, full_turns)
        self.scale = (2 / dims) ** 0.5 if scale is None else scale
        self.cos_first = cos_first

    def __call__(self, x):
        return _nn.sinusoidal_encoding(x, self._sigmas, self.scale, self.cos_first)


class ALiBi(Module):
    """Attention scores that fall with distance (Press et al. 2022), ``(B, H, T, S)``."""

    @staticmethod
    def create_alibi_matrix(q_sequence_length, k_sequence_length, num_heads, offset=0, dtype=mx.float32):
        """What is added to the scores, ``(1, num_heads, q_sequence_length - offset, k_sequence_length)``."""
        return _nn.alibi_matrix(q_sequence_length, k_sequence_length, num_heads, offset, dtype)

    @staticmethod
    def create_alibi_slope(num_heads, dtype=mx.float32):
        """How fast the scores of each head fall, ``(num_heads, 1, 1)``."""
        return _nn.alibi_slopes(num_heads, dtype)

    def __call__(self, attention_scores, offset=0, mask=None):
        return _nn.alibi(attention_scores, offset, mask)
