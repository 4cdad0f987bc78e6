"""The operations of w_ops.py in MLX's API."""

import numpy as np
from common import load_mlx


def build(peer, name, data):
    m = load_mlx()
    mx, nn = m.core, m.nn
    compiled = peer.endswith("compiled")
    vjp = lambda f, n: lambda *a: mx.vjp(f, list(a[:n]), [a[-1]])[:2]
    ln = lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5)
    rn = lambda x, w: mx.fast.rms_norm(x, w, 1e-5)
    sd = lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.125, mask="causal")
    cv = lambda x, w: mx.conv2d(x, w, padding=1)
    ce = lambda z, y: nn.losses.cross_entropy(z, y, reduction="mean")
    F = {
        "matmul": lambda a, b: a @ b,
        "bmm": lambda a, b: a @ b,
        "chain8": lambda x, y: mx.sigmoid(x * y + x) * (x - 0.5 * y) + y * y,
        "softmax": lambda x: mx.softmax(x, axis=-1),
        "layer_norm": lambda x, w, b, g: ln(x, w, b),
        "layer_norm_bwd": lambda x, w, b, g: vjp(ln, 3)(x, w, b, g),
        "rms_norm": lambda x, w, b, g: rn(x, w),
        "rms_norm_bwd": lambda x, w, b, g: vjp(rn, 2)(x, w, g),
        "sdpa": lambda q, k, v, g: sd(q, k, v),
        "sdpa_bwd": lambda q, k, v, g: vjp(sd, 3)(q, k, v, g),
        "conv3x3": lambda x, w, g: cv(x, w),
        "conv3x3_bwd": lambda x, w, g: vjp(cv, 2)(x, w, g),
        "embedding": lambda e, i, g: e[i],
        "embedding_bwd": lambda e, i, g: mx.vjp(lambda e: e[i], [e], [g]),
        "cross_entropy_bwd": lambda z, y: mx.value_and_grad(ce)(z, y),
        "sum": lambda x: mx.sum(x),
        "argmax": lambda x: mx.argmax(x),
        "sort": lambda x: mx.sort(x),
        "cumsum": lambda x: mx.cumsum(x),
        "transpose": lambda x: mx.contiguous(x.T),
    }

    to_mx = lambda a: [to_mx(b) for b in a] if isinstance(a, list) else mx.array(a)
    flat = lambda out: [np.array(a.astype(mx.float32)) for _, a in m.utils.tree_flatten([out])]
    d = [to_mx(a) for a in data]
    if "bf16" in name:
        d = [a.astype(mx.bfloat16) for a in d]
    mx.eval(d)
    if name == "tiny_add":
        x, y = d

        def step():
            z = x
            for _ in range(10000):
                z = z + y
            mx.eval(z)
            return z

        return step, flat
    if name.startswith("adamw"):
        p, g = ({f"{i:02}": a for i, a in enumerate(leaves)} for leaves in d)
        opt = m.optim.AdamW(1e-3, bias_correction=True)
        opt.init(p)
        box, update = [p], lambda g, p: opt.apply_gradients(g, p)
        if compiled:  # parameters are passed in and out, the optimizer state is captured
            update = mx.compile(update, inputs=opt.state, outputs=opt.state)

        def step():
            box[0] = update(g, box[0])
            mx.eval(box[0], opt.state)
            return box[0]

        return step, flat
    if name.startswith("clip"):  # in place of the gradients, as the peers do it: they are used once
        box, clip = [{f"{i:02}": a for i, a in enumerate(d.pop())}], lambda g: m.optim.clip_grad_norm(g, 1.0)
        clip = mx.compile(clip) if compiled else clip

        def step():
            box[0], _ = clip(box[0])
            mx.eval(box[0])
            return box[0]

        return step, flat
    fn = F[name if name in F else name.split("_")[0]]
    fn = mx.compile(fn) if compiled else fn

    def step():
        out = fn(*d)
        mx.eval(out)
        return out

    # the backward passes return (value, gradients)
    return step, (lambda out: flat(out[1])) if name.endswith("_bwd") else flat
