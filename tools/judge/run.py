"""One program judged, and cut down when it fails."""

import contextlib
import re
import time
from dataclasses import replace

import numpy as np
from compare import as_numpy, bits, differences, dtype_of
from faults import fault_of
from peer import lib
from programs import Line, Program, make, run_text
from reference import bits_of_text

import treadle.core as mx


def ask_peer(text, n=None):
    return run_text(text, lib, n)


def against_peer(program, ask=ask_peer):
    """{output: what is wrong}; an error of Treadle counts for all outputs."""
    want = ask(program.text())
    try:
        got = program.run(mx)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        if len(program.outputs) == 1:
            return {program.outputs[0]: what}
        parts = [against_peer(program.slice([name]), ask) for name in program.outputs]
        return {name: text for part in parts for name, text in part.items()} or dict.fromkeys(program.outputs, what)
    return differences(program, got, want, ask)


def line_by_line(program):
    """Outputs whose value differs when every line is evaluated at once."""

    def now(x):
        with contextlib.suppress(Exception):  # inside vmap and compile there is no value
            mx.eval(x)
        return x

    try:
        lazy, eager = program.run(mx), program.run(mx, now, "lines")
    except Exception:
        return {}  # reported above
    wrong = {}
    for name in program.exact():
        if bits(lazy[name]) != bits(eager[name]):
            wrong[name] = "other bits when each line is evaluated"
    return wrong


def literal(x):
    """The value of an MLX array as text."""
    values = np.array(x.astype(lib.float32) if dtype_of(x) in ("bfloat16", "float16") else x).tolist()
    text = repr(values).replace("nan", "m.nan").replace("inf", "m.inf")
    dtype = dtype_of(x)
    shape = "" if x.size else f".reshape({tuple(x.shape)})"
    return f"m.array({text}, m.{'bool_' if dtype == 'bool' else dtype}){shape}"


SHRINKING = 20  # seconds; what has been found until then will do


def shrink(program, output, failing):
    """The fewest lines that still fail, with small inputs written out."""
    whole, program = program, program.slice([output])
    if not failing(program):
        return whole
    failing = alike(failing, kind_of(failing(program).get(output, "")))
    end = time.monotonic() + SHRINKING
    every = [line.target for line in program.lines if line.body is None and line.target != output]
    try:
        values = Program(program.seed, program.lines, every, program.largest).run(lib)
    except Exception:
        return program
    for target in reversed(every):
        if values[target].size > 64 or time.monotonic() > end:
            continue
        lines = [
            Line(target, literal(values[target]), True) if line.target == target else line for line in program.lines
        ]
        smaller = Program(program.seed, lines, program.outputs, program.largest).slice([output])
        if len(smaller.lines) <= len(program.lines) and fails(failing, smaller):
            program = smaller
    for line in program.lines:
        if line.body and time.monotonic() < end:
            program = shrink_body(program, line, failing)
    return program


def kind_of(what):
    """An error by its name, or that values differ: a smaller program must fail in the same way."""
    name = what.partition(":")[0]
    return name if name.endswith("Error") else "values"


def alike(failing, kind):
    return lambda program: {name: what for name, what in failing(program).items() if kind_of(what) == kind}


def fails(failing, program):
    try:
        return failing(program)
    except Exception:
        return False


def shrink_body(program, function, failing):
    """An earlier result for the function, and none of the lines it does not need."""
    best = function
    for result in [line.target for line in function.body if line.dtype == function.dtype]:
        body = Program(0, function.body, []).slice([result]).lines
        smaller = Line(function.target, result, False, function.parameters, body, function.dtype)
        candidate = replaced(program, function, smaller)
        if fails(failing, candidate):
            best = smaller
            break
    program = replaced(program, function, best)
    # Lines of the body that a parameter can stand for.
    for line in list(best.body):
        for name in best.parameters:
            body = [Line(x.target, name, dtype=x.dtype) if x is line else x for x in best.body]
            if line.expression == name:
                continue
            smaller = Line(best.target, best.expression, False, best.parameters, body, best.dtype)
            candidate = replaced(program, best, smaller)
            if fails(failing, candidate):
                program, best = candidate, smaller
                break
    return program


def replaced(program, old, new):
    lines = [new if line is old else line for line in program.lines]
    return Program(program.seed, lines, program.outputs, program.largest).slice(program.outputs)


def report(program, output, what, failing):
    """The cut-down program as text, and the fault of MLX that explains it, or None."""
    small = shrink(program, output, failing)
    text = small.text()
    with contextlib.suppress(Exception):
        what = failing(small).get(output, what)
    fault = None
    if failing is against_peer:
        fault = fault_of(small, lambda ask: not against_peer(small, ask))
        if fault is None and overflows(small) and not against_peer(widened(small)):
            fault = "half types overflow between the steps of a derivative, which the libraries order differently"
    return f"# seed {program.seed}, output {output}: {what}\n{text}{RUN_BOTH}", fault


def overflows(program):
    """A half type is infinite or NaN here and not there."""
    got, want = program.run(mx), ask_peer(program.text())
    return any(
        dtype_of(x) in ("float16", "bfloat16")
        and not np.array_equal(np.isfinite(as_numpy(x)), np.isfinite(as_numpy(y)))
        for x, y in zip(got.values(), want.values(), strict=True)
    )


def widened(program):
    """The same in float32."""

    def wide(line):
        text = re.sub(r"m\.b?float16", "m.float32", line.expression)
        return replace(line, expression=text, body=line.body and [wide(x) for x in line.body])

    return replace(program, lines=[wide(line) for line in program.lines])


RUN_BOTH = """

if __name__ == '__main__':
    import mlx.core as mlx

    import treadle.core as mx

    print(program(mx), program(mlx))
"""


def check(seed):
    """What is wrong with the program of a seed; the text and the bits of its exact outputs."""
    program = make(seed)
    excused = []
    for failing in (against_peer, line_by_line):
        for output, what in failing(program).items():
            text, fault = report(program, output, what, failing)
            if fault is None:
                return {"reports": [text], "excused": excused}
            excused.append(fault)
    exact = program.slice(sorted(program.exact())).text()
    return {"reports": [], "excused": excused, "exact": exact, "bits": bits_of_text(exact)}
