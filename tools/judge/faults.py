"""Faults of MLX, each with a mend: the same function, written in others of MLX's that avoid the fault.

A program on which the libraries differ runs again with the mends. Only when that gives what Treadle gives is the
difference laid to MLX, by the name of the mend that it took.
"""

import ast
import re

import numpy as np
from peer import FLOAT64
from peer import lib as mlx
from programs import run_text


def larger(a, b):
    return mlx.where((a > b) | mlx.isnan(a), a, b)


def smaller(a, b):
    return mlx.where((a < b) | mlx.isnan(a), a, b)


def extreme(name):
    """max or min with the derivative that MLX's vjp has: equal candidates share it."""
    function = getattr(mlx, name)

    def f(x, axis=None, keepdims=False):
        value = mlx.stop_gradient(function(x, axis, keepdims=True))
        if x.dtype not in (mlx.float16, mlx.bfloat16, mlx.float32, mlx.float64):
            return function(x, axis, keepdims=keepdims)
        share = mlx.stop_gradient(x == value).astype(x.dtype)
        share = share / share.sum(axis, keepdims=True)
        value = value + mlx.where(share > 0, (x - mlx.stop_gradient(x)) * share, 0).sum(axis, keepdims=True)
        return value if keepdims else mlx.squeeze(value, axis)

    return f


