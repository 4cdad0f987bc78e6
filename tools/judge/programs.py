"""Random programs: lists of lines, each `name = expression` or a function, made with MLX as the guide to shapes.

A program is text, so that a failing one can be read, cut down and run by itself. `make(seed)` depends on nothing but
the seed and what MLX computes.
"""

import ast
import functools
import random
import re
from dataclasses import dataclass, field

import numpy as np
import ops
from compare import errors_of
from peer import FLOAT64, lib

PREAMBLE = """\
import numpy as np


def draw(m, seed, shape, low=-2, high=2):
    return m.array(np.random.default_rng(seed).uniform(low, high, shape).astype("float32"))


def put(x, index, value):
    y = x[...]
    y[index] = value
    return y
"""

NAME = re.compile(r"\b[vabf]\d+\b")


class Wrapped(ast.NodeTransformer):
    """Every call m.f(...), and the whole, inside n(...)."""

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "m":
            return self.wrapped(node)
        return node

    @staticmethod
    def wrapped(node):
        errors = errors_of(ast.unparse(node))
        if "narrow" in errors and isinstance(node, ast.Call):
            # The arguments are rounded too.
            node.args = [Wrapped.noisy(x, ("narrow",)) for x in node.args]
        return Wrapped.noisy(node, errors)

    @staticmethod
    def noisy(node, errors):
        return ast.Call(ast.Name("n", ast.Load()), [node, ast.Constant(errors)], [])


@functools.cache
def noisy_text(expression):
    tree = Wrapped().visit(ast.parse(expression, mode="eval"))
    if not (isinstance(tree.body, ast.Call) and getattr(tree.body.func, "id", "") == "n"):
        tree.body = Wrapped.wrapped(tree.body)
    return ast.unparse(ast.fix_missing_locations(tree))


@dataclass
class Line:
    """`target = expression`, or with a body `def target(*parameters): ...; return expression`."""

    target: str
    expression: str
    exact: bool = False
    parameters: list = field(default_factory=list)
    body: list = None
    dtype: str = ""

    def uses(self):
        names = set(NAME.findall(self.expression))
        for line in self.body or ():
            names |= line.uses()
        return names - {line.target for line in self.body or ()} - set(self.parameters)

    def text(self, indent, wrap=""):
        """With wrap "lines" the value of each line goes through n(), with "calls" that of each call."""
        wrapped = noisy_text(self.expression) if wrap == "calls" else self.expression
        if wrap == "lines":
            wrapped = f"n({wrapped})"
        if self.body is None:
            return f"{indent}{self.target} = {wrapped}\n"
        head = f"\n{indent}def {self.target}({', '.join(self.parameters)}):\n"
        inner = "".join(line.text(indent + "    ", wrap) for line in self.body)
        return head + inner + f"{indent}    return {wrapped}\n\n"


def entered(library):
    """Told the module that is about to run; a worker replaces it."""


def run_text(text, m, n=None, own=()):
    """The outputs of a program with the library m; functions of the program's own may be replaced."""
    names = {}
    exec(text, names)
    names.update(own)
    entered(m.__name__)
    out = names["program"](*((m, n) if n else (m,)))
    m.eval(list(out.values()))
    return out


@dataclass
class Program:
    seed: int
    lines: list
    outputs: list
    largest: int = 0  # the most elements of a value

    def slice(self, outputs):
        """The lines that these outputs need."""
        need, kept = set(outputs), []
        for line in reversed(self.lines):
            if line.target in need:
                kept.append(line)
                need |= line.uses()
        return Program(self.seed, kept[::-1], list(outputs), self.largest)

    def text(self, wrap=""):
        body = "".join(line.text("    ", wrap) for line in self.lines)
        outputs = ", ".join(f'"{name}": {name}' for name in self.outputs)
        arguments = "m, n" if wrap else "m"
        return f"{PREAMBLE}\n\ndef program({arguments}):\n{body}    return {{{outputs}}}\n"

    def run(self, m, n=None, wrap=""):
        return run_text(self.text(wrap), m, n)

    def exact(self):
        """The outputs whose bits no kernel may choose."""
        exact = {}
        for line in self.lines:
            exact[line.target] = (
                line.exact and line.body is None and all(exact.get(name, False) for name in line.uses())
            )
        return {name for name in self.outputs if exact[name]}


