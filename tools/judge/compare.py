"""What may differ between two libraries, and what MLX itself gets wrong.

A value is close when it agrees within a few units in the last place of its dtype. Where a program amplifies rounding
(cancellation, thresholds, long chains), the amplification is measured: MLX runs the program again with noise of one
unit in the last place on every line, and what that moves may differ by a small multiple.
"""

import re

import numpy as np
from peer import FLOAT64, lib

import treadle.core as mx

# Units in the last place, and how many two right answers may be apart.
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23, "float64": 2.0**-52}
ULPS = 16
SPREAD = 8  # multiples of what noise of one unit does
RUNS = 8

# Functions of MLX that are off by more: the absolute error to add to the noise of their lines.
MLX_ERRORS = {} if FLOAT64 else {"m.erf(": 2e-5, "m.fast.rope(": 2e-5}
# Functions of float64 that MLX computes in float32; its derivatives are made of them.
NARROW = re.compile(
    r"m\.(exp|sin|cos|sigmoid|erf|erfinv|softmax|logsumexp|logcumsumexp|logaddexp|fast\.\w+|grad|value_and_grad|vjp|jvp)\("
)
# MLX adds in single precision one after another: units for each 256 elements.
SUMS = re.compile(r"m\.(sum|mean|var|std|cumsum|logsumexp|softmax|linalg\.norm)\(")
SUM_UNITS = 32
# Derivatives such as 1 - y^2 lose digits that their inputs have: an absolute error of a unit of 1.
TRANSFORM = re.compile(r"m\.(grad|value_and_grad|vjp|jvp)\(")


def errors_of(expression):
    """What makes the result of an expression less exact than a rounding, as noise() takes it."""
    errors = [error for name, error in MLX_ERRORS.items() if name in expression]
    if TRANSFORM.search(expression):
        errors.append("unit")
    elif SUMS.search(expression):
        errors.append("sum")
    if NARROW.search(expression) and not FLOAT64:
        errors.append("narrow")
    return tuple(errors)


def dtype_of(x):
    return str(x.dtype).rsplit(".", 1)[-1]


def as_numpy(x):
    """The same numbers; bfloat16, which NumPy lacks, as float32."""
    if dtype_of(x) == "bfloat16":
        x = x.astype(lib.float32 if isinstance(x, lib.array) else mx.float32)
    return np.array(x)


def bits(x):
    """What two evaluations must agree in; a NaN is a NaN, and sorting may leave either zero first."""
    a = as_numpy(x)
    if a.dtype.kind in "fc":
        a = np.where(np.isnan(a), np.nan, a) + np.zeros((), a.dtype)
    return (dtype_of(x), a.shape, a.tobytes())


def numbers(x):
    """A NumPy array of float64 or complex128, or of the integers themselves."""
    a = as_numpy(x)
    if a.dtype.kind == "f":
        return a.astype(np.float64)
    return a.astype(np.complex128) if a.dtype.kind == "c" else a


def noise(seed, largest):
    """Moves the value of a line by up to one unit in the last place, or by the error of MLX's function."""
    rng = np.random.default_rng(seed)

    def n(x, errors=()):
        if not isinstance(x, lib.array) or dtype_of(x) not in EPSILON:
            return x
        dtype = dtype_of(x)
        epsilon = EPSILON["float32" if "narrow" in errors and dtype == "float64" else dtype]
        units = SUM_UNITS * max(1, largest // 256) if "sum" in errors and dtype in ("float32", "float64") else 1
        amount = sum(error for error in errors if isinstance(error, float)) + 4 * epsilon * ("unit" in errors)
        # What cancels is left with the rounding of its neighbours.
        amount = lib.maximum(literal(amount, x), epsilon / 16 * lib.abs(lib.stop_gradient(x)).max()) if x.size else 0
        x = x + (amount * literal(rng.integers(-1, 2, x.shape), x)).astype(x.dtype)
        # Inside vmap the noise is the same for every element of the batch. 1 + e of a half type is a half, so nothing
        # is rounded on the way.
        return x * literal(1 + units * epsilon * rng.integers(-1, 2, x.shape), x).astype(x.dtype)

    def literal(value, x):
        return lib.array(np.asarray(value, np.float32), lib.float32) if dtype_of(x) != "float64" else doubles(value)

    def doubles(value):
        return lib.array(np.asarray(value, np.float64), lib.float64)

    return n


def distance(got, want, epsilon):
    """|got - want| over what may be, element by element: above 1 is a difference."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(want), np.abs(got))
        finite = np.abs(want)[np.isfinite(want)]
        largest = finite.max() if finite.size else 0.0
        allowed = ULPS * epsilon * np.maximum(size, 1e-2 * largest) + 1e-37
        d = np.abs(got - want) / allowed
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    # A NaN or an infinity on one side alone.
    return np.where(same, 0, np.where(np.isfinite(d), d, np.inf))


def differences(program, got, want, run):
    """Names of outputs that differ, with a sentence for each; run(text, noise) asks the judge again."""
    found, unsure = {}, {}
    for name, w in want.items():
        g = got[name]
        if tuple(g.shape) != tuple(w.shape) or dtype_of(g) != dtype_of(w):
            found[name] = f"{dtype_of(g)}{tuple(g.shape)}, MLX gives {dtype_of(w)}{tuple(w.shape)}"
            continue
        a, b = numbers(g), numbers(w)
        d = distance(a, b, EPSILON.get(dtype_of(w), 0)) if a.dtype.kind in "fc" else np.where(a != b, np.inf, 0)
        if d.size and d.max() > 1:
            unsure[name] = (a, b, d)
    if not unsure:
        return found
    runs = []
    sliced = program.slice(list(unsure))
    for seed in range(RUNS):
        runs.append(run(sliced.text("calls"), noise(seed, program.largest)))
    for name, (a, b, d) in unsure.items():
        spread, flips = np.zeros(b.shape), np.zeros(b.shape, bool)
        for moved_by_noise in runs:
            r = numbers(moved_by_noise[name])
            with np.errstate(all="ignore"):
                if b.dtype.kind in "fc":
                    moved = np.abs(r - b)
                    flips |= np.isfinite(r) != np.isfinite(b)
                    spread = np.maximum(spread, np.where(np.isfinite(moved), moved, 0))
                else:
                    flips |= r != b
        if b.dtype.kind in "fc":
            with np.errstate(all="ignore"):
                # Sums mix elements: the largest movement may show elsewhere.
                allowed = SPREAD * np.maximum(spread, 0.2 * spread.max(initial=0))
                bad = (d > 1) & ~(np.abs(a - b) <= allowed) & ~flips
                # The logarithm of what is 0 but for rounding.
                bad &= np.isfinite(a) | (spread < 0.01 * np.abs(b))
        else:
            bad = (d > 1) & ~flips
        # Whole and truth values: a threshold that one run crosses, others may.
        if b.dtype.kind not in "fc" and flips.any() and (d > 1).mean() <= 4 * flips.mean() + 1e-9:
            bad = np.zeros_like(bad)
        if bad.any():
            at = np.unravel_index(np.argmax(np.where(bad, d, -1)), b.shape) if b.ndim else ()
            at = tuple(int(i) for i in at)
            found[name] = f"{dtype_of(want[name])}{b.shape} at {at}: {a[at]!r}, MLX gives {b[at]!r}"
    return found
