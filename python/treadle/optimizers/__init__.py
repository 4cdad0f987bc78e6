"""Optimizers, schedules and gradient clipping, with MLX's names."""

from treadle._missing import module_getattr
from treadle.optimizers.optimizers import SGD, Adam, AdamW, Optimizer, clip_grad_norm
from treadle.optimizers.schedulers import (
    cosine_decay,
    exponential_decay,
    join_schedules,
    linear_schedule,
    step_decay,
)

__getattr__ = module_getattr(__name__, classes="MultiOptimizer RMSprop Adagrad AdaDelta Adamax Lion Adafactor Muon")
