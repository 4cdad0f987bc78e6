"""What C++ computes for the rows of a parity table, bit by bit (tests/support/parity.h)."""

import os
import subprocess
from pathlib import Path

import built
import numpy as np

import treadle.core as mx

ROOT = Path(__file__).resolve().parents[2]


def bits_of(value):
    """An array's numbers as float32, as in the files that C++ writes."""
    return np.array(value.astype(mx.float32)).ravel().view(np.uint32)


def cpp_bits(program, folder):
    """A function from the name of a row to its arrays in C++, by name, or to None in a build without the C++ tests."""
    path = built.program("tests", program)
    if path is None:
        return lambda row: None
    run = [str(path), "--gtest_filter=Table/*Parity.*", "--gtest_brief=1"]
    subprocess.run(run, env=os.environ | {"PARITY_OUT": str(folder)}, cwd=ROOT, check=True, timeout=300)

    def arrays(row):
        lines = (line.split(":") for line in (folder / str(row)).read_text().splitlines())
        return {name: np.array(values.split(), np.uint32) for name, values in lines}

    return arrays
