"""Reads ops.table and layers.table: a row is an op or a layer as each library writes it, and gives cases to measure.

Inputs are letters, each with a shape where it is not the usual one (`y:n/2,n`; `n` is the case's size):
    x y z, v w g   normal (n, n); (n,)          i j   int32 (n, n): below 100; 1 to 8
    p, u, h        0.1..2, -1..1, above 1       b c   bool
    a              complex                      k     indices (n,) below n, or below N with n=N
    m              indices (n, n) below n       r, e  a permutation of n; sorted numbers below 8
    s              sorted (n*n,)                d, l  positive definite, lower triangular (n, n)
    o              bytes below 100
A digit makes another of the kind: `v2`. Options: `half` (in bfloat16 too), `n=256,2048` (sizes: small, large),
`forward` (has no gradient), `unchecked` (peers need not agree: random numbers, other conventions).
"""

import os
import re
import zlib
from types import SimpleNamespace

import numpy as np
from common import load_jax, load_mlx, load_torch, rng
from w_ops import sample

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = ("mlx", "torch", "jax")
SQUARE = "xyzpuhijabcmdlo"  # the usual shape of the other letters is (n,)


def read(table):
    """The rows of a table: name, inputs, a cell for each library, options."""
    rows = []
    with open(os.path.join(HERE, f"{table}.table")) as f:
        for line in f:
            if not line.strip() or line.startswith(("#", "==")):
                continue
            name, inputs, *peers, options = ([c.strip() for c in line.split("|")] + [""] * 4)[:6]
            inputs = [] if inputs == "-" else inputs.split()
            options = dict(o.partition("=")[::2] for o in options.split())
            rows.append(SimpleNamespace(name=name, inputs=inputs, cells=peers, options=options))
    return rows


def cases(table):
    """Every row of the table at every size (ops) or in every direction (layers) and dtype."""
    for row in read(table):
        if table == "ops":
            variants = [int(n) for n in row.options.get("n", "256,2048").split(",")]
        else:
            variants = ["forward"] if "forward" in row.options else ["forward", "gradient"]
        for dtype in ("f32", "bf16") if "half" in row.options else ("f32",):
            for v in variants:
                n = v if table == "ops" else 0
                name = f"{row.name} {dtype} {v}"
                yield SimpleNamespace(name=name, table=table, row=row, n=n, dtype=dtype, gradient=v == "gradient")


def array(letter, shape, n, r):
    kind = letter[0]
    if kind in "xyzvwgq":
        return r.standard_normal(shape, dtype=np.float32)
    if kind in "puh":
        low, high = {"p": (0.1, 2), "u": (-0.99, 0.99), "h": (1.1, 3)}[kind]
        return r.uniform(low, high, shape).astype(np.float32)
    if kind in "ij":
        return r.integers(*((0, 100) if kind == "i" else (1, 8)), shape, dtype=np.int32)
    if kind in "bc":
        return r.random(shape) < 0.5
    if kind == "a":
        return (r.standard_normal(shape) + 1j * r.standard_normal(shape)).astype(np.complex64)
    if kind in "km":
        return r.integers(0, n, shape).astype(np.int32)
    if kind == "r":
        return r.permutation(n).astype(np.int32)
    if kind == "e":
        return np.sort(r.integers(0, 8, shape)).astype(np.int32)
    if kind == "s":
        return np.sort(r.standard_normal(n * n, dtype=np.float32))
    if kind == "o":
        return r.integers(0, 100, shape).astype(np.uint8)
    m = r.standard_normal(shape, dtype=np.float32)
    if kind == "l":
        return (np.tril(m, -1) * (0.1 / shape[-1] ** 0.5) + np.eye(shape[-1])).astype(np.float32)
    return (m @ m.swapaxes(-1, -2) / shape[-1] + np.eye(shape[-1])).astype(np.float32)


def data(case):
    """Input name -> array, the same in every process."""
    r, arrays = rng(1), {}
    for item in case.row.inputs:
        letter, _, shape = item.partition(":")
        n = case.n
        if ",n=" in shape:
            shape, _, n = shape.partition(",n=")
            n = int(n)
        if shape:
            shape = tuple(int(eval(s, {"n": n})) for s in shape.replace("/", "//").split(","))
        else:
            shape = (n, n) if letter[0] in SQUARE else (n,)
        arrays[letter] = array(letter, shape, n, r)
    return arrays


def is_float(a):
    return a.dtype == np.float32


def number(a):
    """A result as floats that can be compared and printed."""
    a = np.asarray(a)
    return np.stack([a.real, a.imag]).astype(np.float32) if a.dtype.kind == "c" else a.astype(np.float32)


def function(text, arguments, names):
    return eval(f"lambda {', '.join(arguments)}: {text}", names)


def first(out):
    return out[0] if isinstance(out, (tuple, list)) else out


def cotangent(shape):
    return rng(2).standard_normal(shape, dtype=np.float32)


