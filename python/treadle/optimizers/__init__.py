"""Optimizers, schedules and gradient clipping, with MLX's names."""

from treadle.optimizers import optimizers as _optimizers
from treadle.optimizers.ema import EMA
from treadle.optimizers.loss_scale import LossScale
from treadle.optimizers.multi import MultiOptimizer
from treadle.optimizers.optimizers import (
    SGD,
    AdaDelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    Optimizer,
    RMSprop,
    clip_grad_norm,
)
from treadle.optimizers.schedulers import (
    cosine_decay,
    exponential_decay,
    join_schedules,
    linear_schedule,
    step_decay,
)

_optimizers.MultiOptimizer = MultiOptimizer  # where MLX has it
