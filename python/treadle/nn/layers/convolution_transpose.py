"""Transposed convolutions, channels last: what a convolution of the same options does to gradients."""

from treadle._core import _nn
from treadle.nn.layers.convolution import ConvBase, per_axis


class _ConvTranspose(ConvBase):
    _shown = ("stride", "padding", "dilation", "output_padding")

    def __init__(self, axes, in_channels, out_channels, kernel, stride, padding, dilation, output_padding, bias):
        if axes > 1:
            stride, padding, output_padding = (per_axis(v, axes) for v in (stride, padding, output_padding))
        options = {"padding": padding, "stride": stride, "dilation": dilation, "output_padding": output_padding}
        super().__init__(in_channels, out_channels, per_axis(kernel, axes), bias, options)

    def __call__(self, x):
        options = self.stride, self.padding, self.dilation, self.output_padding
        return _nn.conv_transpose(x, self["weight"], self.get("bias"), *options)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over sequences ``(N, L, in_channels)``.

    The result has ``(L - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + 1 + output_padding`` elements.

    Args:
        stride (int): Distance at which input elements are laid out. Default: ``1``.
        output_padding (int): Elements added at the end of the output. Default: ``0``.
        in_channels, out_channels, kernel_size, padding, dilation, bias: As those of :class:`Conv1d`.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, output_padding=0, bias=True
    ):
        super().__init__(1, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, bias)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over images ``(N, H, W, in_channels)``; options as tuples are for height and width.

    Args: As those of :class:`ConvTranspose1d`.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, output_padding=0, bias=True
    ):
        super().__init__(2, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, bias)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over volumes ``(N, D, H, W, in_channels)``; tuples are for depth, height and width.

    Args: As those of :class:`ConvTranspose1d`.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, output_padding=0, bias=True
    ):
        super().__init__(3, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, bias)
