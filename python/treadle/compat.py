"""Where Treadle and MLX give one call two meanings: which of them holds.

Five losses (binary_cross_entropy, l1, mse, gaussian_nll, smooth_l1) return one loss per element by default, as all
others do; MLX averages them. ``python -m treadle.mlx`` turns MLX's defaults on.
"""

_mlx_defaults = False


def mlx_defaults(on):
    """Lets MLX's defaults hold, or Treadle's. Returns what held before."""
    global _mlx_defaults
    before, _mlx_defaults = _mlx_defaults, bool(on)
    return before


def default_reduction():
    """The default reduction of the five losses: ``"mean"`` or ``"none"``."""
    return "mean" if _mlx_defaults else "none"
