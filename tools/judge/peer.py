"""The library that judges: MLX, or with JUDGE_PEER=jax JAX on float64, which MLX computes partly in float32."""

import os

FLOAT64 = os.environ.get("JUDGE_PEER") == "jax"

if FLOAT64:
    import jax_as_mlx as lib  # noqa: F401
else:
    import mlx.core as lib  # noqa: F401

    # MLX would call a C++ compiler for each program; the meaning is the same.
    lib.disable_compile()
