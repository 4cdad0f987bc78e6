"""mlp: 784-1024-1024-10 GELU, cross entropy, batch 256, AdamW.
tinymlp (cfg "tiny"): 2-32-32-2 GELU, batch 32, SGD.  mlp_autocast: mlp with products in bfloat16."""

import numpy as np
from common import (
    jax_adamw,
    jax_sgd,
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

CFG = {
    "mlp": dict(sizes=[784, 1024, 1024, 10], batch=256, adamw=True, lr=1e-3),
    "tinymlp": dict(sizes=[2, 32, 32, 2], batch=32, adamw=False, lr=0.1),
}
TOL = 2e-3


def make(c):
    r = rng()
    s = c["sizes"]
    w = {}
    for i, (a, b) in enumerate(zip(s, s[1:])):
        w[f"layers.{i}.weight"] = normal(r, (b, a), a**-0.5)
        w[f"layers.{i}.bias"] = np.zeros(b, np.float32)
    return w, normal(r, (c["batch"], s[0]), 1), r.integers(0, s[-1], c["batch"])


def build(peer, name):
    autocast = name.endswith("autocast")
    c = CFG[name.removesuffix("_autocast")]
    w, x, y = make(c)
    n = len(c["sizes"]) - 1
    if peer.startswith("mlx"):
        m = load_mlx()
        mx, nn = m.core, m.nn

        class MLP(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(a, b) for a, b in zip(c["sizes"], c["sizes"][1:])]

            def __call__(self, x):
                for l in self.layers[:-1]:
                    x = nn.gelu(l(x))
                return self.layers[-1](x)

        model = MLP()
        model.load_weights([(k, mx.array(v)) for k, v in w.items()])
        opt = m.optim.AdamW(c["lr"], weight_decay=0.01, bias_correction=True) if c["adamw"] else m.optim.SGD(c["lr"])

        def loss(model, x, y):
            return nn.losses.cross_entropy(model(x), y, reduction="mean")

        if autocast:
            loss = mlx_autocast(m, model, loss)
        return mlx_train_step(m, model, opt, loss, (mx.array(x), mx.array(y)), peer == "mlx_compiled")
    if peer.startswith("torch"):
        torch = load_torch()
        F = torch.nn.functional

        class MLP(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = torch.nn.ModuleList([torch.nn.Linear(a, b) for a, b in zip(c["sizes"], c["sizes"][1:])])

            def forward(self, x):
                for l in self.layers[:-1]:
                    x = F.gelu(l(x))
                return self.layers[-1](x)

        model = MLP()
        model.load_state_dict({k: torch.from_numpy(v) for k, v in w.items()})
        opt = (
            torch.optim.AdamW(model.parameters(), c["lr"], weight_decay=0.01, fused=True)
            if c["adamw"]
            else torch.optim.SGD(model.parameters(), c["lr"])
        )
        loss = lambda m, x, y: F.cross_entropy(m(x), y)
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
    p = {k: jnp.asarray(v.T) for k, v in w.items()}

    def loss(p, x, y):
        for i in range(n):
            x = x @ p[f"layers.{i}.weight"] + p[f"layers.{i}.bias"]
            x = jax.nn.gelu(x, approximate=False) if i < n - 1 else x
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1))

    return jax_train_step(
        jax,
        p,
        jax_adamw(jax, c["lr"]) if c["adamw"] else jax_sgd(jax, c["lr"]),
        loss,
        (jnp.asarray(x), jnp.asarray(y.astype(np.int32))),
    )
