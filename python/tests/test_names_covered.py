"""Every function of treadle.core that MLX has too is named in a test against MLX."""

import re
from pathlib import Path

import mlx.core as mlx
import pytest

import treadle.core as mx

TESTS = Path(__file__).parent
JUDGE = TESTS.parents[1] / "tools" / "judge" / "ops.py"

# What cannot be compared with MLX: it changes the process or asks about the machine.
ABOUT_THE_PROCESS = """
    clear_cache clear_streams default_device default_stream device_count device_info disable_compile enable_compile
    get_active_memory get_cache_memory get_memory_limit get_peak_memory is_available new_stream
    new_thread_local_stream reset_peak_memory set_cache_limit set_default_device set_default_stream set_memory_limit
    new_thread_unsafe_stream precompiled_cuda_kernel set_wired_limit synchronize
"""


def functions(module):
    for name in dir(module):
        value = getattr(module, name)
        if not name.startswith("_") and callable(value) and not isinstance(value, type):
            yield name


def named_against_mlx():
    """The names after a dot, and those in lists of names, of all tests that ask MLX."""
    names = set()
    for file in [*sorted(TESTS.glob("test_*.py")), JUDGE]:
        text = file.read_text()
        if file.name == Path(__file__).name or not re.search(r"oracle|mlx|TEMPLATES", text):
            continue
        for line in text.splitlines():
            code = line.split("#")[0]
            names.update(re.findall(r"\.(\w+)", code))
            if re.fullmatch(r"[\w\s\"',(]*", code):
                names.update(re.findall(r"\w+", code))
            names.update(word for quoted in re.findall(r"\"([\w ]+)\"", code) for word in quoted.split())
    return names


@pytest.mark.parametrize("part", ["", "random", "fast", "linalg", "fft"])
def test_every_function_has_a_test_against_mlx(part):
    ours = getattr(mx, part) if part else mx
    theirs = getattr(mlx, part) if part else mlx
    known = named_against_mlx() | set(ABOUT_THE_PROCESS.split())
    shared = [name for name in functions(ours) if hasattr(theirs, name)]
    missing = [name for name in shared if name not in known]
    assert not missing, f"no test compares these with MLX: {' '.join(missing)}"


def test_the_names_are_found():
    assert len(list(functions(mx))) > 200
    assert "softmax" in named_against_mlx()
    assert "no_such_function" not in named_against_mlx()
