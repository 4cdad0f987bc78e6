"""Normalization layers."""

import treadle.core as mx
from treadle._core import _nn
from treadle.nn.layers.base import Module


def _check_eps(layer, eps):
    if not eps > 0:
        raise ValueError(f"[{type(layer).__name__}] 'eps' is {eps}; expected more than 0.")


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
        _check_eps(self, eps)
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


class LayerNorm(Module):
    r"""Layer normalization, :math:`(x - E[x]) / \sqrt{Var[x] + \epsilon} \cdot \gamma + \beta`, over the last axis.

    Args:
        dims (int): Size of the last axis.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-5``.
        affine (bool): Whether there is a :math:`\gamma` (``weight``). Default: ``True``.
        bias (bool): Whether there is then a :math:`\beta` (``bias``). Default: ``True``.
    """

    def __init__(self, dims, eps=1e-5, affine=True, bias=True):
        super().__init__()
        _check_eps(self, eps)
        if affine:
            self.weight = mx.ones((dims,))
            if bias:
                self.bias = mx.zeros((dims,))
        self.eps = eps
        self.dims = dims

    def __call__(self, x):
        return mx.fast.layer_norm(x, self.get("weight"), self.get("bias"), self.eps)

    def _extra_repr(self):
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def _brief(self):
        return str(self.dims)


class RMSNorm(Module):
    r"""Normalization by the root mean square of the last axis, :math:`x / \sqrt{E[x^2] + \epsilon} \cdot \gamma`.

    Args:
        dims (int): Size of the last axis.
        eps (float): :math:`\epsilon > 0`. Default: ``1e-5``.
    """

    def __init__(self, dims, eps=1e-5):
        super().__init__()
        _check_eps(self, eps)
        self.weight = mx.ones((dims,))
        self.eps = eps

    def __call__(self, x):
        return mx.fast.rms_norm(x, self["weight"], self.eps)

    def _extra_repr(self):
        return f"{self.weight.shape[0]}, eps={self.eps}"

    def _brief(self):
        return str(self.weight.shape[0])


class GroupNorm(Module):
    r"""Group normalization (Wu & He 2018): groups of channels, each normalized over space.

    The input is ``(N, ..., dims)``.

    Args:
        num_groups (int): The number of groups.
        dims (int): The number of channels, a multiple of it.
        eps (float): More than 0. Default: ``1e-5``.
        affine (bool): Whether there are a ``weight`` and a ``bias`` for each channel. Default: ``True``.
        pytorch_compatible (bool): A group has channels that follow each other; else group g has the channels g, g +
            num_groups, ... Default: ``False``.
    """

    def __init__(self, num_groups, dims, eps=1e-5, affine=True, pytorch_compatible=False):
        super().__init__()
        _check_eps(self, eps)
        if num_groups <= 0 or dims <= 0 or dims % num_groups:
            raise ValueError(
                f"[GroupNorm] got {num_groups} groups of {dims} features; expected positive numbers, the second "
                "divisible by the first."
            )
        if affine:
            self.bias = mx.zeros((dims,))
            self.weight = mx.ones((dims,))
        self.num_groups = num_groups
        self.dims = dims
        self.eps = eps
        self.pytorch_compatible = pytorch_compatible

    def __call__(self, x):
        return _nn.group_norm(
            x, self.num_groups, self.get("weight"), self.get("bias"), self.eps, self.pytorch_compatible
        )

    def _extra_repr(self):
        return (
            f"{self.num_groups}, {self.dims}, eps={self.eps}, affine={'weight' in self}, "
            f"pytorch_compatible={self.pytorch_compatible}"
        )

    def _brief(self):
        return str(self.dims)


class InstanceNorm(Module):
    """Instance normalization (Ulyanov et al. 2016): each channel of each example normalized over space.

    The input is ``(N, ..., dims)``, of at least three axes.

    Args:
        dims (int): The number of channels.
        eps (float): More than 0. Default: ``1e-5``.
        affine (bool): Whether there are a ``weight`` and a ``bias`` for each channel. Default: ``False``.
    """

    def __init__(self, dims, eps=1e-5, affine=False):
        super().__init__()
        _check_eps(self, eps)
        if affine:
            self.weight = mx.ones((dims,))
            self.bias = mx.zeros((dims,))
        self.dims = dims
        self.eps = eps

    def __call__(self, x):
        return _nn.instance_norm(x, self.get("weight"), self.get("bias"), self.eps)

    def _extra_repr(self):
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def _brief(self):
        return str(self.dims)
