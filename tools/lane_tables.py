"""Writes treadle/backend/cpu/lane_tables.h: the polynomials of float functions, one for each of 32 intervals.

    python tools/lane_tables.py

A polynomial of degree 5 in t, the distance from a point of its interval, has the least squares of relative errors at
Chebyshev's points. The point is one near the middle whose value is nearly a float, so that the constant term is exact
(Gal's method); in the first interval it is 0.
"""

import math
from pathlib import Path

import numpy as np

DEGREE, POINTS, TRIED = 5, 64, 20000
FILE = Path(__file__).parent.parent / "treadle/backend/cpu/lane_tables.h"


def point(f, low, high):
    """A float in the interval with a value near a float: the nearest to the middle that is good enough, or the best."""
    middle = (low + high) / 2
    tried = sorted(np.linspace(low, high, TRIED).astype(np.float32), key=lambda x: abs(x - middle))
    best, error = middle, 1.0
    for x in tried:
        y = f(float(x))
        off = abs(y - float(np.float32(y))) / float(np.spacing(np.float32(y)))
        if off < error:
            best, error = float(x), off
        if error < 0.01:
            break
    return best


def fit(f, at, low, high, slope=None):
    """Coefficients of f on [low, high] about `at`: f(at) + t (c1 + c2 t + ...); c1 is `slope` if given."""
    fixed = [np.float32(f(at))] + ([] if slope is None else [np.float32(slope)])
    points = (low + high) / 2 + (high - low) / 2 * np.cos((np.arange(POINTS) + 0.5) * np.pi / POINTS)
    t = points - at
    values = np.array([f(x) for x in points])
    rest = values - f(at) - (0 if slope is None else slope * t)
    powers = np.stack([t**k for k in range(len(fixed), DEGREE + 1)], 1)
    free = np.linalg.lstsq(powers / values[:, None], rest / values, rcond=None)[0]
    return [at] + fixed + list(free.astype(np.float32))


def erf_rows():
    # In the first two, which are one, less t, which is exact and added last.
    yield from [fit(lambda x: math.erf(x) - x, 0.0, 1e-3, 1.5 / 8)] * 2
    for i in range(2, 32):
        low, high = (i - 0.5) / 8, (i + 0.5) / 8
        yield fit(math.erf, point(math.erf, low, high), low, high)


def tanh_rows():
    yield fit(math.tanh, 0.0, 1e-2, 1 / 8, slope=1.0)
    for k in range(31):
        octave, part = divmod(k, 4)
        width = 2.0 ** (octave - 5)
        low = min((4 + part) * width, 8)
        high = min(low + width, 9.5)
        yield fit(math.tanh, point(math.tanh, low, high), low, high)


def array(name, numbers):
    cells = "".join(f"    {float(v).hex()}f,\n" for v in numbers)
    return f"alignas(64) inline constexpr float {name}[32] = {{\n{cells}}};\n"


def main():
    text = ["// Made by tools/lane_tables.py, which says what the numbers are.\n#pragma once\n"]
    text.append("namespace treadle::backend::cpu {\n// clang-format off\n")
    for name, rows in dict(kErf=list(erf_rows()), kTanh=list(tanh_rows())).items():
        for k, part in enumerate(["At", *range(DEGREE + 1)]):
            text.append(array(f"{name}{part}", [row[k] for row in rows]))
    text.append("// clang-format on\n}  // namespace treadle::backend::cpu\n")
    FILE.write_text("\n".join(text))


if __name__ == "__main__":
    main()
