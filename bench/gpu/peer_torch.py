"""The GPU workloads in PyTorch, eager and compiled."""

from common import GPT, LLM, LSTM, rng, timed


def run(w, steps, comp):
    import torch
    import torch.nn as tn
    import torch.nn.functional as F

    dev = "cuda"
    wrap = (lambda f: torch.compile(f)) if comp else (lambda f: f)
    sync = torch.cuda.synchronize

    class Block(tn.Module):
        def __init__(s, D, H):
            super().__init__()
            s.H = H
            s.n1, s.n2 = tn.LayerNorm(D), tn.LayerNorm(D)
            s.qkv, s.o = tn.Linear(D, 3 * D), tn.Linear(D, D)
            s.up, s.down = tn.Linear(D, 4 * D), tn.Linear(4 * D, D)

        def forward(s, x):
            B, T, D = x.shape
            q, k, v = (a.view(B, T, s.H, -1).transpose(1, 2) for a in s.qkv(s.n1(x)).split(D, -1))
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + s.o(a.transpose(1, 2).reshape(B, T, D))
            return x + s.down(F.gelu(s.up(s.n2(x)), approximate="tanh"))

    class Lm(tn.Module):
        def __init__(s, g):
            super().__init__()
            s.wte, s.wpe = tn.Embedding(g["V"], g["D"]), tn.Embedding(g["T"], g["D"])
            s.layers = tn.ModuleList([Block(g["D"], g["H"]) for _ in range(g["L"])])
            s.nf = tn.LayerNorm(g["D"])
            for p in s.parameters():
                if p.dim() > 1:
                    tn.init.normal_(p, std=0.02)

        def forward(s, x):
            h = s.wte(x) + s.wpe(torch.arange(x.shape[1], device=x.device))
            for l in s.layers:
                h = l(h)
            return s.nf(h) @ s.wte.weight.T

    class Rnn(tn.Module):
        def __init__(s, g):
            super().__init__()
            s.e, s.l, s.o = (
                tn.Embedding(g["V"], g["D"]),
                tn.LSTM(g["D"], g["D"], batch_first=True),
                tn.Linear(g["D"], g["V"]),
            )

        def forward(s, x):
            return s.o(s.l(s.e(x))[0])

    def train(m, x, y, opt, V):
        f = wrap(lambda x, y: F.cross_entropy(m(x).view(-1, V), y.reshape(-1)))
        box = {}

        def one():
            opt.zero_grad(set_to_none=True)
            l = f(x, y)
            l.backward()
            opt.step()
            box["l"] = l

        r = timed(one, sync, steps)
        r["loss"] = box["l"].item()
        return r

    if w == "gpt2_bf16":
        g = GPT
        m = Lm(g).to(dev, torch.bfloat16)
        x = torch.from_numpy(rng.integers(0, g["V"], (g["B"], g["T"] + 1))).to(dev)
        return train(
            m,
            x[:, :-1].contiguous(),
            x[:, 1:].contiguous(),
            torch.optim.AdamW(m.parameters(), 1e-4, fused=True),
            g["V"],
        )
    if w == "lstm":
        g = LSTM
        m = Rnn(g).to(dev)
        x = torch.from_numpy(rng.integers(0, g["V"], (g["B"], g["T"]))).to(dev)
        return train(m, x, x, torch.optim.Adam(m.parameters(), 1e-3, fused=True), g["V"])
    if w == "mlp":
        m = tn.Sequential(tn.Linear(784, 1024), tn.GELU(), tn.Linear(1024, 1024), tn.GELU(), tn.Linear(1024, 10)).to(
            dev
        )
        return train(
            m,
            torch.randn(256, 784, device=dev),
            torch.randint(0, 10, (256,), device=dev),
            torch.optim.AdamW(m.parameters(), 1e-3, fused=True),
            10,
        )
    if w.startswith("llm"):
        if w == "llm_q4":
            raise SystemExit("no int4 here")
        g = LLM
        D, hd = g["D"], g["D"] // g["H"]
        torch.set_grad_enabled(False)
        P = lambda *s: torch.randn(*s, device=dev, dtype=torch.bfloat16) * 0.02
        E = P(g["V"], D)
        L = [
            dict(
                q=P(D, D),
                k=P(g["KV"] * hd, D),
                v=P(g["KV"] * hd, D),
                o=P(D, D),
                g=P(g["F"], D),
                u=P(g["F"], D),
                d=P(D, g["F"]),
                n1=torch.ones(D, device=dev, dtype=torch.bfloat16),
                n2=torch.ones(D, device=dev, dtype=torch.bfloat16),
            )
            for _ in range(g["L"])
        ]
        C = [(torch.zeros(1, g["KV"], g["CTX"], hd, device=dev, dtype=torch.bfloat16),) * 2 for _ in range(g["L"])]
        inv = 5e5 ** (-torch.arange(0, hd, 2, device=dev) / hd)
        ang = g["CTX"] * inv
        cs, sn = ang.cos().bfloat16(), ang.sin().bfloat16()
        rope = lambda x: torch.cat(
            [x[..., : hd // 2] * cs - x[..., hd // 2 :] * sn, x[..., : hd // 2] * sn + x[..., hd // 2 :] * cs], -1
        )

        def fwd(t):
            x = E[t]
            for l, (K, V) in zip(L, C):
                h = F.rms_norm(x, (D,), l["n1"], 1e-5)
                q, k, v = (
                    rope(F.linear(h, l["q"]).view(1, 1, -1, hd).transpose(1, 2)),
                    rope(F.linear(h, l["k"]).view(1, 1, -1, hd).transpose(1, 2)),
                    F.linear(h, l["v"]).view(1, 1, -1, hd).transpose(1, 2),
                )
                a = F.scaled_dot_product_attention(q, torch.cat([K, k], 2), torch.cat([V, v], 2), enable_gqa=True)
                x = x + F.linear(a.transpose(1, 2).reshape(1, 1, -1), l["o"])
                h = F.rms_norm(x, (D,), l["n2"], 1e-5)
                x = x + F.linear(F.silu(F.linear(h, l["g"])) * F.linear(h, l["u"]), l["d"])
            return (F.rms_norm(x, (D,), None, 1e-5) @ E.T).argmax(-1)

        f = torch.compile(fwd, mode="reduce-overhead") if comp else fwd
        box = {"t": torch.ones(1, 1, dtype=torch.long, device=dev)}

        def one():
            box["t"] = f(box["t"]).clone()

        return timed(one, sync, steps)
    if w.startswith("op_"):
        n = lambda *s: torch.randn(*s, device=dev)
        d = torch.bfloat16
        if w == "op_matmul8k":
            a, b = n(8192, 8192).to(d), n(8192, 8192).to(d)
            fn = lambda: a @ b
        elif w == "op_chain":
            a = n(64, 1 << 20)
            fc = wrap(
                lambda a: torch.tanh(a * 1.5 + 0.3) * torch.sigmoid(a) + torch.exp(-a * a) * torch.clamp(a, min=0)
            )
            fn = lambda: fc(a)
        elif w == "op_softmax":
            a = n(16384, 8192).to(d)
            fc = wrap(lambda a: torch.softmax(a, -1))
            fn = lambda: fc(a)
        elif w == "op_rms":
            a, b = n(65536, 2048).to(d), torch.ones(2048, device=dev, dtype=d)
            fc = wrap(lambda a, b: F.rms_norm(a, (2048,), b, 1e-5))
            fn = lambda: fc(a, b)
        elif w.startswith("op_sdpa"):
            q, k, v = (n(4, 16, 4096, 128).to(d).requires_grad_(w != "op_sdpa") for _ in range(3))
            if w == "op_sdpa":
                fn = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                fn = lambda: torch.autograd.grad(
                    F.scaled_dot_product_attention(q, k, v, is_causal=True).sum(), (q, k, v)
                )
        elif w == "op_ce":
            a, y = n(16384, 50304).to(d).requires_grad_(), torch.randint(0, 50304, (16384,), device=dev)
            fc = wrap(lambda a: F.cross_entropy(a, y))
            fn = lambda: torch.autograd.grad(fc(a), a)
        elif w == "op_conv":
            a, k = (
                n(64, 128, 56, 56).to(d).to(memory_format=torch.channels_last).requires_grad_(),
                n(128, 128, 3, 3).to(d).to(memory_format=torch.channels_last).requires_grad_(),
            )
            fn = lambda: torch.autograd.grad(F.conv2d(a, k, padding=1).sum(), (a, k))
        return timed(fn, sync, steps)
    raise SystemExit(w)
