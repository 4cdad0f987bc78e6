"""Weights of PyTorch models. The rules are in the library (treadle/nn/modules/torch_weights.h); this says what a Python
model is made of."""

import numpy as np

import treadle.core as mx
from treadle._core import _nn
from treadle.nn.layers.base import Module
from treadle.nn.layers.containers import Sequential
from treadle.nn.layers.convolution import ConvBase
from treadle.nn.layers.convolution_transpose import _ConvTranspose
from treadle.nn.layers.linear import Bilinear
from treadle.nn.layers.recurrent import GRU, _Recurrent
from treadle.nn.layers.transformer import (
    MultiHeadAttention,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from treadle.utils import tree_flatten

# The first class that a layer is of says its kind.
_KINDS = [
    (_ConvTranspose, "transposed_convolution"),
    (ConvBase, "convolution"),
    (Bilinear, "bilinear"),
    (GRU, "gru"),
    (_Recurrent, "recurrent"),
    (MultiHeadAttention, "attention"),
    (TransformerEncoderLayer, "encoder_layer"),
    (TransformerDecoderLayer, "decoder_layer"),
    ((TransformerEncoder, TransformerDecoder), "stack"),
    (Sequential, "sequential"),
]


def _described(name, module):
    """The name and the kind of a module, the names of its own arrays, and its children so described."""
    kind = next((kind for types, kind in _KINDS if isinstance(module, types)), "same")
    own = module.filter_and_map(lambda m, k, v: not Module.is_module(v) and m.valid_parameter_filter(m, k, v))
    children = tree_flatten(module.children(), is_leaf=Module.is_module)
    return (
        name,
        kind,
        [key for key, _ in tree_flatten(own)],
        [_described(key, child) for key, child in children if Module.is_module(child)],
    )


def _array(value):
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()  # which NumPy does not know
        value = value.numpy()
    return mx.array(np.asarray(value))


def from_torch(model, state_dict, strict):
    """Pairs of our names and arrays, for :meth:`Module.load_weights`."""
    return _nn.from_torch(_described("", model), list(state_dict), lambda name: _array(state_dict[name]), strict)
