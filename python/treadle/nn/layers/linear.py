"""Layers whose heart is a matrix product."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


class Identity(Module):
    """Returns its input. Takes, and ignores, any arguments, so that it can stand in for any layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def __call__(self, x):
        return x


class Bilinear(Module):
    r"""A number for each output from two inputs: :math:`y_o = x_1^\top W_o x_2 + b_o`.

    ``weight`` ``(output_dims, input2_dims, input1_dims)`` and ``bias`` ``(output_dims,)`` start uniform in
    :math:`\pm 1 / \sqrt{\text{input1\_dims}}`.

    Args:
        input1_dims (int): Size of the last axis of the first input.
        input2_dims (int): Size of that of the second.
        output_dims (int): Size of that of the output.
        bias (bool): Whether there is a bias. Default: ``True``.
    """

    def __init__(self, input1_dims, input2_dims, output_dims, bias=True):
        super().__init__()
        dict.update(self, _nn.bilinear_init(input1_dims, input2_dims, output_dims, bias))

    def __call__(self, x1, x2):
        return _nn.bilinear(x1, x2, self["weight"], self.get("bias"))

    def _extra_repr(self):
        out, in2, in1 = self.weight.shape
        return f"input1_dims={in1}, input2_dims={in2}, output_dims={out}, bias={'bias' in self}"


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
