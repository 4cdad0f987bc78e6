"""resnet: ResNet-20 (CIFAR style, BatchNorm, 1x1-conv shortcuts), 32x32x3, batch 64,
SGD momentum 0.9.  Channels last in every peer (BENCH_TORCH_NCHW=1 switches torch back)."""

import os

import numpy as np
from common import (
    jax_sgd,
    jax_train_step,
    load_jax,
    load_mlx,
    load_torch,
    mlx_train_step,
    normal,
    rng,
    torch_train_step,
)

B, LR = 64, 0.05
CFG = {"resnet": None}
TOL = 2e-2
BLOCKS = [
    (i, o, s) for i, o, s in [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
]


def make():
    r = rng()
    w = {}

    def conv(n, o, i, k):
        w[n + ".weight"] = normal(r, (o, i, k, k), (2 / (i * k * k)) ** 0.5)

    def bn(n, c):
        w[n + ".weight"], w[n + ".bias"] = np.ones(c, np.float32), np.zeros(c, np.float32)

    conv("conv", 16, 3, 3), bn("bn", 16)
    for j, (i, o, s) in enumerate(BLOCKS):
        b = f"blocks.{j}."
        conv(b + "c1", o, i, 3), bn(b + "b1", o), conv(b + "c2", o, o, 3), bn(b + "b2", o)
        if s != 1:
            conv(b + "cs", o, i, 1), bn(b + "bs", o)
    w["fc.weight"], w["fc.bias"] = normal(r, (10, 64), 0.125), np.zeros(10, np.float32)
    return w, normal(r, (B, 32, 32, 3), 1), r.integers(0, 10, B)


def flops():
    f, hw = 2 * 27 * 16 * 1024, 1024
    for i, o, s in BLOCKS:
        hw //= s * s
        f += 2 * hw * 9 * (i * o + o * o) + (2 * hw * i * o if s != 1 else 0)
    return 3 * B * f


def build(peer, name):
    w, x, y = make()
    if peer.startswith("mlx"):
        m = load_mlx()
        mx, nn = m.core, m.nn

        class Block(nn.Module):
            def __init__(self, i, o, s):
                super().__init__()
                self.c1 = nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)
                self.c2 = nn.Conv2d(o, o, 3, padding=1, bias=False)
                self.b1, self.b2 = nn.BatchNorm(o), nn.BatchNorm(o)
                if s != 1:
                    self.cs, self.bs = nn.Conv2d(i, o, 1, stride=s, bias=False), nn.BatchNorm(o)

            def __call__(self, x):
                h = nn.relu(self.b1(self.c1(x)))
                h = self.b2(self.c2(h))
                return nn.relu(h + (self.bs(self.cs(x)) if "cs" in self else x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm(16)
                self.blocks = [Block(*b) for b in BLOCKS]
                self.fc = nn.Linear(64, 10)

            def __call__(self, x):
                x = nn.relu(self.bn(self.conv(x)))
                for b in self.blocks:
                    x = b(x)
                return self.fc(x.mean((1, 2)))

        model = Net()
        model.load_weights(
            [(k, mx.array(np.ascontiguousarray(v.transpose(0, 2, 3, 1)) if v.ndim == 4 else v)) for k, v in w.items()],
            strict=False,
        )
        model.train()

        def loss(model, x, y):
            return nn.losses.cross_entropy(model(x), y, reduction="mean")

        return mlx_train_step(
            m, model, m.optim.SGD(LR, momentum=0.9), loss, (mx.array(x), mx.array(y)), peer == "mlx_compiled"
        )
    if peer.startswith("torch"):
        torch = load_torch()
        nn, F = torch.nn, torch.nn.functional

        class Block(nn.Module):
            def __init__(self, i, o, s):
                super().__init__()
                self.c1 = nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)
                self.c2 = nn.Conv2d(o, o, 3, padding=1, bias=False)
                self.b1, self.b2 = nn.BatchNorm2d(o), nn.BatchNorm2d(o)
                self.s = s
                if s != 1:
                    self.cs, self.bs = nn.Conv2d(i, o, 1, stride=s, bias=False), nn.BatchNorm2d(o)

            def forward(self, x):
                h = F.relu(self.b1(self.c1(x)), inplace=True)
                h = self.b2(self.c2(h))
                return F.relu(h + (self.bs(self.cs(x)) if self.s != 1 else x), inplace=True)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
                self.blocks = nn.Sequential(*[Block(*b) for b in BLOCKS])
                self.fc = nn.Linear(64, 10)

            def forward(self, x):
                x = self.blocks(F.relu(self.bn(self.conv(x)), inplace=True))
                return self.fc(x.mean((2, 3)))

        model = Net()
        model.load_state_dict({k: torch.from_numpy(v) for k, v in w.items()}, strict=False)
        xt = torch.from_numpy(x).permute(0, 3, 1, 2)  # NHWC strides
        if os.environ.get("BENCH_TORCH_NCHW"):
            xt = xt.contiguous()
        else:
            model = model.to(memory_format=torch.channels_last)
        opt = torch.optim.SGD(model.parameters(), LR, momentum=0.9, fused=True)
        return torch_train_step(
            torch,
            model,
            opt,
            lambda m, x, y: F.cross_entropy(m(x), y),
            (xt, torch.from_numpy(y)),
            peer == "torch_compile",
        )
    jax = load_jax()
    jnp, lax = jax.numpy, jax.lax
    p = {k: jnp.asarray(v.transpose(2, 3, 1, 0) if v.ndim == 4 else v.T) for k, v in w.items()}
    run = {k[:-7]: (jnp.zeros_like(v), jnp.ones_like(v)) for k, v in p.items() if v.ndim == 1 and k.endswith(".weight")}

    def loss(p, x, y):
        new = {}

        def conv(n, x, s=1, pad=1):
            return lax.conv_general_dilated(
                x, p[n + ".weight"], (s, s), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        def bn(n, x):
            mu, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            new[n] = (0.9 * run[n][0] + 0.1 * mu, 0.9 * run[n][1] + 0.1 * var)
            return (x - mu) * lax.rsqrt(var + 1e-5) * p[n + ".weight"] + p[n + ".bias"]

        x = jax.nn.relu(bn("bn", conv("conv", x)))
        for j, (_, _, s) in enumerate(BLOCKS):
            b = f"blocks.{j}."
            h = jax.nn.relu(bn(b + "b1", conv(b + "c1", x, s)))
            h = bn(b + "b2", conv(b + "c2", h))
            x = jax.nn.relu(h + (bn(b + "bs", conv(b + "cs", x, s, 0)) if s != 1 else x))
        z = x.mean((1, 2)) @ p["fc.weight"] + p["fc.bias"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)), new

    return jax_train_step(
        jax, p, jax_sgd(jax, LR, 0.9), loss, (jnp.asarray(x), jnp.asarray(y.astype(np.int32))), has_aux=True
    )
