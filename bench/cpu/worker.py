"""One workload of one peer in a process of its own: python worker.py WORKLOAD PEER.

Prints one line of JSON when it is ready (time of the first step, memory, the value that peers are compared by), then
reads numbers of seconds from standard input and answers each with a line: the median step within about that time.
bench.py keeps one worker per peer and asks them in turn, so that a change of the machine meets all peers alike.
"""

import importlib
import json
import os
import resource
import sys
import time

import common
import w_ops

CHECK = 3  # the result of this step is compared between peers
MODELS = {
    "mlp": "w_mlp",
    "mlp_autocast": "w_mlp",
    "tinymlp": "w_mlp",
    "gpt": "w_gpt",
    "gpt_bf16": "w_gpt",
    "gpt_autocast": "w_gpt",
    "resnet": "w_resnet",
    "lstm": "w_lstm",
    "llm_f32": "w_llm",
    "llm_bf16": "w_llm",
    "llm_q4": "w_llm",
    "llm_q4_f32": "w_llm",
}


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(step):
    t = time.perf_counter()
    out = step()
    return time.perf_counter() - t, out


def measure(step, seconds, long=2):
    """Median, least and number of steps within about so many seconds: at least three, or one that takes `long`."""
    warm, _ = timed(step)  # what other processes left in the caches is not measured
    times, end = [], time.perf_counter() + seconds
    while len(times) < (1 if warm > long else 3) or (time.perf_counter() < end and len(times) < 100_000):
        times.append(timed(step)[0])
    times.sort()
    return times[len(times) // 2], times[0], len(times)


def main():
    # Libraries may print; the driver reads only what goes to `report`.
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    workload, peer = sys.argv[1:3]
    {"m": common.load_mlx, "t": common.load_torch, "j": common.load_jax, "l": lambda: None}[peer[0]]()
    import_rss = peak_rss_mb()
    if peer == "llamacpp":
        if not workload.startswith("llm_"):
            raise SystemExit("llama.cpp runs language models only")
        step, value = importlib.import_module("llamacpp").build(workload)
        calls = 1
    elif workload in MODELS:
        step, value = importlib.import_module(MODELS[workload]).build(peer, workload)
        calls = 1
    else:
        step, value = w_ops.build(peer, workload)
        calls = w_ops.calls(workload)
    first, out = timed(step)
    for _ in range(CHECK - 1):
        out = step()
    check = value(out)
    out = None  # a result that stays alive would hold its memory while the next is made
    ready = dict(first=first, check=check if isinstance(check, list) else [[check]])
    print(json.dumps(dict(ready, rss_mb=peak_rss_mb(), rss_import_mb=import_rss)), file=report)
    for line in sys.stdin:
        median, least, n = measure(step, float(line))
        print(json.dumps(dict(median=median / calls, min=least / calls, n=n, rss_mb=peak_rss_mb())), file=report)


if __name__ == "__main__":
    main()
