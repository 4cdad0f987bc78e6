"""One probe of overhead.py in a fresh process: python overhead_probe.py PROBE LIBRARY STEPS. Prints one line of JSON.

NumPy is not imported: it would hide what a library's own import costs.
"""

import json
import os
import random
import resource
import sys
import time
from importlib import import_module

now = time.perf_counter


def rss_mb():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 2**20


def best(f, n, repeats=30):
    """Nanoseconds of one of the n operations that f does, the least of `repeats` calls."""
    f()
    times = []
    for _ in range(repeats):
        t = now()
        f()
        times.append(now() - t)
    return min(times) / n * 1e9


def load(impl):
    """(core, nn, optimizers); for torch (torch, None, None)."""
    if impl == "torch":
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
        return torch, None, None
    core, nn, optim = (import_module(f"{impl}.{m}") for m in ("core", "nn", "optimizers"))
    core.set_default_device(core.cpu)
    return core, nn, optim


def start(impl, _):
    t = now()
    import_module("torch" if impl == "torch" else f"{impl}.core")
    core_mb = rss_mb()
    core, _, _ = load(impl)
    import_ms = (now() - t) * 1e3
    t = now()
    total = (core.ones((4,)) + core.ones((4,))).sum().item()
    assert total == 8
    return dict(
        import_ms=import_ms,
        import_mb=core_mb,
        first_result_ms=(now() - t) * 1e3,
        first_result_mb=rss_mb(),
    )


def eager(impl, _):
    mx, _, _ = load(impl)
    x, y, a = mx.ones((4,)), mx.ones((4,)), mx.ones((4, 4)) * 0.25
    lazy = impl != "torch"
    evaluate = mx.eval if lazy else lambda *_: None
    evaluate(x, y, a)

    def chain(n):
        z = x
        for _ in range(n):
            z = z + y
        return z

    def products(n):
        z = a
        for _ in range(n):
            z = z @ a
        return z

    def ops():
        for _ in range(1000):
            evaluate(x + y)

    def items():
        for _ in range(1000):
            (x[0] + 1).item()

    def evaluated(build, n):
        return lambda: evaluate(build(n))

    out = dict(
        op_ns=best(ops, 1000),
        chain_ns=best(evaluated(chain, 1000), 1000),
        matmul_ns=best(evaluated(products, 100), 100),
        item_ns=best(items, 1000),
    )
    if lazy:

        def record(build, n):  # the graph is dropped outside the timing
            times = []
            for _ in range(30):
                t = now()
                z = build(n)
                times.append(now() - t)
                del z
            return min(times) / n * 1e9

        def run():
            nodes = [x + y for _ in range(1000)]
            t = now()
            for z in nodes:
                evaluate(z)
            return (now() - t) / 1000 * 1e9

        out.update(record_ns=record(chain, 1000), record_matmul_ns=record(products, 1000))
        out.update(run_ns=min(run() for _ in range(30)))
    return out


def plan(impl, _):
    """A graph like a program's: products, sums, reductions and activations in a random but fixed order."""
    if impl == "torch":
        return {}
    mx, _, _ = load(impl)
    w, b = mx.ones((8, 8)) * 0.1, mx.ones((8,)) * 0.1
    mx.eval(w, b)

    def build(seed):
        rng = random.Random(seed)
        live, count, kept = [w + b, w * b], 2, []
        while count < 10_000:
            z = rng.choice(live[-4:])
            kind = rng.randrange(8)
            if kind == 0:
                z, count = z @ w, count + 1
            elif kind == 1:
                z, count = mx.tanh(z), count + 1
            elif kind == 2:
                z, count = z - z.mean(axis=-1, keepdims=True), count + 2
            elif kind == 3:
                z, count = z.reshape(4, 16).reshape(8, 8), count + 2
            elif kind == 4:
                z, count = mx.maximum(z, b), count + 1
            elif kind == 5:
                z, count = z.transpose(), count + 1
            else:
                z, count = z * 0.5 + rng.choice(live[-4:]), count + 2
            live.append(z)
            if count % 500 < 2:
                kept.append(z)
        return [*kept, live[-1]], count

    recorded, cold, warm = [], [], []
    for seed in range(3):  # each seed is a structure that was never planned before
        for times in (cold, warm):
            t = now()
            outputs, count = build(seed)
            recorded.append((now() - t) / count)
            t = now()
            mx.eval(outputs)
            times.append(now() - t)
    cold, warm = sorted(cold), sorted(warm)
    return dict(plan_10k_ms=(cold[1] - warm[1]) * 1e3, run_10k_ms=warm[1] * 1e3, record_10k_ns=min(recorded) * 1e9)


def tinymlp(impl, compiled):
    """A training step of 2-32-32-2 with SGD on 32 points."""
    mx, nn, optim = load(impl)
    rng = random.Random(0)
    points = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(32)]
    labels = [int(x * y > 0) for x, y in points]
    if impl == "torch":
        model = mx.nn.Sequential(
            mx.nn.Linear(2, 32), mx.nn.GELU(), mx.nn.Linear(32, 32), mx.nn.GELU(), mx.nn.Linear(32, 2)
        )
        opt = mx.optim.SGD(model.parameters(), 0.1)
        x, y = mx.tensor(points), mx.tensor(labels)

        def step():
            opt.zero_grad(set_to_none=True)
            loss = mx.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            opt.step()

        return step
    model = nn.Sequential(nn.Linear(2, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 2))
    opt = optim.SGD(0.1)
    opt.init(model.trainable_parameters())
    x, y = mx.array(points), mx.array(labels)
    mx.eval(x, y, model.state, opt.state)
    grad = nn.value_and_grad(model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean"))
    state = [model.state, opt.state]

    def body(x, y):
        loss, grads = grad(x, y)
        opt.update(model, grads)
        return loss

    fn = mx.compile(body, inputs=state, outputs=state) if compiled else body

    def step():
        mx.eval(fn(x, y), state)

    return step


def growth(step, n):
    """(seconds of a step, KB of memory gained between the first tenth and the end)."""
    for _ in range(n // 10):
        step()
    before, t = rss_mb(), now()
    for _ in range(n - n // 10):
        step()
    return (now() - t) / (n - n // 10), max(0.0, rss_mb() - before) * 1024


def steps(impl, n):
    out = {}
    for name in ("eager",) if impl == "torch" else ("compiled", "eager"):
        seconds, kb = growth(tinymlp(impl, name == "compiled"), n)
        out.update({f"step_{name}_us": seconds * 1e6, f"growth_{name}_kb": kb})
    return out


def lengths(impl, n):
    """What a cache keyed on sizes would not survive."""
    mx, _, _ = load(impl)
    count = max(n // 10, 10)
    x = mx.ones((count,))
    length = iter(range(1, count + 1))

    def step():
        z = x[: next(length)] * 2 + 1
        if impl != "torch":
            mx.eval(z)

    # a buffer of the largest length is in the allocator before the count begins
    z = x[:count] * 2 + 1
    if impl != "torch":
        mx.eval(z)
    seconds, kb = growth(step, count)
    return dict(length_us=seconds * 1e6, growth_lengths_kb=kb)


if __name__ == "__main__":
    probe, impl, n = sys.argv[1:4]
    print(json.dumps({f.__name__: f for f in (start, eager, plan, steps, lengths)}[probe](impl, int(n))))