def positions(shape, index):
    """Where the elements that x[index] reads lie in x."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.array(p) if isinstance(p, mlx.array) else p for p in parts)
    return np.arange(int(np.prod(shape))).reshape(shape)[parts]


UPDATES = {
    "set": lambda old, new: new,
    "add": mlx.add,
    "subtract": mlx.subtract,
    "multiply": mlx.multiply,
    "divide": mlx.divide,
    "maximum": larger,
    "minimum": smaller,
}


def cast(x, dtype):
    return (x if mlx.issubdtype(dtype, mlx.inexact) else mlx.stop_gradient(x)).astype(dtype)


def updated(x, at, how, value):
    """x with values put at the flat positions `at`, one after another where a position comes twice, by gathering."""
    if not isinstance(value, mlx.array):
        value = mlx.array(value, x.dtype)
    elif value.dtype != x.dtype:
        value = cast(value, x.dtype)
    while value.ndim > at.ndim:
        value = value[0]
    value = mlx.broadcast_to(value, at.shape).reshape(-1)
    at, flat = at.reshape(-1), x.reshape(-1)
    order = np.zeros(len(at), int)
    for i, p in enumerate(at):
        order[i] = np.count_nonzero(at[:i] == p) if len(at) < 1000 else 0
    for turn in range(order.max(initial=-1) + 1):
        source = np.full(x.size, -1)
        mine = np.flatnonzero(order == turn)
        source[at[mine]] = mine
        new = mlx.take(value, mlx.array(np.maximum(source, 0)))
        flat = mlx.where(mlx.array(source >= 0), UPDATES[how](flat, new), flat)
    return flat.reshape(x.shape)


def at(x, index, how, value):
    return updated(x, positions(x.shape, index), how, value)


def put(x, index, value):
    return updated(x, positions(x.shape, index), "set", value)


def slice_update(x, update, start, axes):
    first = dict(zip(axes, np.array(start).tolist(), strict=True))
    index = tuple(
        slice(first.get(i, 0), first.get(i, 0) + n) if i in first else slice(0, n) for i, n in enumerate(update.shape)
    )
    return updated(x, positions(x.shape, index), "set", update)


def of_a_scalar(name):
    function = getattr(mlx, name)
    return lambda x, *args, **kwargs: function(x.reshape(1) if x.ndim == 0 else x, *args, **kwargs)


def in_float32(name):
    function = getattr(mlx, name)

    def f(x, *args, **kwargs):
        half = x.dtype in (mlx.float16, mlx.bfloat16)
        return (
            function(x.astype(mlx.float32), *args, **kwargs).astype(x.dtype) if half else function(x, *args, **kwargs)
        )

    return f


def in_float64(name):
    function = getattr(mlx, name)
    return lambda x, *args, **kwargs: function(x.astype(mlx.float64), *args, **kwargs).astype(x.dtype)


def truth(name):
    function = getattr(mlx, name)
    return lambda x, *args, **kwargs: function(mlx.stop_gradient(x != 0), *args, **kwargs)


# (what is wrong in MLX, {name: what to call instead}); names of no module are those of the program's own functions.
FAULTS = [
    (
        "at ties the jvp of maximum and minimum is not the transpose of their vjp",
        {"maximum": larger, "minimum": smaller, "max": extreme("max"), "min": extreme("min")},
    ),
    (
        "vmap of a slice update writes to wrong rows; x[...] = y changes the dtype of x; x.at[i].maximum(y) gives each "
        "of equal candidates the whole gradient",
        {"put": put, "at": at, "slice_update": slice_update},
    ),
    ("all and any of a scalar are casts, and pass gradients", {"all": truth("all"), "any": truth("any")}),
    ("the jvp of addmm forgets alpha", {"addmm": lambda c, a, b, alpha=1.0, beta=1.0: beta * c + alpha * (a @ b)}),
    ("sum and prod of a scalar leave its dtype", {name: of_a_scalar(name) for name in ("sum", "prod")}),
    (
        "running sums of half types are rounded at every step",
        {name: in_float32(name) for name in ("cumsum", "cumprod", "logcumsumexp")},
    ),
    ("the variance of equal numbers is not 0", {name: in_float64(name) for name in ("var", "std")}),
    ("tangents pass through casts to integers", {"astype": cast}),
]


class Mended:
    """MLX with some functions replaced."""

    def __init__(self, mends):
        self.mends = mends
        self.__name__ = "mlx.core"

    def __getattr__(self, name):
        return self.mends.get(name) or getattr(mlx, name)


class MethodsAsCalls(ast.NodeTransformer):
    """x.at[i].how(y) as at(x, np.s_[i], 'how', y), and x.astype(m.int32) as astype(x, m.int32)."""

    def __init__(self, names):
        self.names = names

    def visit_Call(self, node):
        self.generic_visit(node)
        f = node.func
        if not isinstance(f, ast.Attribute):
            return node
        if f.attr == "astype" and "astype" in self.names and re.match(r"m\.(u?int|bool)", ast.unparse(node.args[0])):
            return ast.Call(ast.Name("astype", ast.Load()), [f.value, *node.args], [])
        place = f.value.value if isinstance(f.value, ast.Subscript) else None
        if "at" not in self.names or not isinstance(place, ast.Attribute) or place.attr != "at":
            return node
        index = ast.Subscript(ast.parse("np.s_", mode="eval").body, f.value.slice, ast.Load())
        return ast.Call(ast.Name("at", ast.Load()), [place.value, index, ast.Constant(f.attr), *node.args], [])


OWN = ("put", "at", "astype")  # of the program, not of the library


def run_mended(text, mends, n=None):
    own = {name: f for name, f in mends.items() if name in OWN}
    text = ast.unparse(ast.fix_missing_locations(MethodsAsCalls(own).visit(ast.parse(text))))
    return run_text(text, Mended(mends), n, own)


def fault_of(program, agrees):
    """The fault whose mend gives what Treadle gives, or None. agrees(run): whether it does."""
    if FLOAT64:
        return None
    everything = {name: f for _, mends in FAULTS for name, f in mends.items()}
    text = program.text().partition("def program")[2]
    used = [(reason, mends) for reason, mends in FAULTS if any(re.search(rf"\b{name}\b", text) for name in mends)]
    for reason, mends in [*used, ("several of its faults", everything)]:
        try:
            if agrees(lambda text, n=None, mends=mends: run_mended(text, mends, n)):
                return reason
        except Exception:
            continue
    return None