class NoOperandError(Exception):
    """No value of the pool fits."""


def family_of(dtype):
    name = str(dtype).rsplit(".", 1)[-1]
    if name == "bool":
        return "bool"
    if name == "complex64":
        return "complex"
    return "float" if "float" in name else "int"


FAMILIES = {
    "any": {"float", "int", "bool", "complex"},
    "number": {"float", "int"},
    "whole": {"int", "bool"},
    "float32": {"float"},
}
MAIN = lib.float64 if FLOAT64 else lib.float32
LARGEST_SIZE = 100_000
LARGEST_ARGUMENT = 20_000
LARGEST = {"float16": 500.0, "bfloat16": 1e4}


def in_range(x):
    """Finite and not so large that everything after it would overflow."""
    if family_of(x.dtype) == "bool" or x.size == 0:
        return True
    if x.size > LARGEST_SIZE:
        return False
    if family_of(x.dtype) == "int":
        # Wide enough to see wrapping, small enough for shapes of counts.
        return True
    if FLOAT64 and x.dtype != MAIN:
        return False  # MLX is the judge of other dtypes
    limit = LARGEST.get(str(x.dtype).rsplit(".", 1)[-1], 1e5)
    # NaN is not below the limit either.
    return bool((lib.abs(x) < limit).all().item())


