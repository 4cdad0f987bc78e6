"""Convolutions, channels last."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


def per_axis(value, axes):
    """A number for each spatial axis, of one number or a sequence."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


class ConvBase(Module):
    """What all convolutions share: the parameters and how they are shown."""

    _shown = ("stride", "padding", "dilation", "groups")

    def __init__(self, in_channels, out_channels, kernel, bias, options):
        super().__init__()
        dict.update(self, _nn.conv_init(in_channels, out_channels, kernel, options.get("groups", 1), bias))
        for name, value in options.items():
            setattr(self, name, value)

    def _channels(self):
        return self.weight.shape[-1] * getattr(self, "groups", 1), self.weight.shape[0]

    def _extra_repr(self):
        inputs, outputs = self._channels()
        kernel = self.weight.shape[1:-1]
        options = ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)
        return (
            f"{inputs}, {outputs}, kernel_size={kernel if len(kernel) > 1 else kernel[0]}, {options}, "
            f"bias={'bias' in self}"
        )

    def _brief(self):
        inputs, outputs = self._channels()
        return f"{inputs}->{outputs}"


class Conv1d(ConvBase):
    """Convolution over sequences ``(N, L, in_channels)``.

    ``weight`` ``(out_channels, kernel_size, in_channels / groups)`` starts uniform in plus or minus the root of 1 over
    the number of values that an output element is made of, ``bias`` ``(out_channels,)`` at 0.

    Args:
        in_channels (int): Channels of the input, a multiple of ``groups``.
        out_channels (int): Channels of the output, a multiple of ``groups``.
        kernel_size (int): Length of the kernel.
        stride (int): Distance of its positions. Default: ``1``.
        padding (int): Zeros before and after the sequence. Default: ``0``.
        dilation (int): Distance of the elements that the kernel meets. Default: ``1``.
        groups (int): The channels fall into so many groups, which do not meet. Default: ``1``.
        bias (bool): Whether there is a bias. Default: ``True``.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        kernel = per_axis(kernel_size, 1)
        options = {"padding": padding, "dilation": dilation, "stride": stride, "groups": groups}
        super().__init__(in_channels, out_channels, kernel, bias, options)

    def __call__(self, x):
        return _nn.conv(x, self["weight"], self.get("bias"), self.stride, self.padding, self.dilation, self.groups)


class Conv2d(ConvBase):
    """Convolution over images ``(N, H, W, in_channels)``.

    Args:
        kernel_size, stride, padding, dilation (int or tuple): One number, or one for height and width each.
        in_channels, out_channels, groups, bias: As those of :class:`Conv1d`.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        kernel, stride, padding = (per_axis(v, 2) for v in (kernel_size, stride, padding))
        options = {"padding": padding, "stride": stride, "dilation": dilation, "groups": groups}
        super().__init__(in_channels, out_channels, kernel, bias, options)

    __call__ = Conv1d.__call__


class Conv3d(ConvBase):
    """Convolution over volumes ``(N, D, H, W, in_channels)``, of one group.

    Args:
        kernel_size, stride, padding, dilation (int or tuple): One number, or one for depth, height and width each.
        in_channels, out_channels, bias: As those of :class:`Conv1d`.
    """

    _shown = ("stride", "padding", "dilation")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, bias=True):
        kernel, stride, padding = (per_axis(v, 3) for v in (kernel_size, stride, padding))
        options = {"padding": padding, "stride": stride, "dilation": dilation}
        super().__init__(in_channels, out_channels, kernel, bias, options)

    def __call__(self, x):
        return _nn.conv(x, self["weight"], self.get("bias"), self.stride, self.padding, self.dilation)
