"""Says which module an error comes from, by looking at the functions that are running when it is made."""

import sys

from treadle import _core
from treadle.nn.layers.base import Module


def module_path():
    """``"layers.1 (Linear 64->64): "`` for the innermost module whose method is running, or ``""``.

    The path starts at the outermost one. Methods of :class:`Module` itself (update, freeze) do not count.
    """
    running = []
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and code.co_filename != _BASE:
            first = frame.f_locals.get(code.co_varnames[0])
            if isinstance(first, Module) and not (running and running[-1] is first):
                running.append(first)
        frame = frame.f_back
    if not running:
        return ""

    # From the outside in; a module that is not held by the one before starts a path of its own.
    root, path = running[-1], ""
    for module in reversed(running[:-1]):
        found = [name for name, m in root.named_modules() if m is module]
        root, path = (root, found[0]) if found else (module, "")
    what = f"{type(running[0]).__name__} {running[0]._brief()}".rstrip()
    return f"{path} ({what}): " if path else f"{what}: "


_BASE = Module.update.__code__.co_filename

_core._nn.set_module_path(module_path)
