"""The bits of outputs that no kernel may choose; asked with plans and with TREADLE_PLAN=off."""

from compare import bits
from programs import run_text

import treadle.core as mx


def bits_of_text(text):
    try:
        out = run_text(text, mx)
    except Exception as error:  # also reported against MLX
        return {"error": repr(error)}
    return {name: bits(x) for name, x in out.items()}
