"""All cases of a table in one peer: python survey_worker.py TABLE PEER, driven by survey.py.

Answers every line of standard input with a line of JSON: `load CASE` builds a case and runs it (its first step, what
peers are compared by, and for Treadle the memory that it takes), a number measures it for so many seconds.
"""

import contextlib
import json
import os
import sys

import table
from worker import measure, peak_rss_mb, timed


def resident_peak():
    """Peak of the resident memory in bytes since the last reset."""
    with open("/proc/self/status") as f:
        return 1024 * next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def memory(lib, step, inputs):
    """What a call takes beside its inputs, as the allocator and as the kernel see it; bytes of inputs and results."""
    mx = lib.m.core
    mx.clear_cache()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    resident = resident_peak()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    out = step()
    taken = dict(allocated=mx.get_peak_memory() - before, resident=resident_peak() - resident)
    return dict(taken, inputs=inputs, outputs=lib.bytes(out))


def load(lib, case):
    step, value, inputs = table.build(lib, case)
    first, out = timed(step)
    check = value(out)
    out = None
    ready = dict(first=first, check=check, rss_mb=peak_rss_mb())
    if os.environ["MLX_IMPL"] != "mlx" and isinstance(lib, table.Mlx):
        with contextlib.suppress(OSError, AttributeError):
            ready["memory"] = memory(lib, step, inputs)
    return step, ready


def main():
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lib = table.library(sys.argv[2])
    cases = {case.name: case for case in table.cases(sys.argv[1])}
    print(json.dumps({}), file=report)
    step = None
    for line in sys.stdin:
        verb, _, name = line.strip().partition(" ")
        if verb == "load":
            step = None  # frees what the last case held
            try:
                step, answer = load(lib, cases[name])
            except Exception as error:  # a peer may lack a function in many ways
                answer = dict(error=f"{type(error).__name__}: {error}"[:200])
        else:
            median, least, n = measure(step, float(verb), long=0.05)
            answer = dict(median=median, min=least, n=n, rss_mb=peak_rss_mb())
        print(json.dumps(answer), file=report)


if __name__ == "__main__":
    main()
