"""The operations of w_ops.py in PyTorch."""

from common import load_torch


def build(peer, name, data):
    torch = load_torch()
    Fn = torch.nn.functional
    compiled = peer == "torch_compile"
    cl = lambda a: a.permute(0, 3, 1, 2)  # NHWC data
    ln = lambda x, w, b: Fn.layer_norm(x, (1024,), w, b)
    rn = lambda x, w: Fn.rms_norm(x, (1024,), w, 1e-5)
    sd = lambda q, k, v: Fn.scaled_dot_product_attention(q, k, v, is_causal=True)
    cv = lambda x, w: Fn.conv2d(x, w, padding=1)
    F = {
        "matmul": lambda a, b: a @ b,
        "bmm": lambda a, b: a @ b,
        "chain8": lambda x, y: torch.sigmoid(x * y + x) * (x - 0.5 * y) + y * y,
        "softmax": lambda x: torch.softmax(x, -1),
        "layer_norm": ln,
        "rms_norm": rn,
        "sdpa": sd,
        "conv3x3": cv,
        "embedding": lambda e, i: Fn.embedding(i, e),
        "cross_entropy": lambda z, y: Fn.cross_entropy(z, y),
        "sum": torch.sum,
        "argmax": torch.argmax,
        "sort": lambda x: torch.sort(x)[0],
        "cumsum": lambda x: torch.cumsum(x, 0),
        "transpose": lambda x: x.t().contiguous(),
    }
    ndiff = {"layer_norm": 3, "rms_norm": 2, "sdpa": 3, "conv3x3": 2, "embedding": 1, "cross_entropy": 1}
    narg = dict(ndiff, embedding=2, cross_entropy=2)

    to_torch = lambda a: [to_torch(b) for b in a] if isinstance(a, list) else torch.from_numpy(a)
    d = [to_torch(a) for a in data]
    if "bf16" in name:
        d = [a.bfloat16() for a in d]
    if name.startswith("conv"):
        d = [cl(a) for a in d]
    if name.startswith("cross"):
        d[1] = d[1].long()

    def flat(out):
        leaves = out if isinstance(out, (list, tuple)) else [out]
        leaves = [a.permute(0, 2, 3, 1) if name.startswith("conv") else a for a in leaves]  # back to NHWC
        return [a.detach().float().numpy() for a in leaves]

    if name == "tiny_add":
        x, y = d

        def step():
            z = x
            for _ in range(10000):
                z = z + y
            return z

        return step, flat
    if name.startswith(("adamw", "clip")):
        ps = [torch.nn.Parameter(a) for a in d[0]]
        for p, g in zip(ps, d[-1]):
            p.grad = g
        if name.startswith("adamw"):
            update = torch.optim.AdamW(ps, 1e-3, fused=not compiled).step
            result = lambda _: flat(ps)
        else:
            update = lambda: torch.nn.utils.clip_grad_norm_(ps, 1.0)
            result = lambda _: flat([p.grad for p in ps])
        return torch.compile(update) if compiled else update, result
    base = name.removesuffix("_bwd")
    if base not in F:
        base = base.split("_")[0]
    fn = torch.compile(F[base]) if compiled else F[base]
    args = d[: narg.get(base, len(d))]
    if not name.endswith("_bwd"):
        return lambda: fn(*args), flat
    wanted = [a.requires_grad_() for a in args[: ndiff[base]]]
    g = d[-1] if base != "cross_entropy" else None
    return lambda: torch.autograd.grad(fn(*args), wanted, g), flat
