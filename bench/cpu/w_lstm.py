"""lstm: embedding 256 -> LSTM hidden 256, seq 100, batch 32, linear to vocab 1000, Adam."""

import numpy as np
from common import (
    jax_adamw,
    jax_train_step,
    load_jax,
    load_mlx,
    load_torch,
    mlx_train_step,
    normal,
    rng,
    torch_train_step,
)

B, T, D, V, LR = 32, 100, 256, 1000, 1e-3
CFG = {"lstm": None}
TOL = 2e-3


def make():
    r = rng()
    w = {
        "emb.weight": normal(r, (V, D), 0.3),
        "lstm.Wx": normal(r, (4 * D, D), D**-0.5),
        "lstm.Wh": normal(r, (4 * D, D), D**-0.5),
        "lstm.bias": np.zeros(4 * D, np.float32),
        "out.weight": normal(r, (V, D), D**-0.5),
        "out.bias": np.zeros(V, np.float32),
    }
    ids = r.integers(0, V, (B, T + 1))
    return w, ids[:, :-1].copy(), ids[:, 1:].copy()


def flops():
    return 3 * 2 * B * T * (8 * D * D + V * D)


def build(peer, name):
    w, x, y = make()
    if peer.startswith("mlx"):
        m = load_mlx()
        mx, nn = m.core, m.nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.emb, self.lstm, self.out = nn.Embedding(V, D), nn.LSTM(D, D), nn.Linear(D, V)

            def __call__(self, ids):
                return self.out(self.lstm(self.emb(ids))[0])

        model = Net()
        model.load_weights([(k, mx.array(v)) for k, v in w.items()])

        def loss(model, x, y):
            return nn.losses.cross_entropy(model(x), y, reduction="mean")

        return mlx_train_step(
            m, model, m.optim.Adam(LR, bias_correction=True), loss, (mx.array(x), mx.array(y)), peer == "mlx_compiled"
        )
    if peer.startswith("torch"):
        torch = load_torch()
        nn, F = torch.nn, torch.nn.functional

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.emb, self.out = nn.Embedding(V, D), nn.Linear(D, V)
                self.lstm = nn.LSTM(D, D, batch_first=True)

            def forward(self, ids):
                return self.out(self.lstm(self.emb(ids))[0])

        model = Net()
        n = {"lstm.Wx": "lstm.weight_ih_l0", "lstm.Wh": "lstm.weight_hh_l0", "lstm.bias": "lstm.bias_ih_l0"}
        sd = {n.get(k, k): torch.from_numpy(v) for k, v in w.items()}
        sd["lstm.bias_hh_l0"] = torch.zeros(4 * D)
        model.load_state_dict(sd)
        model.lstm.bias_hh_l0.requires_grad_(False)  # one bias, as in the other peers
        opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], LR, fused=True)
        return torch_train_step(
            torch,
            model,
            opt,
            lambda m, x, y: F.cross_entropy(m(x).view(-1, V), y.view(-1)),
            (torch.from_numpy(x), torch.from_numpy(y)),
            peer == "torch_compile",
        )
    jax = load_jax()
    jnp = jax.numpy
    p = {k: jnp.asarray(v if k == "emb.weight" else v.T) for k, v in w.items()}

    def loss(p, ids, y):
        xs = p["emb.weight"][ids.T] @ p["lstm.Wx"] + p["lstm.bias"]

        def cell(hc, x):
            h, c = hc
            i, f, g, o = jnp.split(x + h @ p["lstm.Wh"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        z = jnp.zeros((B, D))
        _, hs = jax.lax.scan(cell, (z, z), xs)
        z = jnp.swapaxes(hs, 0, 1) @ p["out.weight"] + p["out.bias"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], -1))

    return jax_train_step(
        jax, p, jax_adamw(jax, LR, wd=0.0), loss, (jnp.asarray(x.astype(np.int32)), jnp.asarray(y.astype(np.int32)))
    )
