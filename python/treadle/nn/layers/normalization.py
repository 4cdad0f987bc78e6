"""Normalization layers."""

import treadle.core as mx
from treadle._core import _nn
from treadle.nn.layers.base import Module


class BatchNorm(Module):
    r"""Batch normalization, :math:`(x - E[x]) / \sqrt{Var[x] + \epsilon} \cdot \gamma + \beta`.

    Mean and variance are taken over all axes but the last. While training they are those of the input, and the running
    ones move towards them; otherwise they are the running ones. ``running_mean`` and ``running_var`` are parameters
    that are always frozen. The input has 2 to 4 axes, ``(..., num_features)``.

    Args:
        num_features (int): Size of the last axis.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-5``.
        momentum (float): How far running statistics move in a step. Default: ``0.1``.
        affine (bool): Whether there are :math:`\gamma` (``weight``) and :math:`\beta` (``bias``). Default: ``True``.
        track_running_stats (bool): Without, statistics are always those of the input. Default: ``True``.
    """

    _always_frozen = frozenset({"running_mean", "running_var"})

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        if not eps > 0:
            raise ValueError(f"[BatchNorm] 'eps' is {eps}; expected more than 0.")
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = mx.ones((num_features,))
            self.bias = mx.zeros((num_features,))
        if track_running_stats:
            self.running_mean = mx.zeros((num_features,))
            self.running_var = mx.ones((num_features,))
            self.freeze(keys=list(self._always_frozen), recurse=False)

    def __call__(self, x):
        state = [self.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
        if not self.training:
            return _nn.batch_norm_with(x, *state, eps=self.eps)
        y, mean, var = _nn.batch_norm(x, *state, momentum=self.momentum, eps=self.eps)
        if self.track_running_stats:
            self.running_mean, self.running_var = mean, var
        return y

    def _extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={'weight' in self}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _brief(self):
        return str(self.num_features)
