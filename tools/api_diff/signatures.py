"""What callers may write: the names of a module and how each can be called, read from stubs or from live objects."""

import ast
import inspect
import re
from dataclasses import dataclass, field

POSITIONAL, EITHER, VARARGS, KEYWORD, KWARGS = "positional", "either", "*args", "keyword", "**kwargs"
REQUIRED = "(required)"


@dataclass
class Parameter:
    name: str
    kind: str
    default: str = REQUIRED  # its text


@dataclass
class Entry:
    """A function (with its overloads), class (with its members) or value."""

    kind: str
    overloads: list = field(default_factory=list)  # lists of Parameters; empty: not known
    members: dict = field(default_factory=dict)


def plain_object(default):
    """The text of a default that is there as a value."""
    if isinstance(default, type) or callable(default):
        return getattr(default, "__name__", "function")
    return plain(repr(default))


def plain(text):
    """A default's text, the same for both libraries."""
    text = text.replace('"', "'")
    for prefix in ("mlx.core.", "treadle.core.", "treadle._core.", "mlx.", "treadle."):
        text = text.removeprefix(prefix)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(value, list):
        value = tuple(value)
    return repr(float(value)) if type(value) in (int, float) else repr(value)


# --- Stubs ---


def parameters(arguments, drop_self, defaults=None):
    """Of an ast.arguments; `defaults` are values that names such as __default_0 stand for."""

    def text(node):
        if node is None:
            return REQUIRED
        if defaults is not None and isinstance(node, ast.Name) and node.id.startswith("__default_"):
            return plain_object(defaults[int(node.id.removeprefix("__default_"))])
        return plain(ast.unparse(node))

    ordered = [(a, POSITIONAL) for a in arguments.posonlyargs] + [(a, EITHER) for a in arguments.args]
    given = [None] * (len(ordered) - len(arguments.defaults)) + list(arguments.defaults)
    out = [Parameter(a.arg, kind, text(d)) for (a, kind), d in zip(ordered, given, strict=True)]
    if drop_self and out:
        out = out[1:]
    if arguments.vararg:
        out.append(Parameter(arguments.vararg.arg, VARARGS, ""))
    out += [
        Parameter(a.arg, KEYWORD, text(d)) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        out.append(Parameter(arguments.kwarg.arg, KWARGS, ""))
    return out


def from_stub(path):
    return _entries(ast.parse(path.read_text()).body, in_class=False)


def _entries(body, in_class):
    out = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(d) for d in node.decorator_list}
            if "property" in decorators or any(d.endswith(".setter") for d in decorators):
                out.setdefault(node.name, Entry("value"))
                continue
            entry = out.setdefault(node.name, Entry("function"))
            entry.overloads.append(parameters(node.args, in_class and "staticmethod" not in decorators))
        elif isinstance(node, ast.ClassDef):
            out[node.name] = Entry("class", members=_entries(node.body, in_class=True))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            out[node.target.id] = Entry("value")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known = out.get(node.value.id) if isinstance(node.value, ast.Name) else None
            out[node.targets[0].id] = known or Entry("value")
    return out


# --- Live objects ---


def from_object(value, drop_self=False):
    bound = getattr(value, "__nb_signature__", None)
    if bound:
        return Entry("function", [_bound(text, defaults or (), drop_self) for text, _, defaults in bound])
    if isinstance(value, type):
        own = [c for c in value.__mro__ if c not in (object, dict, list, tuple)]
        names = {n for c in own for n in vars(c)}
        members = {n: from_object(inspect.getattr_static(value, n), drop_self=True) for n in names}
        return Entry("class", members=members)
    if isinstance(value, staticmethod):
        return from_object(value.__func__)
    if not callable(value) and not isinstance(value, classmethod):
        return Entry("value")
    try:
        signature = inspect.signature(value.__func__ if isinstance(value, classmethod) else value)
    except (TypeError, ValueError):
        return Entry("function")  # a slot of the type
    kinds = {0: POSITIONAL, 1: EITHER, 2: VARARGS, 3: KEYWORD, 4: KWARGS}
    found = [
        Parameter(p.name, kinds[int(p.kind)], REQUIRED if p.default is p.empty else plain_object(p.default))
        for p in signature.parameters.values()
    ]
    for p in found:
        if p.kind in (VARARGS, KWARGS):
            p.default = ""
    return Entry("function", [found[1:] if drop_self and found else found])