class Maker:
    """Grows one list of lines. Values are computed with MLX on the way."""

    def __init__(self, rng, outer=None, prefix="v"):
        self.rng, self.prefix = rng, prefix
        self.outer = outer
        self.values = {}  # name -> MLX array, of this list of lines
        self.lines = []
        self.sizes = outer.sizes if outer else self._sizes()
        self.scope = {} if outer is None else dict(outer.scope)
        if outer is None:
            exec(PREAMBLE, self.scope)
            self.scope["m"] = lib

    def _sizes(self):
        kind = self.rng.random()
        if kind < 0.04:
            return [0, 2, 3]
        if kind < 0.14:
            return [self.rng.choice([17, 33, 64, 100]), self.rng.choice([40, 128, 257]), 2]
        return self.rng.sample([1, 2, 3, 4, 5, 7, 8], 3)

    # -- what templates ask

    def one(self, choices, separator=" "):
        return self.rng.choice([c for c in choices.split(separator) if c or separator != " "])

    def length(self):
        return self.rng.choice(self.sizes)

    def fresh_shape(self):
        n = self.rng.choice([0, 1, 1, 2, 2, 2, 3, 4])
        shape = tuple(self.length() for _ in range(n))
        return shape if np.prod(shape) <= 40_000 else shape[:2]

    def shape(self, name):
        return tuple(self.values[name].shape)

    def size(self, name):
        return self.values[name].size

    def family(self, name):
        return family_of(self.values[name].dtype)

    def pick(self, kind="any", ndim=0, at_most=9):
        names = [
            name
            for name, x in self.values.items()
            if family_of(x.dtype) in FAMILIES.get(kind, {kind})
            and ndim <= x.ndim <= at_most
            and (kind != "float32" or x.dtype == MAIN)
        ]
        if not names:
            raise NoOperandError
        # Young values oftener, so that chains grow.
        return self.rng.choice(names[-4:] if self.rng.random() < 0.5 else names)

    def pick_axis(self, kind, least=0):
        x = self.pick(kind, ndim=1)
        axes = [i for i, s in enumerate(self.shape(x)) if s >= least]
        if not axes:
            raise NoOperandError
        return x, self.rng.choice(axes)

    def fitting(self, name, test):
        shape = self.shape(name)
        names = [
            other
            for other, x in self.values.items()
            if family_of(x.dtype) == self.family(name) and test(shape, tuple(x.shape))
        ]
        return self.rng.choice(names) if names else None

    def alike(self, name):
        """A value of the same shape and kind; the same one if there is no other."""
        others = [
            other
            for other, x in self.values.items()
            if other != name and x.shape == self.values[name].shape and family_of(x.dtype) == self.family(name)
        ]
        return self.rng.choice(others) if others else name

    def batches(self, a, b):
        return broadcasts(self.shape(a)[:-2], self.shape(b)[:-2])

    def pair(self, form, first, second, also=None):
        a = self.pick(first)
        shape = self.shape(a)
        if also:
            if not broadcasts(shape, self.shape(also)):
                raise NoOperandError
            shape = np.broadcast_shapes(shape, self.shape(also))
        names = [
            name
            for name, x in self.values.items()
            if family_of(x.dtype) in FAMILIES.get(second, {second})
            and broadcasts(shape, tuple(x.shape))
            and (second != "float32" or x.dtype == MAIN)
        ]
        if not names:
            raise NoOperandError
        b = self.rng.choice(names)
        if self.rng.random() < 0.3 and first == second:
            a, b = b, a
        return form.format(a, b)

    def reduce(self, name, kind):
        x = self.pick(kind)
        n = len(self.shape(x))
        if name in ("max", "min") and self.size(x) == 0:
            raise NoOperandError
        form = self.rng.random()
        keep = self.one(";, keepdims=True", ";")
        if n == 0 or form < 0.2:
            return f"m.{name}({x})"
        if n >= 2 and form < 0.4:
            return f"m.{name}({x}, axis={tuple(sorted(self.rng.sample(range(n), 2)))}{keep})"
        return f"m.{name}({x}, axis={self.rng.randint(-n, n - 1)}{keep})"

    def along(self, name, kind):
        x, axis = self.pick_axis(kind, 1)
        return f"m.{name}({x}, axis={axis})"

    def running(self, name, kind):
        x, axis = self.pick_axis(kind, 1)
        return f"m.{name}({x}, axis={axis}" + self.one(");, reverse=True);, inclusive=False)", ";")

    def refactor(self, name):
        """Another shape of as many elements."""
        size, shape = self.size(name), []
        if size == 0:
            return (0,)
        while len(shape) < 3 and size > 1 and self.rng.random() < 0.8:
            part = self.rng.choice([d for d in (2, 3, 4, 5, 7, size) if size % d == 0])
            shape.append(part)
            size //= part
        if size > 1 or not shape:
            shape.append(size)
        if self.rng.random() < 0.3:
            shape[self.rng.randrange(len(shape))] = -1
        return tuple(shape)

    def constant(self, shape):
        return f"draw(m, {self.rng.randint(0, 99)}, {shape}, -1, 1)" + ".astype(m.float64)" * FLOAT64

    def indices(self, length, count=None):
        count = count or self.rng.randint(1, 5)
        if length == 0:
            raise NoOperandError
        return f"m.array({[self.rng.randint(-length, length - 1) for _ in range(count)]})"

    def distinct(self, length):
        count = self.rng.randint(1, min(length, 4))
        return f"m.array({self.rng.sample(range(length), count)})"

    def index_like(self, name, axis):
        shape = list(self.shape(name))
        length = shape[axis]
        shape[axis] = self.rng.randint(1, 4)
        return f"draw(m, {self.rng.randint(0, 99)}, {tuple(shape)}, 0, {length - 1e-3}).astype(m.int32)"

    def basic_index(self, name):
        parts = []
        for length in self.shape(name):
            parts.append(
                self.one(
                    f"1:;:-1;::2;::-1;-1::-2;:;...;None, :;{self.rng.randint(-length, length - 1)}"
                    if length > 1
                    else ":;0;..."
                    if length == 1
                    else ":;...",
                    ";",
                )
            )
            if self.rng.random() < 0.3:
                break
        if parts.count("...") > 1:
            parts = [p for p in parts if p != "..."]
        return ", ".join(parts) or "..."

    # -- growing

    def add(self, line, value):
        line.dtype = str(value.dtype)
        self.lines.append(line)
        self.values[line.target] = self.scope[line.target] = value

    def fresh(self):
        # A body's names are told apart from those outside by prefix and by depth of the list they join.
        root = self
        while root.outer is not None:
            root = root.outer
        root.count = getattr(root, "count", 0) + 1
        return f"{self.prefix}{root.count}"

    def leaf(self):
        shape = self.fresh_shape()
        text = f"draw(m, {self.rng.randint(0, 999)}, {shape})"
        text += self.rng.choice(
            [
                "",
                "",
                "",
                "",
                ".astype(m.float16)",
                ".astype(m.bfloat16)",
                ".astype(m.int32)",
                " > 0",
                " * 3",
                ".astype(m.float16)",
            ]
        )
        if self.rng.random() < 0.08:
            text = f"(draw(m, 5, {shape}, 0, 9)).astype(m.{self.one('uint8 int8 uint32 int64 float64 complex64')})"
        if FLOAT64:
            text = f"draw(m, {self.rng.randint(0, 999)}, {shape}).astype(m.float64)" + self.one(" * 3; / 3;;; > 0", ";")
        line = Line(self.fresh(), text, exact=True)
        self.add(line, eval(text, self.scope))

    def rounding_decides(self, text):
        """Whether the line cuts what is a whole number but for rounding."""
        cut = re.match(r"m\.(?:ceil|floor|sign|trunc)\((\w+)\)$", text)
        if not cut or self.family(cut[1]) != "float" or not self.size(cut[1]):
            return False
        x = self.values[cut[1]]
        distance = lib.abs(x - lib.round(x))
        return bool(((distance > 0) & (distance < 1e-6)).any().item())

    def step(self):
        """Tries one random line; True when it stands."""
        weights = [t[0] for t in ops.TEMPLATES]
        _, exact, template = self.rng.choices(ops.TEMPLATES, weights)[0]
        try:
            text = template(self)
            if not text:
                return False
            value = eval(text, self.scope)
            if isinstance(value, lib.array) and value.size > LARGEST_SIZE:
                return False
            if self.rounding_decides(text):
                return False
            lib.eval(value)
        except NoOperandError:
            return False
        except (ValueError, RuntimeError, TypeError, IndexError, AttributeError):
            return False  # MLX refuses it
        if not isinstance(value, lib.array) or not in_range(value):
            return False
        self.add(Line(self.fresh(), text, exact), value)
        return True


