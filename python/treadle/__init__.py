"""Treadle: lazy arrays, function transforms, neural networks and optimizers.

``treadle.core`` has the arrays and their operations; ``treadle.nn``, ``treadle.optimizers`` and ``treadle.utils``
build on it.
"""

from treadle._core import __version__
