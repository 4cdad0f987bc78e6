"""The examples that need no data train for a few steps, in both languages: their loss falls."""

import re
import subprocess
import sys
from pathlib import Path

import built
import pytest

import treadle.core as mx

ROOT = Path(__file__).resolve().parents[2]
TEXT = str(ROOT / "docs" / "architecture.md")
RUNS = [
    ("lstm", ["--data", TEXT, "--steps", "30", "--length", "32"], 0.75),
    ("vae", ["--steps", "80"], 0.5),
    ("lora", ["--steps", "120"], 0.2),
]


def losses(command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    first, last = re.search(r"^loss (\S+) -> (\S+)$", done.stdout, re.MULTILINE).groups()
    return float(first), float(last)


@pytest.mark.parametrize("name, arguments, part", RUNS, ids=[r[0] for r in RUNS])
def test_the_loss_falls_in_python(name, arguments, part, tmp_path):
    saved = tmp_path / "weights.safetensors"
    first, last = losses(
        [sys.executable, str(ROOT / "examples" / "python" / f"{name}.py"), *arguments, "--save", str(saved)]
    )
    assert last < part * first and saved.stat().st_size > 0


@pytest.mark.parametrize("name, arguments, part", RUNS, ids=[r[0] for r in RUNS])
def test_the_loss_falls_in_cpp_and_the_weights_have_the_same_names(name, arguments, part, tmp_path):
    program = built.program("examples", name)
    if program is None:
        pytest.skip("this is a build without the C++ examples")
    ours, theirs = tmp_path / "python.safetensors", tmp_path / "cpp.safetensors"
    first, last = losses([str(program), *arguments, "--save", str(theirs)])
    assert last < part * first
    script = ROOT / "examples" / "python" / f"{name}.py"
    losses([sys.executable, str(script), *arguments, "--steps", "2", "--save", str(ours)])
    a, b = mx.load(ours), mx.load(theirs)
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}
