"""One program judged, and cut down when it fails."""

import contextlib

import mlx.core as mlx
import numpy as np
from compare import bits, differences, dtype_of, fault_of_mlx
from programs import Line, Program, make
from reference import exact_bits

import treadle.core as mx


def against_mlx(program):
    """{output: what is wrong}; an error of Treadle counts for all outputs."""
    want = program.run(mlx)
    try:
        got = program.run(mx)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        if len(program.outputs) == 1:
            return {program.outputs[0]: what}
        parts = [against_mlx(program.slice([name])) for name in program.outputs]
        return {name: text for part in parts for name, text in part.items()} or dict.fromkeys(program.outputs, what)
    return differences(program, got, want)


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
    values = np.array(x.astype(mlx.float32) if dtype_of(x) in ("bfloat16", "float16") else x).tolist()
    text = repr(values).replace("nan", "m.nan").replace("inf", "m.inf")
    dtype = dtype_of(x)
    shape = "" if x.size else f".reshape({tuple(x.shape)})"
    return f"m.array({text}, m.{'bool_' if dtype == 'bool' else dtype}){shape}"


def shrink(program, output, failing):
    """The fewest lines that still fail, with small inputs written out."""
    whole, program = program, program.slice([output])
    if not failing(program):
        return whole
    every = [line.target for line in program.lines if line.body is None and line.target != output]
    try:
        values = Program(program.seed, program.lines, every, program.largest).run(mlx)
    except Exception:
        return program
    for target in reversed(every):
        if values[target].size > 64:
            continue
        lines = [
            Line(target, literal(values[target]), True) if line.target == target else line for line in program.lines
        ]
        smaller = Program(program.seed, lines, program.outputs, program.largest).slice([output])
        if len(smaller.lines) <= len(program.lines) and fails(failing, smaller):
            program = smaller
    for line in program.lines:
        if line.body:
            program = shrink_body(program, line, failing)
    return program


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
    """The cut-down program as text; nothing when it is MLX that is wrong."""
    small = shrink(program, output, failing)
    text = small.text()
    if fault_of_mlx(text.split("def program")[1]):
        return []
    with contextlib.suppress(Exception):
        what = failing(small).get(output, what)
    return [f"# seed {program.seed}, output {output}: {what}\n{text}{RUN_BOTH}"]


RUN_BOTH = """

if __name__ == '__main__':
    import mlx.core as mlx

    import treadle.core as mx

    print(program(mx), program(mlx))
"""


def check(seed):
    """Reports of what is wrong with the program of a seed, one of each kind, and the bits of its exact outputs."""
    program = make(seed)
    for failing in (against_mlx, line_by_line):
        for output, what in failing(program).items():
            return report(program, output, what, failing), {}
    return [], exact_bits(program)


def compare_bits(seed, planned, reference):
    """A report when the planned bits are not those of TREADLE_PLAN=off."""
    for output, value in planned.items():
        if value != reference.get(output):
            text = make(seed).slice([output]).text()
            return [f"# seed {seed}, output {output}: other bits than with TREADLE_PLAN=off\n{text}"]
    return []
