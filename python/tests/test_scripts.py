"""Training scripts as MLX users write them run unchanged on Treadle, and print what they print on MLX."""

import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent / "scripts"
# MLX's own compiler calls g++ for every kernel; without it the scripts take a second.
ENVIRONMENT = os.environ | {"MLX_DISABLE_COMPILE": "1"}


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def printed(process):
    """The words that a script prints, numbers as numbers."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    words = [re.sub("[(),]", "", w) for w in out.split()]
    return [float(w) if re.fullmatch(r"-?\d+\.\d+", w) else w for w in words]


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.py")))
def test_a_script_prints_what_it_prints_on_mlx(name):
    path = FOLDER / f"{name}.py"
    ours, theirs = map(printed, (start("-m", "treadle.mlx", path), start(path)))
    assert len(ours) == len(theirs) > 20
    for a, b in zip(ours, theirs, strict=True):
        assert math.isclose(a, b, rel_tol=3e-5, abs_tol=3e-5) if isinstance(b, float) else a == b
    # What the programs are about.
    losses = [ours[i + 1] for i, word in enumerate(ours) if word == "loss"]
    assert losses[-1] < losses[0]