def broadcasts(a, b):
    return all(x == y or 1 in (x, y) for x, y in zip(reversed(a), reversed(b), strict=False))


def function(maker, mapped):
    """A function of one to three values of the maker, or of slices of them, and what is needed to call it."""
    rng = maker.rng
    inner = Maker(rng, maker, "a")
    arguments, axes, parameters = [], [], []
    batch = None
    for _ in range(rng.randint(1, 3)):
        x = maker.pick("float")
        if not 0 < maker.size(x) <= LARGEST_ARGUMENT:
            raise NoOperandError
        shape, axis = maker.shape(x), None
        if mapped:
            fits = [i for i, s in enumerate(shape) if (s == batch if batch else s > 0)]
            if fits and (batch is None or rng.random() < 0.8):
                axis = rng.choice(fits)
                batch = shape[axis]
        arguments.append(x)
        axes.append(axis)
        name = maker.fresh().replace("v", "a")
        parameters.append(name)
        value = maker.values[x] if axis is None else lib.take(maker.values[x], 0, axis)
        inner.values[name] = inner.scope[name] = value
    if mapped and batch is None:
        raise NoOperandError
    if rng.random() < 0.3:  # a value from outside
        captured = maker.pick("any")
        inner.values[captured] = maker.values[captured]
    for _ in range(rng.randint(3, 12)):
        inner.step()
    results = [line.target for line in inner.lines if family_of(inner.values[line.target].dtype) == "float"]
    if not results:
        raise NoOperandError
    if (batch or 1) * max(x.size for x in inner.values.values()) > LARGEST_ARGUMENT:
        raise NoOperandError  # some of MLX's rules make products of what they are given
    result = inner.values[results[-1]]
    line = Line(maker.fresh().replace("v", "f"), results[-1], False, parameters, inner.lines, str(result.dtype))
    if mapped:
        defined_everywhere(maker, line, arguments, axes, batch)
    return line, arguments, axes, result


def defined_everywhere(maker, line, arguments, axes, batch):
    """Raises when a value inside is NaN or infinite for some element of the batch."""

    def look(x, *_):
        if isinstance(x, lib.array) and not in_range(x):
            raise NoOperandError
        return x

    names = maker.scope | {"n": look}
    exec(line.text("", "lines"), names)
    for i in range(batch):
        values = [maker.values[x] for x in arguments]
        names[line.target](*(v if a is None else lib.take(v, i, a) for v, a in zip(values, axes, strict=True)))


