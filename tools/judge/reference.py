"""Writes the bits of the exact outputs of seeds first..after to a file; run with TREADLE_PLAN=off."""

import pickle
import sys

from compare import bits
from programs import make

import treadle.core as mx


def exact_bits(program):
    program = program.slice(sorted(program.exact()))
    try:
        out = program.run(mx)
    except Exception as error:  # reported by the run with plans
        return {"error": repr(error)}
    return {name: bits(x) for name, x in out.items()}


if __name__ == "__main__":
    first, after, file = sys.argv[1:]
    found = {seed: exact_bits(make(seed)) for seed in range(int(first), int(after))}
    with open(file, "wb") as f:
        pickle.dump(found, f)
