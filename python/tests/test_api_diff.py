"""No name of MLX is missing without being known to be, and no signature differs without a reason."""

import os
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "api_diff"
sys.path.insert(0, str(TOOL))

from signatures import KEYWORD, REQUIRED, Parameter, from_object, refusals  # noqa: E402


def test_treadle_has_what_mlx_has():
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, env=os.environ, check=False)
    summary = done.stdout.strip().splitlines()[-1]
    assert ", 0 differing;" in summary, done.stdout + done.stderr


def of(f):
    return from_object(f).overloads[0]


def test_a_difference_is_a_call_that_would_fail():
    def mlx(a, b=2, *, stream=None): ...

    for ours, problems in (
        (lambda a, b=2, stream=None: 0, []),
        (lambda a, b=2, c=0, *, stream=None, more=1: 0, []),
        (lambda x, b=2, *, stream=None: 0, ["argument 0 is called 'x', not 'a'"]),
        (lambda a, b=3, *, stream=None: 0, ["'b' is 3.0, not 2.0, by default"]),
        (lambda a, *, b=2, stream=None: 0, ["'b' is not positional"]),
        (lambda a, b=2: 0, ["no argument 'stream'"]),
        (lambda a, b, *, stream=None: 0, ["'b' is (required), not 2.0, by default"]),
        (lambda a, b=2, *args, **kwargs: 0, []),
    ):
        assert refusals(of(ours), of(mlx)) == problems
    assert refusals([], [Parameter("x", KEYWORD, REQUIRED)]) == ["no argument 'x'"]
