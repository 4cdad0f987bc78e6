"""Says which module an error comes from, by looking at the functions that are running when it is made."""

import sys
import weakref

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
    name = _name_of(running)
    return f"{name}: " if name else ""


def module_name():
    """``"layers.1 (Linear 64->64)"`` for the innermost module that is called, or ``""``.

    Asked for each large array, so only frames of ``__call__`` are looked at and names are kept.
    """
    running = []
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__call__":
            first = frame.f_locals.get("self")
            if isinstance(first, Module) and not (running and running[-1] is first):
                running.append(first)
        frame = frame.f_back
    if not running:
        return ""
    key = tuple(map(id, running))
    kept = _names.get(key)
    if kept is None or any(ref() is not module for ref, module in zip(kept[0], running, strict=True)):
        if len(_names) > 10_000:
            _names.clear()
        kept = _names[key] = [weakref.ref(module) for module in running], _name_of(running)
    return kept[1]


_names = {}  # ids of the modules that are called -> (references to them, name)


def _name_of(running):
    """Of modules from the inside out, the path of the innermost from the outermost one and what it is."""
    if not running:
        return ""

    # From the outside in; a module that is not held by the one before starts a path of its own.
    root, path = running[-1], ""
    for module in reversed(running[:-1]):
        found = [name for name, m in root.named_modules() if m is module]
        root, path = (root, found[0]) if found else (module, "")
    return label(path, running[0])


def label(path, module):
    """``"layers.1 (Linear 64->64)"``."""
    what = f"{type(module).__name__} {module._brief()}".rstrip()
    return f"{path} ({what})" if path else what


_BASE = Module.update.__code__.co_filename

_core._nn.set_module_path(module_path)
_core._nn.set_module_name(module_name)
