"""llm_f32 / llm_bf16 / llm_q4 / llm_q4_f32: single-token greedy decode of a Llama-style model
(RMSNorm, RoPE, SwiGLU, GQA 16/4 heads, d 1024, ff 2816, 12 layers, vocab 32000) with a full
KV cache of 512 positions (a ring: the slot pos % 512 is overwritten, all 512 are attended, so
shapes are constant).  q4: 4-bit affine, group 64; activations bf16 (llm_q4) or f32.
mlx: nn.quantize.  torch: aten::_weight_int4pack_mm_for_cpu (what torchao's int4 CPU layout calls),
embedding in bf16/f32.  jax: no 4-bit path measured."""

import numpy as np
from common import load_jax, load_mlx, load_torch, normal, rng

D, FF, L, V, H, KV, HD, S, G = 1024, 2816, 12, 32000, 16, 4, 64, 512, 64
CFG = {
    "llm_f32": ("float32", False),
    "llm_bf16": ("bfloat16", False),
    "llm_q4": ("bfloat16", True),
    "llm_q4_f32": ("float32", True),
}
TOL = {"llm_f32": 2e-3, "llm_bf16": 2e-2, "llm_q4": 5e-2, "llm_q4_f32": 5e-2}
EPS, BASE = 1e-5, 10000.0


def make():
    r = rng()
    w = {"emb": normal(r, (V, D), 0.05)}
    for i in range(L):
        b = f"{i}."
        for n, o, k in [
            ("q", H * HD, D),
            ("k", KV * HD, D),
            ("v", KV * HD, D),
            ("o", D, H * HD),
            ("gate", FF, D),
            ("up", FF, D),
            ("down", D, FF),
        ]:
            w[b + n] = normal(r, (o, k), k**-0.5)
        w[b + "n1"] = w[b + "n2"] = np.ones(D, np.float32)
    w["norm"] = np.ones(D, np.float32)
    w["head"] = normal(r, (V, D), D**-0.5)
    cache = normal(r, (L, 2, 1, KV, S, HD), 1)
    ids = r.integers(0, V, 1 << 16)
    return w, cache, ids


def weight_bytes(name):
    """Bytes of weights read per token (the embedding table is only gathered)."""
    n = L * (2 * D * H * HD + 2 * D * KV * HD + 3 * D * FF) + V * D
    dt, q = CFG[name]
    e = 4 if dt == "float32" else 2
    return n // 2 + n // G * 2 * e if q else n * e


