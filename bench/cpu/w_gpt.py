"""gpt / gpt_bf16: decoder-only LM, 6 layers, d 384, 6 heads, ctx 256, vocab 8192, batch 4,
pre-LN, GELU MLP x4, fused causal SDPA of each framework, AdamW.  bf16: parameters,
activations and AdamW states in bfloat16, logits cast to f32 for the loss.  autocast: parameters and
states in f32, products in bfloat16 (nn.autocast here, torch.autocast there)."""

import numpy as np
from common import (
    jax_adamw,
    jax_train_step,
    load_jax,
    load_mlx,
    load_torch,
    mlx_autocast,
    mlx_train_step,
    normal,
    rng,
    torch_autocast,
    torch_train_step,
)

L, D, H, T, V, B, LR = 6, 384, 6, 256, 8192, 4, 3e-4
CFG = {"gpt": "float32", "gpt_bf16": "bfloat16", "gpt_autocast": "float32"}
TOL = {"gpt": 2e-3, "gpt_bf16": 3e-2, "gpt_autocast": 3e-2}


def make():
    r = rng()
    w = {"wte.weight": normal(r, (V, D), 0.02), "wpe.weight": normal(r, (T, D), 0.02)}

    def lin(n, o, i):
        w[n + ".weight"], w[n + ".bias"] = normal(r, (o, i), 0.02), np.zeros(o, np.float32)

    def ln(n):
        w[n + ".weight"], w[n + ".bias"] = np.ones(D, np.float32), np.zeros(D, np.float32)

    for i in range(L):
        b = f"blocks.{i}."
        ln(b + "ln1"), lin(b + "qkv", 3 * D, D), lin(b + "proj", D, D)
        ln(b + "ln2"), lin(b + "fc1", 4 * D, D), lin(b + "fc2", D, 4 * D)
    ln("lnf")
    w["head.weight"] = normal(r, (V, D), 0.02)
    ids = r.integers(0, V, (B, T + 1)).astype(np.int64)
    return w, ids[:, :-1].copy(), ids[:, 1:].copy()


def flops():  # per training step, matmuls and attention, forward x3
    n = B * T
    return 3 * 2 * n * (L * 12 * D * D + V * D + L * 2 * T * D / 2)


def build(peer, name):
    dt, autocast = CFG[name], name.endswith("autocast")
    w, x, y = make()
    if peer.startswith("mlx"):
        m = load_mlx()
        mx, nn = m.core, m.nn

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.ln1, self.ln2 = nn.LayerNorm(D), nn.LayerNorm(D)
                self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
                self.fc1, self.fc2 = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

            def __call__(self, x):
                h = self.qkv(self.ln1(x)).reshape(B, T, 3, H, D // H).transpose(2, 0, 3, 1, 4)
                o = mx.fast.scaled_dot_product_attention(h[0], h[1], h[2], scale=(D // H) ** -0.5, mask="causal")
                x = x + self.proj(o.transpose(0, 2, 1, 3).reshape(B, T, D))
                return x + self.fc2(nn.gelu(self.fc1(self.ln2(x))))

        class GPT(nn.Module):
            def __init__(self):
                super().__init__()
                self.wte, self.wpe = nn.Embedding(V, D), nn.Embedding(T, D)
                self.blocks = [Block() for _ in range(L)]
                self.lnf, self.head = nn.LayerNorm(D), nn.Linear(D, V, bias=False)

            def __call__(self, ids):
                x = self.wte(ids) + self.wpe(mx.arange(T))
                for b in self.blocks:
                    x = b(x)
                return self.head(self.lnf(x))

        model = GPT()
        model.load_weights([(k, mx.array(v)) for k, v in w.items()])
        model.set_dtype(getattr(mx, dt))
        opt = m.optim.AdamW(LR, weight_decay=0.01, bias_correction=True)

        def loss(model, x, y):
            return nn.losses.cross_entropy(model(x).astype(mx.float32), y, reduction="mean")

        if autocast:
            loss = mlx_autocast(m, model, loss)
        return mlx_train_step(m, model, opt, loss, (mx.array(x), mx.array(y)), peer == "mlx_compiled")
    if peer.startswith("torch"):
        torch = load_torch()
        nn, F = torch.nn, torch.nn.functional

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.ln1, self.ln2 = nn.LayerNorm(D), nn.LayerNorm(D)
                self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
                self.fc1, self.fc2 = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

            def forward(self, x):
                q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)
                o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.proj(o.transpose(1, 2).reshape(B, T, D))
                return x + self.fc2(F.gelu(self.fc1(self.ln2(x))))

        class GPT(nn.Module):
            def __init__(self):
                super().__init__()
                self.wte, self.wpe = nn.Embedding(V, D), nn.Embedding(T, D)
                self.blocks = nn.ModuleList([Block() for _ in range(L)])
                self.lnf, self.head = nn.LayerNorm(D), nn.Linear(D, V, bias=False)

            def forward(self, ids):
                x = self.wte(ids) + self.wpe.weight
                for b in self.blocks:
                    x = b(x)
                return self.head(self.lnf(x))

        model = GPT()
        model.load_state_dict({k: torch.from_numpy(v) for k, v in w.items()})
        model.to(getattr(torch, dt))
        opt = torch.optim.AdamW(model.parameters(), LR, weight_decay=0.01, fused=True)
        loss = lambda m, x, y: F.cross_entropy(m(x).float().view(-1, V), y.view(-1))
        return torch_train_step(
            torch,
            model,
            opt,
            torch_autocast(torch, loss) if autocast else loss,
            (torch.from_numpy(x), torch.from_numpy(y)),
            peer == "torch_compile",
        )
    if autocast:
        raise SystemExit("no autocast")
    jax = load_jax()
    jnp = jax.numpy
    p = {k: jnp.asarray(v if k.startswith("wte") or k.startswith("wpe") else v.T, dtype=dt) for k, v in w.items()}

    def loss(p, ids, y):
        def lin(n, x):
            return x @ p[n + ".weight"] + p[n + ".bias"]

        def ln(n, x):
            f = x.astype(jnp.float32)
            mu = f.mean(-1, keepdims=True)
            f = (f - mu) * jax.lax.rsqrt(jnp.square(f - mu).mean(-1, keepdims=True) + 1e-5)
            return f.astype(x.dtype) * p[n + ".weight"] + p[n + ".bias"]

        x = p["wte.weight"][ids] + p["wpe.weight"]
        for i in range(L):
            b = f"blocks.{i}."
            q, k, v = jnp.moveaxis(lin(b + "qkv", ln(b + "ln1", x)).reshape(B, T, 3, H, D // H), 2, 0)
            o = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            x = x + lin(b + "proj", o.reshape(B, T, D))
            x = x + lin(b + "fc2", jax.nn.gelu(lin(b + "fc1", ln(b + "ln2", x)), approximate=False))
        z = (ln("lnf", x) @ p["head.weight"]).astype(jnp.float32)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], -1))

    return jax_train_step(
        jax, p, jax_adamw(jax, LR), loss, (jnp.asarray(x.astype(np.int32)), jnp.asarray(y.astype(np.int32)))
    )
