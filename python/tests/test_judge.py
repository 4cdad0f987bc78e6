"""300 random programs give the same on MLX and on Treadle, planned and node by node (tools/judge)."""

import subprocess
import sys
import tempfile
from pathlib import Path

JUDGE = Path(__file__).resolve().parents[2] / "tools" / "judge"


def test_random_programs_agree_with_mlx():
    run = subprocess.run([sys.executable, str(JUDGE), "--seeds", "0:300"], capture_output=True, text=True)
    assert run.returncode == 0, f"{run.stdout[:4000]}\n{run.stderr[-2000:]}"


def test_the_judge_sees_a_wrong_result():
    """A judge that finds nothing must be able to find something."""
    code = f"""
import os, sys
os.environ["TREADLE_STRICT_HALF"] = "1"
sys.path.insert(0, {str(JUDGE)!r})
import run, treadle.core as mx
from programs import Line, Program
right = mx.sin
mx.sin = lambda x: right(x) * 1.0001
lines = [Line("v1", "draw(m, 1, (3, 4))", True), Line("v2", "v1 + 1", True), Line("v3", "m.sin(v2)")]
program = Program(0, lines, ["v3"])
wrong = run.against_peer(program)
assert list(wrong) == ["v3"], wrong
small = run.shrink(program, "v3", run.against_peer)
assert [line.target for line in small.lines] == ["v2", "v3"], small.text()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]


def test_a_worker_that_does_not_answer_is_ended():
    code = f"""
import sys
sys.path.insert(0, {str(JUDGE)!r})
from pool import Worker
if __name__ == "__main__":
    sleeper, leaver, raiser = Worker(("time", "sleep")), Worker(("os", "_exit")), Worker(("json", "loads"))
    assert sleeper.ask(100, 3) == (None, "mlx: no end within 3 s")
    assert sleeper.ask(0, 60) == (None, "")
    assert leaver.ask(3, 60) == (None, "mlx: the process ended with 3")
    answer, trouble = raiser.ask("[", 60)
    assert answer is None and trouble.startswith("the judge: ") and "JSONDecodeError" in trouble
    assert raiser.ask("[1]", 60) == ([1], "")
    for worker in (sleeper, leaver, raiser):
        worker.end()
"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ask.py"
        file.write_text(code)
        run = subprocess.run([sys.executable, str(file)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