def weight(name, shape):
    """A layer's parameter, the same in every peer that calls it so; weights of norms are near 1."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return values * np.float32(0.1) + np.float32(name.endswith("weight"))
    return values * np.float32(shape[-1] ** -0.5)


def compared(lib, case, out):
    """What peers are compared by: results, and of a layer's gradient those of inputs and of parameters by MLX's names.

    A parameter is what `lib.places` says of it, a list of (name, view) pairs: PyTorch joins some of MLX's parameters,
    has other layouts, and has biases that MLX lacks.
    """
    leaves = lib.flat(out)
    if case.table != "layers" or not case.gradient:
        return leaves
    inputs = sum(is_float(a) for a in data(case).values())
    gradients = leaves[1 : len(leaves) - inputs]
    named = {n: view(g) for place, g in zip(lib.places, gradients, strict=True) for n, view in place}
    return [leaves[0], *leaves[len(leaves) - inputs :], *(named[n] for n in sorted(named))]


def alike(name):
    """MLX's name of a parameter, with the two attentions before memory called the same."""
    return name.replace("self_attention.", "attention.")


class Mlx:
    """MLX's API: MLX itself and what has its modules."""

    def __init__(self):
        self.m = load_mlx()
        mx, nn = self.m.core, self.m.nn
        self.names = dict(mx=mx, nn=nn, np=np)
        self.default = "mx.{}"

    def array(self, a, dtype):
        mx = self.m.core
        return mx.array(a).astype(mx.bfloat16) if dtype == "bf16" and is_float(a) else mx.array(a)

    def op(self, fn, args):
        mx = self.m.core
        mx.eval(args)

        def step():
            out = fn(*args)
            mx.eval(out)
            return out

        return step

    def layer(self, make, call, arrays, case):
        mx = self.m.core
        model = eval(make, self.names) if make else None
        if model is not None and case.dtype == "bf16":
            model.set_dtype(mx.bfloat16)
        flat = self.m.utils.tree_flatten(model.trainable_parameters()) if model is not None else []
        flat = [(name, mx.array(weight(alike(name), a.shape)).astype(a.dtype)) for name, a in flat]
        if flat:
            model.load_weights(flat, strict=False)
        self.places = [[(alike(name), lambda a: a)] for name, _ in flat]
        run = function(call, ["m", *arrays], self.names)
        if not case.gradient:
            return self.op(lambda *a: run(model, *a), list(arrays.values()))
        wanted = [name for name, a in arrays.items() if mx.issubdtype(a.dtype, mx.floating)]

        def forward(*primals):
            if flat:
                model.update(self.m.utils.tree_unflatten(list(zip([k for k, _ in flat], primals))))
            given = dict(arrays, **dict(zip(wanted, primals[len(flat) :])))
            return first(run(model, *given.values()))

        primals = [a for _, a in flat] + [arrays[name] for name in wanted]
        out = forward(*primals)
        g = mx.array(cotangent(out.shape)).astype(out.dtype)
        mx.eval(g, primals)

        def step():
            out = mx.vjp(forward, primals, [g])
            mx.eval(out)
            return out

        return step

    def flat(self, out):
        mx = self.m.core
        leaves = [a for _, a in self.m.utils.tree_flatten([out])]
        return [number(np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a)) for a in leaves]

    def bytes(self, out):
        return sum(a.nbytes for _, a in self.m.utils.tree_flatten([out]))


