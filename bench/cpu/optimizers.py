"""Every optimizer's step on 20 million parameters, beside what its bytes cost at the bandwidth of a copy.

  bench/run optimizers [NAME ...] [--seconds 1] [--rounds 3] [--dtype float32] [--clip]

Bytes count each array that the rule reads once and each that it writes once: g, w and the state in, w and the state
out; for Adafactor, which has to read g and w twice, that. A copy of 80 MB by two threads, plain or past the caches,
whichever is faster, runs between the steps, in the same process. "of copy" is the time of the bytes at that bandwidth
over the time of the step; below 80 % a reason is due. Muon is arithmetic, so its row compares with the products alone.
"""

import argparse
import ctypes
import os
import time

import numpy as np
from common import load_mlx, rng

SHAPE, COUNT = (500, 1000), 40
SIZE = SHAPE[0] * SHAPE[1]
THREADS = int(os.environ.get("BENCH_THREADS", 2))
# name: (class, options, arrays read and written)
ROWS = {
    "sgd": ("SGD", {"learning_rate": 1e-3}, 3),
    "sgd_decay": ("SGD", {"learning_rate": 1e-3, "weight_decay": 0.01}, 3),
    "momentum": ("SGD", {"learning_rate": 1e-3, "momentum": 0.9}, 5),
    "nesterov": ("SGD", {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}, 5),
    "adam": ("Adam", {"learning_rate": 1e-3}, 7),
    "adam_corrected": ("Adam", {"learning_rate": 1e-3, "bias_correction": True}, 7),
    "adamw": ("AdamW", {"learning_rate": 1e-3, "bias_correction": True}, 7),
    "adamax": ("Adamax", {"learning_rate": 1e-3}, 7),
    "adagrad": ("Adagrad", {"learning_rate": 1e-2}, 5),
    "rmsprop": ("RMSprop", {"learning_rate": 1e-2}, 5),
    "adadelta": ("AdaDelta", {"learning_rate": 1.0}, 7),
    "lion": ("Lion", {"learning_rate": 1e-4, "weight_decay": 0.01}, 5),
    # Its step needs sums over all of g and w first, so it reads both twice.
    "adafactor": ("Adafactor", {}, 5),
    "muon": ("Muon", {"learning_rate": 1e-3}, 5),
}


class Copy:
    """Seconds for a copy of COUNT arrays; each call is the faster of the two ways."""

    def __init__(self, mx):
        self.run = ctypes.CDLL(os.environ["BENCH_COPY"]).copy
        self.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int]
        # Arrays of the library have its alignment and huge pages. (Zeros would take no memory.)
        arrays = [[mx.random.normal((SIZE,)) for _ in range(COUNT)] for _ in range(2)]
        mx.eval(arrays)
        self.views = [[np.asarray(a) for a in half] for half in arrays]
        self.at = [[view.ctypes.data for view in half] for half in self.views]

    def seconds(self):
        def one(past_caches):
            start = time.perf_counter()
            for to, source in zip(*self.at, strict=True):
                self.run(to, source, SIZE, past_caches, THREADS)
            return time.perf_counter() - start

        least = min(one(0), one(1))
        assert np.array_equal(self.views[0][-1][:4096], self.views[1][-1][:4096])
        return least


def trainer(m, name, options, dtype, clip):
    mx, r = m.core, rng(1)
    make = lambda: {f"{i:02}": mx.array(r.standard_normal(SHAPE, dtype=np.float32)).astype(dtype) for i in range(COUNT)}
    box, gradients = [make()], make()
    optimizer = getattr(m.optim, name)(**options)
    optimizer.init(box[0])
    mx.eval(box, gradients, optimizer.state)

    def update(gradients, parameters):
        if clip:
            gradients = m.optim.clip_grad_norm(gradients, 1.0)[0]
        return optimizer.apply_gradients(gradients, parameters)

    update = mx.compile(update, inputs=optimizer.state, outputs=optimizer.state)

    def step():
        box[0] = update(gradients, box[0])
        mx.eval(box[0], optimizer.state)

    return step


def products(m, dtype):
    """The matrix products of Muon's five iterations for all parameters, and nothing else."""
    mx = m.core
    xs = [mx.full(SHAPE, 1.4e-3 + 1e-6 * i, dtype) for i in range(COUNT)]  # the fixed point, nearly
    mx.eval(xs)

    def step():
        out = []
        for y in xs:
            for _ in range(5):
                p = y @ y.T
                y = p @ p @ y
            out.append(y)
        mx.eval(out)

    return step


def measure(step, copy, seconds):
    """The least times of a step and of a copy, taken in turn."""
    step()
    least, copied, end = 1e9, 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        copied = min(copied, copy.seconds())
        for _ in range(2):  # the first finds the caches as the copy left them
            start = time.perf_counter()
            step()
            now = time.perf_counter() - start
        least = min(least, now)
    return least, copied


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ROWS))
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--clip", action="store_true", help="by the norm of all gradients first: one more reading of g")
    options = parser.parse_args()
    m = load_mlx()
    dtype = getattr(m.core, options.dtype)
    copy = Copy(m.core)
    print(f"{'':16}{'MB':>6}{'ms':>9}{'GB/s':>8}{'copy GB/s':>11}{'of copy':>9}")
    for name in options.names:
        kind, arguments, arrays = ROWS[name]
        step = trainer(m, kind, arguments, dtype, options.clip)
        took, copied = zip(*(measure(step, copy, options.seconds) for _ in range(options.rounds)), strict=True)
        moved = (arrays + options.clip) * SIZE * COUNT * dtype.size
        seconds, rate = min(took), 2 * SIZE * COUNT * 4 / min(copied)
        line = f"{name:16}{moved / 1e6:6.0f}{seconds * 1e3:9.2f}{moved / seconds / 1e9:8.1f}{rate / 1e9:11.1f}"
        print(f"{line}{moved / rate / seconds:9.0%}", flush=True)
        if name == "muon":
            bare = measure(products(m, dtype), copy, options.seconds)[0]
            print(f"{'':16}its products alone {bare * 1e3:.0f} ms: {bare / seconds:.0%}")
        del step


main()