def _bound(text, defaults, drop_self):
    """One overload of a nanobind function: "def f(a: int = \\0) -> int"."""
    for i in reversed(range(len(defaults))):
        text = text.replace(f"\\{i}", f"__default_{i}")
    text = re.sub(r"ndarray\[[^]]*\]", "ndarray", text)  # nanobind writes what is no Python here
    function = ast.parse(text + ": ...").body[0]
    return parameters(function.args, drop_self, defaults)


# --- Comparison ---


def refusals(ours, theirs):
    """Why a call that `theirs` allows would fail, or mean something else, with `ours`; empty when none would."""
    problems = []
    by_name = {p.name: p for p in ours if p.kind in (EITHER, KEYWORD)}
    in_order = [p for p in ours if p.kind in (POSITIONAL, EITHER)]
    takes_args = any(p.kind == VARARGS for p in ours)
    takes_kwargs = any(p.kind == KWARGS for p in ours)
    position = 0
    for p in theirs:
        if p.kind == VARARGS and not takes_args:
            problems.append("takes no *args")
        if p.kind == KWARGS and not takes_kwargs:
            problems.append("takes no **kwargs")
        if p.kind in (VARARGS, KWARGS):
            continue
        mine = None
        if p.kind in (POSITIONAL, EITHER):
            if position < len(in_order):
                mine = in_order[position]
                if p.kind == EITHER and mine.name != p.name:
                    problems.append(f"argument {position} is called '{mine.name}', not '{p.name}'")
                    mine = None
            elif not takes_args:
                problems.append(f"'{p.name}' is not positional" if p.name in by_name else f"no argument '{p.name}'")
            position += 1
        elif p.name in by_name:
            mine = by_name[p.name]
        elif not takes_kwargs:
            problems.append(f"no argument '{p.name}'")
        if mine and p.default != REQUIRED and mine.default != p.default and "..." not in (p.default, mine.default):
            problems.append(f"'{p.name}' is {mine.default}, not {p.default}, by default")
    named = {p.name for p in theirs}
    for k, p in enumerate(in_order):
        beyond = k >= position and not any(t.kind == VARARGS for t in theirs)
        if beyond and p.default == REQUIRED and p.name not in named:
            problems.append(f"'{p.name}' is required")
    return problems


def differences(name, ours, theirs):
    """Texts about one entry: what its callers and the readers of its members would meet."""
    out = []
    if ours.kind == "class" and theirs.kind == "function":  # called, it makes an object that is called in turn
        return differences(name, ours.members.get("__init__", Entry("function")), theirs)
    if "class" in (ours.kind, theirs.kind) and ours.kind != theirs.kind:
        return [f"{name}: a {ours.kind}, not a {theirs.kind}"]
    if ours.overloads:
        for theirs_one in theirs.overloads:
            best = min((refusals(one, theirs_one) for one in ours.overloads), key=len)
            out += [f"{name}: {problem}" for problem in best]
    for member, entry in theirs.members.items():
        if member not in ours.members:
            if not member.startswith("_") or member in OPERATORS:
                out.append(f"{name}.{member}: missing")
        elif not member.startswith("_"):
            out += differences(f"{name}.{member}", ours.members[member], entry)
        elif member == "__init__":
            out += differences(name, ours.members[member], entry)
    return list(dict.fromkeys(out))


OPERATORS = {
    f"__{prefix}{op}__"
    for prefix in ("", "r", "i")
    for op in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()  # noqa: SIM905
} | {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__getitem__", "__setitem__", "__call__", "__len__"}
