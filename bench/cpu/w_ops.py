"""Single operations: their data, the work they do, and how their results are compared.

ops_mlx.py, ops_torch.py and ops_jax.py hold the operations as each library writes them. WORK gives flops or bytes per
call: bytes count each input read once and each output written once (the ideal traffic).
"""

import importlib

import numpy as np
from common import rng

M16 = 16 * 1024 * 1024
E, N8 = 4 * M16, 4 * 8192 * 1024
attn = 4 * 4 * 8 * 1024 * 1024 * 64 / 2  # causal flops, forward
conv = 2 * 16 * 56 * 56 * 64 * 64 * 9
WORK = {  # op: (amount, unit)
    "matmul_f32_256": (2 * 256**3, "flop"),
    "matmul_f32_512": (2 * 512**3, "flop"),
    "matmul_f32_1024": (2 * 1024**3, "flop"),
    "matmul_f32_2048": (2 * 2048**3, "flop"),
    "matmul_bf16_256": (2 * 256**3, "flop"),
    "matmul_bf16_512": (2 * 512**3, "flop"),
    "matmul_bf16_1024": (2 * 1024**3, "flop"),
    "matmul_bf16_2048": (2 * 2048**3, "flop"),
    "bmm_64x128x64x128": (2 * 64 * 128 * 128 * 64, "flop"),
    "chain8_16M": (3 * E, "B"),
    "softmax_4096": (2 * E, "B"),
    "layer_norm": (2 * N8, "B"),
    "layer_norm_bwd": (4 * N8, "B"),
    "rms_norm": (2 * N8, "B"),
    "rms_norm_bwd": (4 * N8, "B"),
    "sdpa": (attn, "flop"),
    "sdpa_bwd": (3.5 * attn, "flop"),
    "conv3x3": (conv, "flop"),
    "conv3x3_bwd": (3 * conv, "flop"),
    "embedding": (2 * 8192 * 2048, "B"),
    "embedding_bwd": (50000 * 2048 + 2 * 8192 * 2048, "B"),
    "cross_entropy_bwd": (3 * 2048 * 32000 * 4, "B"),
    "sum_16M": (E, "B"),
    "argmax_16M": (E, "B"),
    "sort_16M": (2 * E, "B"),
    "cumsum_16M": (2 * E, "B"),
    "transpose_16M": (2 * E, "B"),
    "adamw_20M": (7 * 80e6, "B"),
    "clip_norm_20M": (3 * 80e6, "B"),
    "tiny_add": (1, "op"),
}
COMPILED = [
    "chain8_16M",
    "softmax_4096",
    "layer_norm",
    "layer_norm_bwd",
    "rms_norm",
    "rms_norm_bwd",
    "embedding_bwd",
    "cross_entropy_bwd",
    "sum_16M",
    "cumsum_16M",
    "adamw_20M",
    "clip_norm_20M",
]


def data(name):
    r = rng(1)
    f = lambda *s: r.standard_normal(s, dtype=np.float32)
    if name.startswith("matmul"):
        n = int(name.split("_")[-1])
        return [f(n, n), f(n, n)]
    if name.startswith("bmm"):
        return [f(64, 128, 64), f(64, 64, 128)]
    if name == "chain8_16M":
        return [f(M16), f(M16)]
    if name == "softmax_4096" or name == "transpose_16M":
        return [f(4096, 4096)]
    if "norm" in name and name[0] in "lr":
        return [f(8192, 1024), f(1024), f(1024), f(8192, 1024)]
    if name.startswith("sdpa"):
        return [f(4, 8, 1024, 64) for _ in range(4)]
    if name.startswith("conv"):
        return [f(16, 56, 56, 64), f(64, 3, 3, 64), f(16, 56, 56, 64)]
    if name.startswith("embedding"):
        return [f(50000, 512), r.integers(0, 50000, 8192).astype(np.int32), f(8192, 512)]
    if name.startswith("cross"):
        return [f(2048, 32000), r.integers(0, 32000, 2048).astype(np.int32)]
    if name.startswith("adamw"):
        return [[f(500_000) for _ in range(40)] for _ in range(2)]
    if name.startswith("clip"):
        return [[f(200_000) for _ in range(100)]]
    if name == "tiny_add":
        return [f(4), f(4)]
    return [f(M16)]


def calls(name):
    """How many calls of the operation one step makes."""
    return 10000 if name == "tiny_add" else 1


def sample(leaves):
    """64 values of every result, evenly spaced: what peers are compared by."""
    flat = [a.reshape(-1) for a in leaves]
    return [a[np.linspace(0, a.size - 1, min(64, a.size)).astype(np.int64)].tolist() for a in flat]


def build(peer, name):
    """(step, value): step runs the operation, value(step()) is the sample that peers are compared by."""
    if (peer.endswith("compiled") or peer == "torch_compile") and name not in COMPILED:
        raise SystemExit("nothing to compile")
    module = {"m": "ops_mlx", "t": "ops_torch", "j": "ops_jax"}[peer[0]]
    step, flat = importlib.import_module(module).build(peer, name, data(name))
    return step, lambda out: sample(flat(out))
