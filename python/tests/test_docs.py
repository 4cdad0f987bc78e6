"""The Python programs of README.md and docs/ run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def programs():
    """Each block of the README by itself; the blocks of another page one after the other."""
    for page in PAGES:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
        if page.stem != "README" and blocks:
            blocks = ["\n".join(blocks)]
        for i, code in enumerate(blocks):
            yield pytest.param(code, id=f"{page.stem}-{i}")


@pytest.mark.parametrize("code", list(programs()))
def test_program(code, capsys):
    exec(compile(code, "program", "exec"), {"__name__": "program"})


def test_the_first_program_learns(capsys):
    first = next(programs()).values[0]
    exec(compile(first, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) < 1e-2
