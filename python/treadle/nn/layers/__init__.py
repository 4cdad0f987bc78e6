"""All layers; ``treadle.nn`` shows them too."""

from treadle.nn.layers import distributed, quantized
from treadle.nn.layers.activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    HardShrink,
    Hardshrink,
    Hardswish,
    HardTanh,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU2,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Step,
    Tanh,
    celu,
    elu,
    gelu,
    gelu_approx,
    gelu_fast_approx,
    glu,
    hard_shrink,
    hard_tanh,
    hardshrink,
    hardswish,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    prelu,
    relu,
    relu2,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    step,
    tanh,
)
from treadle.nn.layers.base import Module
from treadle.nn.layers.containers import Sequential
from treadle.nn.layers.convolution import Conv1d, Conv2d, Conv3d
from treadle.nn.layers.convolution_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from treadle.nn.layers.dropout import Dropout, Dropout2d, Dropout3d
from treadle.nn.layers.embedding import Embedding
from treadle.nn.layers.linear import Bilinear, Identity, Linear
from treadle.nn.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from treadle.nn.layers.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from treadle.nn.layers.positional_encoding import ALiBi, RoPE, SinusoidalPositionalEncoding
from treadle.nn.layers.recurrent import GRU, LSTM, RNN
from treadle.nn.layers.transformer import (
    MultiHeadAttention,
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from treadle.nn.layers.upsample import Upsample

_MISSING = {name: module for module in (distributed, quantized) for name in module.__getattr__.names}


def __getattr__(name):
    if name not in _MISSING:
        raise AttributeError(f"module 'treadle.nn' has no attribute '{name}'")
    return getattr(_MISSING[name], name)


__getattr__.names = tuple(_MISSING)