class Torch:
    def __init__(self):
        self.torch = torch = load_torch()
        self.names = dict(
            torch=torch,
            F=torch.nn.functional,
            np=np,
            nchw=lambda a: a.permute(0, 3, 1, 2),
            nhwc=lambda a: a.permute(0, 2, 3, 1),
        )
        self.default = "torch.{}"

    def array(self, a, dtype):
        a = self.torch.from_numpy(a)
        return a.bfloat16() if dtype == "bf16" and a.dtype == self.torch.float32 else a

    def op(self, fn, args):
        return lambda: fn(*args)

    def layer(self, make, call, arrays, case):
        torch = self.torch
        model = eval(make, self.names) if make else None
        self.places = self.draw(model) if model is not None else []
        if model is not None and case.dtype == "bf16":
            model.bfloat16()
        run = function(call, ["m", *arrays], self.names)
        if not case.gradient:

            def step():
                with torch.no_grad():
                    return run(model, *arrays.values())

            return step
        wanted = list(model.parameters()) if model is not None else []
        wanted += [a.requires_grad_() for a in arrays.values() if a.dtype.is_floating_point]
        g = torch.from_numpy(cotangent(first(run(model, *arrays.values())).shape))
        g = g.to(first(run(model, *arrays.values())).dtype)

        def step():
            out = first(run(model, *arrays.values()))
            return [out, torch.autograd.grad(out, wanted, g, allow_unused=True)]

        return step

    def draw(self, model):
        """Gives parameters what weight() draws for MLX's names, and 0 to those that MLX lacks; says which is which."""
        places = []
        for name, parameter in model.named_parameters():
            place = self.place(name, model.get_submodule(name.rpartition(".")[0]), parameter.dim())
            numbers = parameter.detach().numpy()
            numbers[...] = 0
            for ours, view in place:
                view(numbers)[...] = weight(ours, view(numbers).shape)
            places.append(place)
        return places

    def place(self, name, module, dims):
        """MLX's names of what is in a parameter, each with the view that has MLX's layout; none if MLX lacks it."""
        nn = self.torch.nn
        same = lambda a: a
        for theirs, ours in (
            ("self_attn", "attention"),
            ("multihead_attn", "cross_attention"),
            (r"norm(\d?)", r"ln\1"),
        ):
            name = re.sub(rf"\b{theirs}\.", rf"{ours}.", name)
        around, dot, last = name.rpartition(".")
        if last == "in_proj_weight":
            third = lambda i: lambda a: a[len(a) // 3 * i : len(a) // 3 * (i + 1)]
            return [(f"{around}{dot}{p}_proj.weight", third(i)) for i, p in enumerate(("query", "key", "value"))]
        if "attention." in name and last.endswith("bias") or last == "bias_hh_l0":
            return []
        if isinstance(module, nn.RNNBase):
            of_rnn = isinstance(module, nn.RNN)
            ours = {"weight_ih_l0": "Wxh" if of_rnn else "Wx", "weight_hh_l0": "Whh" if of_rnn else "Wh"}
            return [(ours.get(last, "bias"), same)]
        if last == "weight" and dims > 2:  # channels of the input come last; a transposed kernel has them first
            first = 0 if "ConvTranspose" in type(module).__name__ else 1
            return [(name, lambda a: np.moveaxis(a, first, -1))]
        return [(name, same)]

    def flat(self, out):
        if isinstance(out, (list, tuple)):
            return [leaf for part in out if part is not None for leaf in self.flat(part)]
        out = out.detach()
        return [number((out.float() if out.is_floating_point() else out).resolve_conj().numpy())]


class Jax:
    def __init__(self):
        self.jax = jax = load_jax()
        self.names = dict(jax=jax, jnp=jax.numpy, lax=jax.lax, key=jax.random.key(0), np=np)
        self.default = "jnp.{}"

    def array(self, a, dtype):
        jnp = self.jax.numpy
        return jnp.asarray(a, jnp.bfloat16) if dtype == "bf16" and is_float(a) else jnp.asarray(a)

    def op(self, fn, args):
        fn = self.jax.jit(fn)
        return lambda: self.jax.block_until_ready(fn(*args))

    def layer(self, call, parameters, arrays, case):
        self.places = []  # rows with parameters are not compared: their names say nothing here
        items = [item.partition(":")[::2] for item in parameters.split()]
        r = rng(3)
        for name, shape in items:
            shape = [int(s) for s in shape.split(",")]
            weight = r.standard_normal(shape, dtype=np.float32) * shape[-1] ** -0.5
            arrays[name] = self.array(weight.astype(np.float32), case.dtype)
        run = function(call, arrays, self.names)
        if not case.gradient:
            return self.op(run, list(arrays.values()))
        jnp = self.jax.numpy
        wanted = [name for name, a in arrays.items() if jnp.issubdtype(a.dtype, jnp.floating)]
        out = run(*arrays.values())
        g = jnp.asarray(cotangent(out.shape), out.dtype)

        def gradient(g, *args):
            given = dict(zip(arrays, args))
            forward = lambda *a: run(*dict(given, **dict(zip(wanted, a))).values())
            out, pull = self.jax.vjp(forward, *(given[name] for name in wanted))
            return out, pull(g)

        return self.op(gradient, [g, *arrays.values()])

    def flat(self, out):
        return [number(a) for a in self.jax.tree.leaves(out)]


def library(peer):
    return {"m": Mlx, "t": Torch, "j": Jax}[peer[0]]()


class Missing(Exception):
    """The library has no such function."""


def build(lib, case):
    """(step, value, bytes of the inputs): step runs the case, value(step()) is what peers are compared by."""
    row = case.row
    text = row.cells[LIBRARIES.index(type(lib).__name__.lower())]
    if text == "-":
        raise Missing("has no such function")
    lib.names["n"] = case.n
    numbers = data(case)
    arrays = {k: lib.array(a, case.dtype) for k, a in numbers.items()}
    if isinstance(lib, Torch):  # whose indexing functions want int64
        arrays = {k: a.long() if k[0] in "kmr" else a for k, a in arrays.items()}
    size = sum(a.nbytes for a in arrays.values())
    checked = "unchecked" not in row.options
    if case.table == "layers":
        before, _, after = text.partition(";")
        step = lib.layer(before.strip(), after.strip(), arrays, case)
        checked = checked and not (isinstance(lib, Jax) and after.strip())  # its parameters differ
    else:
        text = text or f"{lib.default.format(row.name)}({', '.join(arrays)})"
        step = lib.op(function(text, arrays, lib.names), list(arrays.values()))

    def value(out):
        return sample(compared(lib, case, out)) if checked else []

    return step, value, size
