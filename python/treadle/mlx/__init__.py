"""MLX's module names for Treadle: ``import mlx.core`` gives :mod:`treadle.core`, and so on for all submodules.

::

    python -m treadle.mlx script.py arguments ...
    python -m treadle.mlx -m module arguments ...
    python -m treadle.mlx mlx_lm.generate arguments ...

runs an unchanged MLX program. :func:`install` does the same for the rest of the present process.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import types

from treadle import compat, core

# The version whose interface Treadle follows: what programs find as mlx.core.__version__.
VERSION = "0.32.0"
NAME = "mlx"
TARGET = "treadle"


def _resolve(name):
    """The module of this name, which may also be an attribute of its parent: ``treadle.core.random``."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        parent, _, last = name.rpartition(".")
        module = getattr(_resolve(parent), last, None) if parent else None
        if not isinstance(module, types.ModuleType):
            raise
        return module


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``mlx`` and ``mlx.x.y`` as the modules ``treadle`` and ``treadle.x.y`` themselves, not copies."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        try:
            real = _resolve(TARGET + fullname[len(NAME) :])
        except ModuleNotFoundError:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=real.__name__, is_package=hasattr(real, "__path__")
        )

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # What is in sys.modules now is what the import statement gets.
        name = module.__name__
        sys.modules[name] = _resolve(TARGET + name[len(NAME) :])


def install():
    """Makes ``mlx`` mean Treadle in this process, and lets MLX's defaults hold.

    Raises:
        RuntimeError: MLX itself has been imported already.
    """
    if any(isinstance(f, _Finder) for f in sys.meta_path):
        return
    loaded = [m for m in sys.modules if m == NAME or m.startswith(NAME + ".")]
    if loaded:
        raise RuntimeError(f"[treadle.mlx] {loaded[0]} has been imported already; install the alias before.")
    sys.meta_path.insert(0, _Finder())
    compat.mlx_defaults(True)
    core._as_mlx()
    core.__version__ = VERSION