# Each makes one value from the function f, its arguments x, the argument k to differentiate, constant tangents t, a
# cotangent c and, mapped, the axes.
PLAIN = """
m.grad({loss}, {k})({x})
m.value_and_grad({loss}, {k})({x})[0]
m.value_and_grad({loss}, {k})({x})[1]
m.vjp({f}, [{x}], [{c}])[1][{k}]
m.jvp({f}, [{x}], [{t}])[1][0]
m.compile({f})({x})
m.checkpoint({f})({x})
m.grad(lambda *z: m.checkpoint({f})(*z).sum(), {k})({x})
m.grad(lambda *z: m.compile({f})(*z).sum(), {k})({x})
m.compile(m.grad({loss}, {k}))({x})
m.compile(m.compile({f}))({x})
m.grad(lambda *z: m.sin(m.grad({loss}, {k})(*z)).sum(), {k})({x})
m.jvp(m.grad({loss}, {k}), [{x}], [{t}])[1][0]
m.compile(lambda *z: m.vjp({f}, list(z), [{c}])[1][{k}])({x})
m.vjp({f}, [{x}], [{c}])[0][0]
m.grad(lambda *z: m.jvp({f}, list(z), [{t}])[1][0].sum(), {k})({x})
"""
MAPPED = """
m.vmap({f}, {axes})({x})
m.vmap({f}, {axes}, out_axes=-1)({x})
m.vmap(m.grad({loss}, {k}), {axes})({x})
m.grad(lambda *z: m.vmap({f}, {axes})(*z).sum(), {k})({x})
m.compile(m.vmap({f}, {axes}))({x})
m.vmap(m.compile({f}), {axes})({x})
m.jvp(m.vmap({f}, {axes}), [{x}], [{t}])[1][0]
m.compile(m.grad(lambda *z: (m.vmap({f}, {axes})(*z) ** 2).sum(), {k}))({x})
m.vmap(m.checkpoint({f}), {axes})({x})
m.vmap(lambda *z: m.vjp({f}, list(z), [m.ones_like({f}(*z))])[1][{k}], {axes})({x})
"""


def transform(maker):
    """A function and a value that a transform of it gives; False when MLX has no rule."""
    rng = maker.rng
    try:
        mapped = rng.random() < 0.4
        line, arguments, axes, result = function(maker, mapped)
    except NoOperandError:
        return False
    form = rng.choice((MAPPED if mapped else PLAIN).split("\n")[1:-1])

    def like(name_or_value):
        value = maker.values[name_or_value] if isinstance(name_or_value, str) else name_or_value
        dtype = str(value.dtype).rsplit(".", 1)[-1]
        return f"{maker.constant(tuple(value.shape))}.astype(m.{dtype})"

    text = form.format(
        f=line.target,
        loss=f"lambda *z: m.mean({line.target}(*z) * 0.7)",
        k=rng.randrange(len(arguments)),
        x=", ".join(arguments),
        t=", ".join(like(x) for x in arguments),
        c=like(result),
        axes=tuple(axes),
    )
    names = dict(maker.scope)
    try:
        exec(line.text(""), names)
        value = eval(text, names)
        lib.eval(value)
    except (ValueError, RuntimeError, TypeError, IndexError, AttributeError):
        return False
    if not isinstance(value, lib.array) or not in_range(value):
        return False
    maker.lines.append(line)
    maker.scope[line.target] = names[line.target]
    maker.add(Line(maker.fresh(), text), value)
    return True


def make(seed):
    """The program of a seed."""
    rng = random.Random(seed)
    maker = Maker(rng)
    for _ in range(rng.randint(2, 4)):
        maker.leaf()
    for _ in range(rng.randint(5, 40)):
        if rng.random() < 0.15:
            transform(maker)
        else:
            maker.step()
    program = Program(seed, maker.lines, [], max(x.size for x in maker.values.values()))
    used = set().union(*(line.uses() for line in maker.lines))
    program.outputs = [name for name in maker.values if name not in used or rng.random() < 0.3]
    return program
