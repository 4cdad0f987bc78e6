"""Layers whose heart is a matrix product."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


class Identity(Module):
    """Returns its input. Takes, and ignores, any arguments, so that it can stand in for any layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def __call__(self, x):
        return x


class Linear(Module):
    r"""The affine layer :math:`y = x W^\top + b`.

    Input ``(..., input_dims)``, output ``(..., output_dims)``. ``weight`` ``(output_dims, input_dims)`` and ``bias``
    ``(output_dims,)`` start uniform in :math:`\pm 1 / \sqrt{\text{input\_dims}}`.

    Args:
        input_dims (int): Size of the input's last axis.
        output_dims (int): Size of the output's last axis.
        bias (bool): Whether there is a bias. Default: ``True``.
    """

    def __init__(self, input_dims, output_dims, bias=True):
        super().__init__()
        dict.update(self, _nn.linear_init(input_dims, output_dims, bias))

    def __call__(self, x):
        return _nn.linear(x, self["weight"], self.get("bias"))

    def _extra_repr(self):
        output_dims, input_dims = self.weight.shape
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def _brief(self):
        output_dims, input_dims = self.weight.shape
        return f"{input_dims}->{output_dims}"
