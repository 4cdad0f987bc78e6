"""Looking into a model while it runs: hooks, captured activations, a summary, and where numbers stop being finite."""

import contextlib

import treadle.core as mx
from treadle._core import _nn
from treadle.utils import tree_flatten, tree_map


def _at(model, patterns):
    """(path, module) for the modules that a pattern fits, each once; ValueError for a pattern without any."""
    from fnmatch import fnmatchcase  # with re, a tenth of the time to import Treadle

    modules = model.named_modules()
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path, _ in modules):
            paths = _nn.some_of([path for path, _ in modules])
            raise ValueError(f"[hooks] no module is at '{pattern}'; there are {paths}.")
    found = {}
    for path, module in modules:
        if any(fnmatchcase(path, p) for p in patterns):
            found.setdefault(id(module), (path, module))
    return list(found.values())


@contextlib.contextmanager
def hooks(model, hook, pattern="*", before=None):
    """Calls ``hook(path, module, output)`` after each call of a module below ``model``, in the scope of a ``with``.

    Only these very modules are watched, not others of their classes. Functions that are compiled call their modules
    only while they are traced.

    Args:
        model (Module): The model; its own path is ``""``.
        hook (callable): What it returns replaces the output, unless it is None.
        pattern (str or list[str]): Paths to watch, with ``*`` (also over dots), ``?`` and ``[...]``. Default: all.
        before (callable, optional): Is called before, ``before(path, module, args)``.

    Raises:
        ValueError: When a pattern fits no module.
    """
    watched = _at(model, [pattern] if isinstance(pattern, str) else list(pattern))
    changed = []

    def watch(path, module):
        kind = type(module)

        def call(self, *args, **kwargs):
            if before is not None:
                before(path, self, args)
            output = kind.__call__(self, *args, **kwargs)
            replaced = hook(path, self, output)
            return output if replaced is None else replaced

        # A class for this one module: calls are looked up in classes.
        names = {"__call__": call, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        module.__class__ = type(kind.__name__, (kind,), names)
        changed.append((module, kind))

    try:
        for path, module in watched:
            if callable(module):
                watch(path, module)
        yield model
    finally:
        for module, kind in changed:
            module.__class__ = kind


@contextlib.contextmanager
def capture(model, pattern="*"):
    """Gives a dict that gets the outputs of modules by their paths, in the scope of a ``with``.

    A module that is called several times has the outputs of all calls, as a list::

        with nn.capture(model, "layers.*.attention") as outputs:
            model(x)

    Args:
        model (Module): The model.
        pattern (str or list[str]): As in :func:`hooks`. Default: all modules.
    """
    outputs, calls = {}, {}

    def keep(path, module, output):
        calls[path] = calls.get(path, 0) + 1
        if calls[path] == 1:
            outputs[path] = output
        elif calls[path] == 2:
            outputs[path] = [outputs[path], output]
        else:
            outputs[path].append(output)

    with hooks(model, keep, pattern):
        yield outputs


def _arrays(tree):
    return [v for _, v in tree_flatten([tree]) if isinstance(v, mx.array)]


def _all_finite(arrays):
    checks = [mx.isfinite(a).all() for a in arrays if mx.issubdtype(a.dtype, mx.inexact)]
    return all(c.item() for c in checks)


def _title(path, module):
    return f"{path or 'the model'} ({type(module).__name__})"


@contextlib.contextmanager
def debug_nans(model):
    """In the scope of a ``with``, the first module whose output or gradient is not finite is an error.

    Every output is computed at once and looked at, which is slow, and functions are not compiled meanwhile. When what a
    module gets is not finite already, the module around it is named.

    Raises:
        FloatingPointError: Names the module and what it computed.
    """
    running = []

    def before(path, module, args):
        if not _all_finite(_arrays(args)):
            around = running[-1] if running else None
            where = f"computed in {_title(*around)} and " if around else ""
            raise FloatingPointError(f"[debug_nans] {where}given to {_title(path, module)}: a number is not finite.")
        running.append((path, module))

    def after(path, module, output):
        running.pop()
        if not _all_finite(_arrays(output)):
            raise FloatingPointError(
                f"[debug_nans] the output of {_title(path, module)} has a number that is not finite."
            )
        return tree_map(lambda v: _watched(v, path, module) if isinstance(v, mx.array) else v, output)

    was_on = _nn.set_compile_enabled(False)
    try:
        with hooks(model, after, before=before):
            yield model
    finally:
        _nn.set_compile_enabled(was_on)


def _watched(x, path, module):
    """x, whose gradient is looked at when it is computed."""
    if not mx.issubdtype(x.dtype, mx.inexact):
        return x

    @mx.custom_function
    def watched(x):
        return x * 1.0

    @watched.vjp
    def watched_vjp(primals, cotangent, output):
        if not _all_finite([cotangent]):
            raise FloatingPointError(
                f"[debug_nans] the gradient of the output of {_title(path, module)} has a number that is not finite."
            )
        return cotangent

    return watched(x)


def plan(model, fn=None):
    """A function with the arguments of ``fn`` that returns, as text, what computing its results would run.

    One kernel a line, with the module in whose call it was recorded, also of gradients: ``layers.1 (Linear 64->64):
    matmul``. Nothing is computed. The model's parameters and the random state are the same afterwards::

        print(nn.plan(model, nn.value_and_grad(model, loss_fn))(x, y))

    Args:
        model (Module): The model whose modules are named.
        fn (callable, optional): Uses the model; returns a tree of arrays. Default: the model itself.
    """
    from treadle.nn._where import label

    fn = model if fn is None else fn
    depths = []

    def before(path, module, args):
        depths.append(_nn.modules_entered())
        _nn.enter_module(label(path, module))

    def after(path, module, output):
        _nn.leave_modules(depths.pop())

    def planned(*args, **kwargs):
        parameters, key, outside = model.parameters(), mx.random.state[0], _nn.modules_entered()
        try:
            with hooks(model, after, before=before):
                return mx.plan_text(fn(*args, **kwargs), model.parameters())
        finally:
            _nn.leave_modules(outside)
            depths.clear()
            model.update(parameters)
            mx.random.state[0] = key

    return planned


class Summary:
    """What :meth:`Module.summary` returns: a table as text, and its numbers."""

    def __init__(self, rows, parameters, trainable, nbytes):
        self.rows = rows  # dicts: path, type, output, parameters, flops; the model itself first
        self.parameters = parameters
        self.trainable = trainable
        self.nbytes = nbytes
        self.flops = rows[0]["flops"]

    def __str__(self):
        head = ("module", "type", "output", "parameters", "flops")
        lines = [head]
        for row in self.rows:
            name = row["path"] or "(model)"
            lines.append((name, row["type"], row["output"], f"{row['parameters']:,}", _amount(row["flops"])))
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        text = []
        for line in lines:
            cells = [c.rjust(w) if i > 2 else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
            text.append("  ".join(cells).rstrip())
        text.insert(1, "-" * max(map(len, text)))
        text.append(
            f"{self.parameters:,} parameters ({self.trainable:,} trainable), {_amount(self.nbytes)}B; "
            f"{_amount(self.flops)}FLOP in a call"
        )
        return "\n".join(text)

    __repr__ = __str__


def _amount(n):
    """1234567 as "1.23 M"."""
    units = ["", "k", "M", "G", "T"]
    while n >= 1000 and len(units) > 1:
        n /= 1000
        del units[0]
    return f"{n:.3g} {units[0]}"


def _shapes(output):
    shapes = [str(tuple(a.shape)) for a in _arrays(output)]
    return ", ".join(shapes) if len(shapes) < 4 else f"{shapes[0]}, ... {len(shapes)} arrays"


def summarize(model, args, kwargs):
    """See :meth:`Module.summary`."""
    calls, starts = {}, []  # calls by module, so that one at two paths has them at both

    def before(path, module, args):
        starts.append(_nn.next_node())

    def after(path, module, output):
        call = calls.setdefault(id(module), {"output": _shapes(output), "flops": 0})
        call["flops"] += _nn.flops(_arrays(output), starts.pop())

    modes = [(module, module.training) for module in model.modules()]
    parameters, key = model.parameters(), mx.random.state[0]
    try:
        model.eval()
        with hooks(model, after, before=before):
            model(*args, **kwargs)
    finally:
        model.update(parameters)
        mx.random.state[0] = key
        for module, mode in modes:
            module._set_training_mode(mode)

    rows = []
    for path, module in _in_order("", model):
        own = _unique(module.parameters())
        call = calls.get(id(module), {"output": "", "flops": 0})
        rows.append({"path": path, "type": type(module).__name__, "parameters": sum(a.size for a in own)} | call)
    everything = _unique(parameters)
    trainable = sum(a.size for a in _unique(model.trainable_parameters()))
    return Summary(rows, sum(a.size for a in everything), trainable, sum(a.nbytes for a in everything))


def _in_order(path, module):
    yield path, module
    for name, child in tree_flatten(module.children(), is_leaf=module.is_module):
        if module.is_module(child):
            yield from _in_order(f"{path}.{name}" if path else name, child)


def _unique(tree):
    """The arrays of a tree, tied ones once."""
    return {id(a): a for a in _arrays(tree)}.values()