def build(peer, name):
    dt, quant = CFG[name]
    w, cache, ids = make()
    t = [0]
    if peer.startswith("mlx"):
        m = load_mlx()
        mx, nn = m.core, m.nn
        lin = lambda i, o: nn.Linear(i, o, bias=False)

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.n1, self.n2 = nn.RMSNorm(D, EPS), nn.RMSNorm(D, EPS)
                self.q, self.k, self.v = lin(D, H * HD), lin(D, KV * HD), lin(D, KV * HD)
                self.o, self.gate, self.up, self.down = lin(H * HD, D), lin(D, FF), lin(D, FF), lin(FF, D)

            def __call__(self, x, kc, vc, pos, slot):
                h = self.n1(x)
                heads = lambda z, n: z.reshape(1, 1, n, HD).transpose(0, 2, 1, 3)
                rope = lambda z: mx.fast.rope(z, HD, traditional=False, base=BASE, scale=1.0, offset=pos)
                kc = mx.slice_update(kc, rope(heads(self.k(h), KV)), slot, (2,))
                vc = mx.slice_update(vc, heads(self.v(h), KV), slot, (2,))
                o = mx.fast.scaled_dot_product_attention(rope(heads(self.q(h), H)), kc, vc, scale=HD**-0.5)
                x = x + self.o(o.transpose(0, 2, 1, 3).reshape(1, 1, H * HD))
                h = self.n2(x)
                return x + self.down(nn.silu(self.gate(h)) * self.up(h)), kc, vc

        class LM(nn.Module):
            def __init__(self):
                super().__init__()
                self.emb, self.head = nn.Embedding(V, D), lin(D, V)
                self.blocks, self.norm = [Block() for _ in range(L)], nn.RMSNorm(D, EPS)

        model = LM()
        name_of = lambda k: ("blocks." + k if k[0].isdigit() else k) + ".weight"
        model.load_weights([(name_of(k), mx.array(v)) for k, v in w.items()])
        model.set_dtype(getattr(mx, dt))
        if quant:
            nn.quantize(model, G, 4)
        mx.eval(model.parameters())
        kvs = [mx.array(c).astype(getattr(mx, dt)) for l in cache for c in l]
        mx.eval(kvs)

        def body(tok, pos, slot, kvs):
            x, new = model.emb(tok), []
            for i, b in enumerate(model.blocks):
                x, k, v = b(x, kvs[2 * i], kvs[2 * i + 1], pos, slot)
                new += [k, v]
            z = model.head(model.norm(x))
            return mx.argmax(z), mx.square(z.astype(mx.float32)).mean(), new

        fn = mx.compile(body) if peer.endswith("compiled") else body

        def step():
            nonlocal kvs
            p = S + t[0]
            nxt, val, kvs = fn(mx.array([[int(ids[t[0]])]]), mx.array(p), mx.array([p % S]), kvs)
            mx.eval(nxt, val, kvs)
            nxt.item()
            t[0] += 1
            return val

        return step, lambda v: v.item()
    if peer.startswith("torch"):
        torch = load_torch()
        F, td = torch.nn.functional, getattr(torch, dt)

        def pack(a):
            g = a.reshape(a.shape[0], -1, G)
            lo, hi = g.min(-1), g.max(-1)
            sc = np.maximum((hi - lo) / 15, 1e-8)
            q = np.clip(np.rint((g - lo[..., None]) / sc[..., None]), 0, 15).astype(np.int32).reshape(a.shape)
            sz = np.stack([sc, lo + 8 * sc], -1).transpose(1, 0, 2)  # (K/G, N, 2): scale, zero
            return (
                torch.ops.aten._convert_weight_to_int4pack_for_cpu(torch.from_numpy(q), 1),
                torch.from_numpy(np.ascontiguousarray(sz)).to(td),
            )

        is_lin = lambda k: k != "emb" and w[k].ndim == 2
        wt = {k: pack(v) if quant and is_lin(k) else torch.from_numpy(v).to(td) for k, v in w.items()}
        del w

        def linear(x, p):
            if quant:
                return torch.ops.aten._weight_int4pack_mm_for_cpu(x.view(1, -1), p[0], G, p[1]).view(1, 1, -1)
            return F.linear(x, p)

        inv = 1.0 / BASE ** (torch.arange(0, HD, 2).float() / HD)

        def rope(z, pos):
            a = pos.float() * inv
            c, s = a.cos().to(td), a.sin().to(td)
            z1, z2 = z[..., : HD // 2], z[..., HD // 2 :]
            return torch.cat([z1 * c - z2 * s, z1 * s + z2 * c], -1)

        kvs = [torch.from_numpy(c).to(td) for l in cache for c in l]

        def body(tok, pos, slot, kvs):
            x = F.embedding(tok, wt["emb"])
            for i in range(L):
                p = lambda n, i=i: wt[f"{i}.{n}"]
                h = F.rms_norm(x, (D,), p("n1"), EPS)
                kvs[2 * i].index_copy_(2, slot, rope(linear(h, p("k")).view(1, KV, 1, HD), pos))
                kvs[2 * i + 1].index_copy_(2, slot, linear(h, p("v")).view(1, KV, 1, HD))
                o = F.scaled_dot_product_attention(
                    rope(linear(h, p("q")).view(1, H, 1, HD), pos), kvs[2 * i], kvs[2 * i + 1], enable_gqa=True
                )
                x = x + linear(o.view(1, 1, H * HD), p("o"))
                h = F.rms_norm(x, (D,), p("n2"), EPS)
                x = x + linear(F.silu(linear(h, p("gate"))) * linear(h, p("up")), p("down"))
            z = linear(F.rms_norm(x, (D,), wt["norm"], EPS), wt["head"])
            return z.argmax(), z.float().square().mean()

        fn = torch.compile(body) if peer == "torch_compile" else body

        def step():
            p = S + t[0]
            with torch.no_grad():
                nxt, val = fn(torch.tensor([[int(ids[t[0]])]]), torch.tensor(p), torch.tensor([p % S]), kvs)
            nxt.item()
            t[0] += 1
            return val

        return step, lambda v: v.item()
    if quant:
        raise SystemExit("no 4-bit path for jax")
    jax = load_jax()
    jnp = jax.numpy
    p_ = {k: jnp.asarray(v, dtype=dt) for k, v in w.items()}  # (out, in), contracted on the last axis
    kvs = [jnp.asarray(c, dtype=dt) for l in cache for c in l]
    inv = 1.0 / BASE ** (jnp.arange(0, HD, 2, dtype=jnp.float32) / HD)

    def body(w, kvs, tok, pos):
        linear = lambda x, k: jax.lax.dot_general(x, w[k], (((x.ndim - 1,), (1,)), ((), ())))
        c, s = jnp.cos(pos * inv).astype(dt), jnp.sin(pos * inv).astype(dt)

        def rope(z):
            z1, z2 = z[..., : HD // 2], z[..., HD // 2 :]
            return jnp.concatenate([z1 * c - z2 * s, z1 * s + z2 * c], -1)

        def norm(x, g):
            f = x.astype(jnp.float32)
            return (f * jax.lax.rsqrt(jnp.square(f).mean(-1, keepdims=True) + EPS)).astype(x.dtype) * g

        x, new = w["emb"][tok], []  # (1, D)
        for i in range(L):
            b = f"{i}."
            h = norm(x, w[b + "n1"])
            k = jax.lax.dynamic_update_slice_in_dim(
                kvs[2 * i], rope(linear(h, b + "k").reshape(1, KV, 1, HD)), pos % S, 2
            )
            v = jax.lax.dynamic_update_slice_in_dim(
                kvs[2 * i + 1], linear(h, b + "v").reshape(1, KV, 1, HD), pos % S, 2
            )
            new += [k, v]
            q = rope(linear(h, b + "q").reshape(1, H, 1, HD)).reshape(KV, H // KV, HD)
            a = jnp.einsum("ghd,gsd->ghs", q, k[0], preferred_element_type=jnp.float32) * HD**-0.5
            o = jnp.einsum("ghs,gsd->ghd", jax.nn.softmax(a).astype(dt), v[0])
            x = x + linear(o.reshape(1, H * HD), b + "o")
            h = norm(x, w[b + "n2"])
            x = x + linear(jax.nn.silu(linear(h, b + "gate")) * linear(h, b + "up"), b + "down")
        z = linear(norm(x, w["norm"]), "head")
        return z.argmax(), jnp.square(z.astype(jnp.float32)).mean(), new

    fn = jax.jit(body, donate_argnums=(1,))

    def step():
        nonlocal kvs
        nxt, val, kvs = fn(p_, kvs, np.array([ids[t[0]]], np.int32), np.int32(S + t[0]))
        int(nxt)
        t[0] += 1
        return val

    return step, float
