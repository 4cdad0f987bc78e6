"""The GPU workloads in MLX's API; MLX_IMPL names another package with the same modules."""

import importlib
import os

import numpy as np
from common import GPT, LLM, LSTM, rng, timed


def run(w, steps):
    root = os.environ.get("MLX_IMPL", "mlx")
    mx, nn, optim = (importlib.import_module(f"{root}.{m}") for m in ("core", "nn", "optimizers"))
    from functools import partial

    class Block(nn.Module):
        def __init__(s, D, H):
            super().__init__()
            s.H = H
            s.n1, s.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
            s.qkv, s.o = nn.Linear(D, 3 * D), nn.Linear(D, D)
            s.up, s.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

        def __call__(s, x):
            B, T, D = x.shape
            q, k, v = (a.reshape(B, T, s.H, -1).transpose(0, 2, 1, 3) for a in mx.split(s.qkv(s.n1(x)), 3, axis=-1))
            a = mx.fast.scaled_dot_product_attention(q, k, v, scale=(D // s.H) ** -0.5, mask="causal")
            x = x + s.o(a.transpose(0, 2, 1, 3).reshape(B, T, D))
            return x + s.down(nn.gelu_approx(s.up(s.n2(x))))

    class Lm(nn.Module):
        def __init__(s, g):
            super().__init__()
            s.wte, s.wpe = nn.Embedding(g["V"], g["D"]), nn.Embedding(g["T"], g["D"])
            s.layers = [Block(g["D"], g["H"]) for _ in range(g["L"])]
            s.nf = nn.LayerNorm(g["D"])

        def __call__(s, x):
            h = s.wte(x) + s.wpe(mx.arange(x.shape[1]))
            for l in s.layers:
                h = l(h)
            return s.wte.as_linear(s.nf(h))

    class Rnn(nn.Module):
        def __init__(s, g):
            super().__init__()
            s.e, s.l, s.o = nn.Embedding(g["V"], g["D"]), nn.LSTM(g["D"], g["D"]), nn.Linear(g["D"], g["V"])

        def __call__(s, x):
            return s.o(s.l(s.e(x))[0])

    class Mlp(nn.Module):
        def __init__(s):
            super().__init__()
            s.ls = [nn.Linear(784, 1024), nn.Linear(1024, 1024), nn.Linear(1024, 10)]

        def __call__(s, x):
            return s.ls[2](nn.gelu(s.ls[1](nn.gelu(s.ls[0](x)))))

    def train(model, x, y, opt):
        mx.eval(model.parameters())

        def loss_fn(m, x, y):
            return nn.losses.cross_entropy(m(x), y, reduction="mean")

        st = [model.state, opt.state]

        @partial(mx.compile, inputs=st, outputs=st)
        def step(x, y):
            l, g = nn.value_and_grad(model, loss_fn)(model, x, y)
            opt.update(model, g)
            return l

        box = {}

        def one():
            box["l"] = step(x, y)
            mx.eval(box["l"], st)

        r = timed(one, lambda: mx.synchronize(), steps)
        r["loss"] = box["l"].item()
        return r

    if w == "gpt2_bf16":
        g = GPT
        m = Lm(g)
        m.set_dtype(mx.bfloat16)
        x = mx.array(rng.integers(0, g["V"], (g["B"], g["T"] + 1)))
        return train(m, x[:, :-1], x[:, 1:], optim.AdamW(1e-4))
    if w == "lstm":
        g = LSTM
        x = mx.array(rng.integers(0, g["V"], (g["B"], g["T"])))
        return train(Rnn(g), x, x, optim.Adam(1e-3))
    if w == "mlp":
        return train(
            Mlp(),
            mx.array(rng.standard_normal((256, 784), dtype=np.float32)),
            mx.array(rng.integers(0, 10, 256)),
            optim.AdamW(1e-3),
        )
    if w.startswith("llm"):
        g = LLM

        class LBlock(nn.Module):
            def __init__(s):
                super().__init__()
                D, hd = g["D"], g["D"] // g["H"]
                s.n1, s.n2 = nn.RMSNorm(D), nn.RMSNorm(D)
                s.q, s.k, s.v, s.o = (nn.Linear(D, n, bias=False) for n in (D, g["KV"] * hd, g["KV"] * hd, D))
                s.g, s.u, s.d = (
                    nn.Linear(D, g["F"], bias=False),
                    nn.Linear(D, g["F"], bias=False),
                    nn.Linear(g["F"], D, bias=False),
                )
                s.hd = hd

            def __call__(s, x, K, V):
                h = s.n1(x)
                B = 1
                q = mx.fast.rope(
                    s.q(h).reshape(B, 1, g["H"], s.hd).transpose(0, 2, 1, 3),
                    s.hd,
                    traditional=False,
                    base=5e5,
                    scale=1.0,
                    offset=g["CTX"],
                )
                k = mx.fast.rope(
                    s.k(h).reshape(B, 1, g["KV"], s.hd).transpose(0, 2, 1, 3),
                    s.hd,
                    traditional=False,
                    base=5e5,
                    scale=1.0,
                    offset=g["CTX"],
                )
                v = s.v(h).reshape(B, 1, g["KV"], s.hd).transpose(0, 2, 1, 3)
                K, V = mx.concatenate([K, k], 2), mx.concatenate([V, v], 2)
                a = mx.fast.scaled_dot_product_attention(q, K, V, scale=s.hd**-0.5)
                x = x + s.o(a.transpose(0, 2, 1, 3).reshape(B, 1, -1))
                h = s.n2(x)
                return x + s.d(nn.silu(s.g(h)) * s.u(h))

        class Llm(nn.Module):
            def __init__(s):
                super().__init__()
                s.e = nn.Embedding(g["V"], g["D"])
                s.layers = [LBlock() for _ in range(g["L"])]
                s.n = nn.RMSNorm(g["D"])

            def __call__(s, x, c):
                h = s.e(x)
                for l, (K, V) in zip(s.layers, c):
                    h = l(h, K, V)
                return s.e.as_linear(s.n(h))

        m = Llm()
        m.set_dtype(mx.bfloat16)
        if w == "llm_q4":
            nn.quantize(m, group_size=64, bits=4)
        mx.eval(m.parameters())
        hd = g["D"] // g["H"]
        c = [
            (mx.zeros((1, g["KV"], g["CTX"], hd), mx.bfloat16), mx.zeros((1, g["KV"], g["CTX"], hd), mx.bfloat16))
            for _ in range(g["L"])
        ]
        mx.eval(c)
        f = mx.compile(lambda t: mx.argmax(m(t, c), axis=-1))
        box = {"t": mx.array([[1]])}

        def one():
            box["t"] = f(box["t"])
            mx.eval(box["t"])

        return timed(one, mx.synchronize, steps)
    if w.startswith("op_"):
        d = mx.bfloat16
        n = mx.random.normal
        if w == "op_matmul8k":
            a, b = n((8192, 8192)).astype(d), n((8192, 8192)).astype(d)
            fn = lambda: a @ b
        elif w == "op_chain":
            a = n((64, 1 << 20))
            fc = mx.compile(lambda a: mx.tanh(a * 1.5 + 0.3) * mx.sigmoid(a) + mx.exp(-a * a) * mx.maximum(a, 0))
            fn = lambda: fc(a)
        elif w == "op_softmax":
            a = n((16384, 8192)).astype(d)
            fn = lambda: mx.softmax(a, -1)
        elif w == "op_rms":
            a, b = n((65536, 2048)).astype(d), mx.ones((2048,), d)
            fn = lambda: mx.fast.rms_norm(a, b, 1e-5)
        elif w.startswith("op_sdpa"):
            q, k, v = (n((4, 16, 4096, 128)).astype(d) for _ in range(3))
            f = lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=128**-0.5, mask="causal")
            gf = mx.grad(lambda q, k, v: f(q, k, v).sum(), argnums=(0, 1, 2))
            fn = (lambda: f(q, k, v)) if w == "op_sdpa" else (lambda: gf(q, k, v))
        elif w == "op_ce":
            a, y = n((16384, 50304)).astype(d), mx.random.randint(0, 50304, (16384,))
            gf = mx.compile(mx.value_and_grad(lambda a: nn.losses.cross_entropy(a, y, reduction="mean")))
            fn = lambda: gf(a)
        elif w == "op_conv":
            a, k = n((64, 56, 56, 128)).astype(d), n((128, 3, 3, 128)).astype(d)
            gf = mx.grad(lambda a, k: mx.conv2d(a, k, padding=1).sum(), argnums=(0, 1))
            fn = lambda: gf(a, k)
        return timed(lambda: mx.eval(fn()), mx.synchronize, steps)
    raise SystemExit(w)
