"""The GPU workloads in JAX."""

from common import GPT, LSTM, rng, timed


def run(w, steps):
    import jax
    import jax.numpy as jn

    key = jax.random.key(0)
    R = lambda *s: jax.random.normal(key, s, jn.float32)

    def adamw(p, g, m, v, t, lr=1e-4, wd=0.01):
        def u(p, g, m, v):
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            return (
                (p * (1 - lr * wd) - lr * m / (jn.sqrt(v) + 1e-8)).astype(p.dtype),
                m.astype(p.dtype),
                v.astype(p.dtype),
            )

        leaves, tree = jax.tree.flatten(p)
        out = [u(*z) for z in zip(leaves, *(jax.tree.leaves(t) for t in (g, m, v)))]
        return tuple(tree.unflatten([o[i] for o in out]) for i in range(3))

    def ce(lg, y):
        return (
            jax.nn.logsumexp(lg.astype(jn.float32), -1)
            - jn.take_along_axis(lg, y[..., None], -1)[..., 0].astype(jn.float32)
        ).mean()

    def train(loss, p):
        m = jax.tree.map(jn.zeros_like, p)
        v = jax.tree.map(jn.zeros_like, p)

        @jax.jit
        def step(p, m, v):
            l, g = jax.value_and_grad(loss)(p)
            return l, *adamw(p, g, m, v, 0)

        step = jax.jit(step.__wrapped__, donate_argnums=(0, 1, 2))
        box = {"s": (p, m, v)}

        def one():
            l, *s = step(*box["s"])
            box["s"] = s
            box["l"] = l

        r = timed(one, lambda: jax.block_until_ready(box["s"]), steps)
        r["loss"] = float(box["l"])
        return r

    ln = lambda x, p: ((x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)) * p[0] + p[1]
    if w == "gpt2_bf16":
        g = GPT
        D, H = g["D"], g["H"]
        W = lambda *s: (R(*s) * 0.02).astype(jn.bfloat16)
        one_ = lambda n: (jn.ones(n, jn.bfloat16), jn.zeros(n, jn.bfloat16))
        p = dict(
            wte=W(g["V"], D),
            wpe=W(g["T"], D),
            nf=one_(D),
            L=[
                dict(
                    n1=one_(D),
                    n2=one_(D),
                    qkv=(W(D, 3 * D), jn.zeros(3 * D, jn.bfloat16)),
                    o=(W(D, D), jn.zeros(D, jn.bfloat16)),
                    up=(W(D, 4 * D), jn.zeros(4 * D, jn.bfloat16)),
                    dn=(W(4 * D, D), jn.zeros(D, jn.bfloat16)),
                )
                for _ in range(g["L"])
            ],
        )
        x = jn.array(rng.integers(0, g["V"], (g["B"], g["T"] + 1)))
        a, y = x[:, :-1], x[:, 1:]
        lin = lambda x, w: x @ w[0] + w[1]

        def loss(p):
            h = p["wte"][a] + p["wpe"]
            for l in p["L"]:
                B, T, _ = h.shape
                q, k, v = (z.reshape(B, T, H, D // H) for z in jn.split(lin(ln(h, l["n1"]), l["qkv"]), 3, -1))
                h = h + lin(
                    jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn").reshape(B, T, D),
                    l["o"],
                )
                h = h + lin(jax.nn.gelu(lin(ln(h, l["n2"]), l["up"])), l["dn"])
            return ce(ln(h, p["nf"]) @ p["wte"].T, y)

        return train(loss, p)
    if w == "lstm":
        g = LSTM
        D = g["D"]
        p = dict(e=R(g["V"], D), wx=R(D, 4 * D) * 0.04, wh=R(D, 4 * D) * 0.04, b=jn.zeros(4 * D), o=R(D, g["V"]) * 0.04)
        x = jn.array(rng.integers(0, g["V"], (g["B"], g["T"])))

        def loss(p):
            z = p["e"][x] @ p["wx"] + p["b"]

            def cell(c, zt):
                h, s = c
                i, f, gg, o = jn.split(zt + h @ p["wh"], 4, -1)
                s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jn.tanh(gg)
                h = jax.nn.sigmoid(o) * jn.tanh(s)
                return (h, s), h

            _, hs = jax.lax.scan(cell, (jn.zeros((g["B"], D)),) * 2, z.swapaxes(0, 1))
            return ce(hs.swapaxes(0, 1) @ p["o"], x)

        return train(loss, p)
    if w == "mlp":
        p = [
            (R(784, 1024) * 0.03, jn.zeros(1024)),
            (R(1024, 1024) * 0.03, jn.zeros(1024)),
            (R(1024, 10) * 0.03, jn.zeros(10)),
        ]
        x = R(256, 784)
        y = jn.array(rng.integers(0, 10, 256))

        def loss(p):
            h = x
            for i, (a, b) in enumerate(p):
                h = h @ a + b
                h = jax.nn.gelu(h, approximate=False) if i < 2 else h
            return ce(h, y)

        return train(loss, p)
    if w.startswith("op_"):
        d = jn.bfloat16
        if w == "op_matmul8k":
            a, b = R(8192, 8192).astype(d), R(8192, 8192).astype(d)
            f = jax.jit(lambda a, b: a @ b)
            fn = lambda: f(a, b)
        elif w == "op_chain":
            a = R(64, 1 << 20)
            f = jax.jit(lambda a: jn.tanh(a * 1.5 + 0.3) * jax.nn.sigmoid(a) + jn.exp(-a * a) * jn.maximum(a, 0))
            fn = lambda: f(a)
        elif w == "op_softmax":
            a = R(16384, 8192).astype(d)
            f = jax.jit(lambda a: jax.nn.softmax(a, -1))
            fn = lambda: f(a)
        elif w == "op_rms":
            a, b = R(65536, 2048).astype(d), jn.ones(2048, d)
            f = jax.jit(
                lambda a, b: (
                    (a * jax.lax.rsqrt((a.astype(jn.float32) ** 2).mean(-1, keepdims=True) + 1e-5).astype(d)) * b
                )
            )
            fn = lambda: f(a, b)
        elif w.startswith("op_sdpa"):
            q, k, v = (R(4, 4096, 16, 128).astype(d) for _ in range(3))
            at = lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn")
            f = jax.jit(at if w == "op_sdpa" else jax.grad(lambda q, k, v: at(q, k, v).sum(), argnums=(0, 1, 2)))
            fn = lambda: f(q, k, v)
        elif w == "op_ce":
            a, y = R(16384, 50304).astype(d), jn.array(rng.integers(0, 50304, 16384))
            f = jax.jit(jax.value_and_grad(lambda a: ce(a, y)))
            fn = lambda: f(a)
        else:
            raise SystemExit(w)
        return timed(lambda: jax.block_until_ready(fn()), lambda: None, steps)
    raise SystemExit(w)
