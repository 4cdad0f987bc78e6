"""Which C++ programs tests run: a missing or old one fails them."""

import os

import built
import pytest


def test_a_missing_or_old_program_fails_and_a_build_without_any_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(built, "BUILD", tmp_path)
    assert built.program("tests", "some_test") is None  # no build folder
    cache = tmp_path / "CMakeCache.txt"
    cache.write_text("TREADLE_TESTS:BOOL=OFF\nTREADLE_EXAMPLES:BOOL=ON\n")
    assert built.program("tests", "some_test") is None
    cache.write_text("TREADLE_TESTS:BOOL=ON\n")
    with pytest.raises(pytest.fail.Exception, match="is not built"):
        built.program("tests", "some_test")
    for place in ("tests/some_test", "lib/libtreadle.so"):
        file = tmp_path / place
        file.parent.mkdir()
        file.touch(0o755)
    program, library = tmp_path / "tests" / "some_test", tmp_path / "lib" / "libtreadle.so"
    os.utime(library, (100, 100))
    assert built.program("tests", "some_test") == program
    os.utime(program, (99, 99))
    with pytest.raises(pytest.fail.Exception, match=r"older than .*libtreadle\.so; run"):
        built.program("tests", "some_test")
