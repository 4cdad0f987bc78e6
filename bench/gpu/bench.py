"""GPU workloads, the same mathematics in each peer: one process measures one peer on one workload.

  python bench.py PEER WORKLOAD [--steps N]

PEER: ours (the package named in BENCH_OURS, default treadle, through the same code as MLX), mlx, torch, torch_compile,
jax. WORKLOAD: gpt2_bf16, lstm, mlp, llm_bf16, llm_q4, op_matmul8k, op_chain, op_softmax, op_rms, op_sdpa,
op_sdpa_bwd, op_ce, op_conv. Prints one line of JSON: seconds of the median step, the best and the first, the loss, and
figures derived from them.
"""

import argparse
import importlib
import json
import os

from common import GPT, gpt_flops

PEERS = ["ours", "mlx", "torch", "torch_compile", "jax"]

if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("peer", choices=PEERS)
    p.add_argument("workload")
    p.add_argument("--steps", type=int, default=20)
    a = p.parse_args()
    os.environ["MLX_IMPL"] = os.environ.get("BENCH_OURS", "treadle") if a.peer == "ours" else "mlx"
    module = {"ours": "peer_mlx", "torch_compile": "peer_torch"}.get(a.peer, f"peer_{a.peer}")
    run = importlib.import_module(module).run
    r = run(a.workload, a.steps, a.peer == "torch_compile") if module == "peer_torch" else run(a.workload, a.steps)
    if a.workload == "gpt2_bf16":
        r["tokens_per_s"] = GPT["B"] * GPT["T"] / r["median"]
        r["mfu_of_790T"] = gpt_flops() / r["median"] / 790e12
    figures = {k: float(f"{v:.5g}") for k, v in r.items()}
    print(json.dumps(dict(peer=a.peer, workload=a.workload, **figures)), flush=True)
