"""Layers, losses, initializers and transforms of models, with MLX's names."""

from treadle.nn import _where, init, losses
from treadle.nn.layers import *
from treadle.nn.layers import __getattr__  # stand-ins for layers that are missing
from treadle.nn.observe import capture, debug_nans, hooks, plan
from treadle.nn.utils import autocast, average_gradients, checkpoint, value_and_grad
