"""The C++ programs beside the package that is tested."""

import os
import re
from pathlib import Path

import pytest

import treadle

BUILD = Path(treadle.__file__).parents[2]


def program(folder, name):
    """The path of a program of the build's ``tests`` or ``examples``; None where the build is made without them.

    One that is missing or older than the library fails the test: left out, it would hide what it finds.
    """
    cache = BUILD / "CMakeCache.txt"
    option = rf"^TREADLE_{folder.upper()}:BOOL=(ON|1|TRUE|YES|Y)$"
    if not cache.exists() or not re.search(option, cache.read_text(), re.MULTILINE | re.IGNORECASE):
        return None
    path, library = BUILD / folder / name, BUILD / "lib" / "libtreadle.so"
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not built; run ./dev build")
    if library.exists() and path.stat().st_mtime < library.stat().st_mtime:
        pytest.fail(f"{path} is older than {library}; run ./dev build")
    return path
