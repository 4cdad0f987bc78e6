"""Sizes of the GPU workloads, and the clock."""

import statistics
import time

import numpy as np

GPT = dict(L=12, D=768, H=12, T=1024, V=50304, B=16)
LLM = dict(L=16, D=2048, F=8192, H=32, KV=8, V=128256, CTX=512)
LSTM = dict(V=1000, D=512, T=128, B=64)
rng = np.random.default_rng(0)


def timed(step, sync, n, warm=5):
    t = time.perf_counter()
    step()
    sync()
    first = time.perf_counter() - t
    for _ in range(warm):
        step()
    sync()
    ts = []
    for _ in range(n):
        t = time.perf_counter()
        step()
        sync()
        ts.append(time.perf_counter() - t)
    return dict(median=statistics.median(ts), best=min(ts), first=first)


def gpt_flops():
    g = GPT
    n = 12 * g["L"] * g["D"] ** 2 + g["V"] * g["D"]
    return 6 * n * g["B"] * g["T"] + 12 * g["L"] * g["D"] * g["T"] ** 2 * g["B"] / 2  # causal attention
