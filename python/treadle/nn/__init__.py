"""Layers, losses, initializers and transforms of models, with MLX's names."""

from treadle._missing import module_getattr
from treadle.nn import _where, init, losses
from treadle.nn.layers import *
from treadle.nn.layers import __getattr__ as _layer_getattr
from treadle.nn.utils import checkpoint, value_and_grad

_function_getattr = module_getattr(__name__, functions="average_gradients clip_grad_norm_sharded")


def __getattr__(name):
    try:
        return _layer_getattr(name)
    except AttributeError:
        return _function_getattr(name)
