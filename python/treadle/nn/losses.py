"""Loss functions.

All take ``reduction``: ``"none"`` gives one loss for each element, row or target, ``"mean"`` and ``"sum"`` a scalar.
The formulas are in the library (treadle/nn/functional/losses.h).
"""

from treadle import compat
from treadle._core import _nn
from treadle._core._nn import cross_entropy as cross_entropy
from treadle._missing import module_getattr


def mse_loss(predictions, targets, reduction=None):
    """The squared error ``(predictions - targets)**2``.

    Args:
        predictions (array): Of any shape.
        targets (array): Of the same shape.
        reduction (str, optional): Default: ``"none"``; ``"mean"`` where MLX's defaults hold (:mod:`treadle.compat`).
    """
    return _nn.mse_loss(predictions, targets, reduction or compat.default_reduction())


__getattr__ = module_getattr(
    __name__,
    functions="""binary_cross_entropy cosine_similarity_loss gaussian_nll_loss hinge_loss huber_loss kl_div_loss l1_loss
        log_cosh_loss margin_ranking_loss nll_loss smooth_l1_loss triplet_loss""",
)
