"""Loss functions.

All take ``reduction``: ``"none"`` gives one loss for each element, row or target, ``"mean"`` and ``"sum"`` a scalar.
The formulas are in the library (treadle/nn/functional/losses.h).

Five of them (binary_cross_entropy, l1_loss, mse_loss, smooth_l1_loss, gaussian_nll_loss) average by default where MLX's
defaults hold (:mod:`treadle.compat`), and keep every loss otherwise, as all the others do.
"""

from treadle import compat
from treadle._core import _nn
from treadle._core._nn import cross_entropy as cross_entropy


def binary_cross_entropy(inputs=None, targets=None, weights=None, with_logits=True, reduction=None, *, logits=None):
    r""":math:`\log(1 + e^x) - t x` for logits x and targets t in [0, 1].

    Args:
        inputs (array): Logits, or probabilities. May be called ``logits``.
        targets (array): Of the same shape.
        weights (array, optional): A factor for each loss.
        with_logits (bool): Whether ``inputs`` are logits. For probabilities p the loss is
            :math:`-t \log p - (1 - t) \log (1 - p)`, with logarithms of at least -100, whose gradient at 0 is 0.
            Default: ``True``.
        reduction (str, optional): See above.
    """
    if (inputs is None) == (logits is None) or targets is None:
        raise TypeError("binary_cross_entropy() needs inputs (or logits) and targets.")
    x = logits if inputs is None else inputs
    return _nn.binary_cross_entropy(x, targets, weights, with_logits, reduction or compat.default_reduction())


def l1_loss(predictions, targets, reduction=None):
    """The absolute error ``abs(predictions - targets)``.

    Args:
        predictions (array): Of any shape.
        targets (array): Of the same shape.
        reduction (str, optional): See above.
    """
    return _nn.l1_loss(predictions, targets, reduction or compat.default_reduction())


def mse_loss(predictions, targets, reduction=None):
    """The squared error ``(predictions - targets)**2``.

    Args:
        predictions (array): Of any shape.
        targets (array): Of the same shape.
        reduction (str, optional): See above.
    """
    return _nn.mse_loss(predictions, targets, reduction or compat.default_reduction())


def smooth_l1_loss(predictions, targets, beta=1.0, reduction=None):
    r""":math:`d^2 / (2 \beta)` for errors :math:`d = |p - t| < \beta`, else :math:`d - \beta / 2`.

    Args:
        predictions (array): Of any shape.
        targets (array): Of the same shape.
        beta (float): Default: ``1``.
        reduction (str, optional): See above.
    """
    return _nn.smooth_l1_loss(predictions, targets, beta, reduction or compat.default_reduction())


def gaussian_nll_loss(inputs, targets, vars, full=False, eps=1e-6, reduction=None):
    r""":math:`\frac{1}{2} (\log v + (t - x)^2 / v)` for variances :math:`v = \max(\text{vars}, \epsilon)`.

    Args:
        inputs (array): The means x that are predicted.
        targets (array): Of the same shape.
        vars (array): The variances that are predicted, of the same shape.
        full (bool): Whether to add the constant :math:`\frac{1}{2} \log 2 \pi`. Default: ``False``.
        eps (float): Default: ``1e-6``.
        reduction (str, optional): See above.
    """
    return _nn.gaussian_nll_loss(inputs, targets, vars, full, eps, reduction or compat.default_reduction())


def nll_loss(inputs, targets, axis=-1, reduction="none"):
    """Minus the log probability of the target.

    Args:
        inputs (array): Log probabilities, the classes along ``axis``.
        targets (array): Class indices in [-C, C), of the shape of ``inputs`` without ``axis``; negative ones count from
            the end.
        axis (int): Default: ``-1``.
        reduction (str): Default: ``"none"``.

    Raises:
        IndexError: A target is outside; when the loss is computed.
    """
    return _nn.nll_loss(inputs, targets, axis, reduction)


def kl_div_loss(inputs, targets, axis=-1, reduction="none"):
    """The divergence ``sum(exp(targets) * (targets - inputs))`` along an axis; both are log probabilities.

    Args:
        inputs (array): The predicted distribution.
        targets (array): The true one.
        axis (int): Default: ``-1``.
        reduction (str): Default: ``"none"``.
    """
    return _nn.kl_div_loss(inputs, targets, axis, reduction)


def triplet_loss(anchors, positives, negatives, axis=-1, p=2, margin=1.0, eps=1e-6, reduction="none"):
    r""":math:`\max(0, \|a - p\| - \|a - n\| + \text{margin})` for the norms :math:`(\sum |x|^p + \epsilon)^{1/p}`.

    Args:
        anchors (array): The samples a.
        positives (array): Samples p that should be near.
        negatives (array): Samples n that should be far.
        axis (int): The axis of the norm. Default: ``-1``.
        p (float): Its degree. Default: ``2``.
        margin (float): Default: ``1``.
        eps (float): Default: ``1e-6``.
        reduction (str): Default: ``"none"``.
    """
    return _nn.triplet_loss(anchors, positives, negatives, axis, p, margin, eps, reduction)


def hinge_loss(inputs, targets, reduction="none"):
    """``max(0, 1 - inputs * targets)``; targets are -1 or 1.

    Args:
        inputs (array): Scores.
        targets (array): Labels.
        reduction (str): Default: ``"none"``.
    """
    return _nn.hinge_loss(inputs, targets, reduction)


def huber_loss(inputs, targets, delta=1.0, reduction="none"):
    r""":math:`d^2 / 2` for errors :math:`d = |x - t| \le \delta`, else :math:`\delta (d - \delta / 2)`.

    Args:
        inputs (array): Predictions.
        targets (array): True values.
        delta (float): Default: ``1``.
        reduction (str): Default: ``"none"``.
    """
    return _nn.huber_loss(inputs, targets, delta, reduction)


def log_cosh_loss(inputs, targets, reduction="none"):
    """``log(cosh(inputs - targets))``.

    Args:
        inputs (array): Predictions.
        targets (array): True values.
        reduction (str): Default: ``"none"``.
    """
    return _nn.log_cosh_loss(inputs, targets, reduction)


def cosine_similarity_loss(x1, x2, axis=1, eps=1e-8, reduction="none"):
    r""":math:`x_1 \cdot x_2 / \max(\|x_1\| \|x_2\|, \epsilon)`: 1 for the same direction, so this is a gain.

    Args:
        x1 (array): Vectors along ``axis``.
        x2 (array): Others.
        axis (int): Default: ``1``.
        eps (float): Default: ``1e-8``.
        reduction (str): Default: ``"none"``.
    """
    return _nn.cosine_similarity_loss(x1, x2, axis, eps, reduction)


def margin_ranking_loss(inputs1, inputs2, targets, margin=0.0, reduction="none"):
    """``max(0, margin - targets * (inputs1 - inputs2))``; targets are 1 where the first should rank higher, else -1.

    Args:
        inputs1 (array): Scores.
        inputs2 (array): Scores of the same shape.
        targets (array): Labels of the same shape.
        margin (float): Default: ``0``.
        reduction (str): Default: ``"none"``.
    """
    return _nn.margin_ranking_loss(inputs1, inputs2, targets, margin, reduction)
