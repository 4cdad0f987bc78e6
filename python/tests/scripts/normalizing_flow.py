"""A RealNVP flow on two moons; prints losses, that it can be inverted, and the moments of samples."""

import math
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np


class Normal:
    def __init__(self, mu: mx.array, sigma: mx.array):
        self.mu, self.sigma = mu, sigma

    def sample(self, sample_shape, key=None):
        return mx.random.normal(sample_shape, key=key) * self.sigma + self.mu

    def log_prob(self, x):
        return -0.5 * math.log(2 * math.pi) - mx.log(self.sigma) - 0.5 * ((x - self.mu) / self.sigma) ** 2


class MLP(nn.Module):
    def __init__(self, n_layers: int, d_in: int, d_hidden: int, d_out: int):
        super().__init__()
        sizes = [d_in] + [d_hidden] * n_layers + [d_out]
        self.layers = [nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:])]  # noqa: B905

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nn.gelu(layer(x))
        return self.layers[-1](x)


class MaskedCoupling:
    """Moves the coordinates outside the mask by what the conditioner says of those inside."""

    def __init__(self, mask: mx.array, conditioner: nn.Module):
        self.mask, self.conditioner = mask, conditioner

    def apply(self, x, inverse):
        shift, log_scale = mx.split(self.conditioner(mx.where(self.mask, x, 0)), 2, axis=-1)
        log_scale = mx.tanh(log_scale)
        y = (x - shift) * mx.exp(-log_scale) if inverse else x * mx.exp(log_scale) + shift
        log_det = mx.where(self.mask, 0.0, -log_scale if inverse else log_scale)
        return mx.where(self.mask, x, y), log_det.sum(-1)


class RealNVP(nn.Module):
    def __init__(self, n_transforms: int, d_params: int, d_hidden: int, n_layers: int):
        super().__init__()
        self.mask_list = [mx.array([(i + j) % 2 == 0 for j in range(d_params)]) for i in range(n_transforms)]
        self.conditioner_list = [MLP(n_layers, d_params, d_hidden, 2 * d_params) for _ in range(n_transforms)]
        self.base_dist = Normal(mx.zeros(d_params), mx.ones(d_params))
        self.freeze(keys=["mask_list"], recurse=False)

    @property
    def couplings(self) -> list[MaskedCoupling]:
        return [MaskedCoupling(m, c) for m, c in zip(self.mask_list, self.conditioner_list)]  # noqa: B905

    def log_prob(self, x: mx.array) -> mx.array:
        log_prob = mx.zeros(x.shape[0])
        for coupling in self.couplings[::-1]:
            x, log_det = coupling.apply(x, inverse=True)
            log_prob += log_det
        return log_prob + self.base_dist.log_prob(x).sum(-1)

    def sample(self, sample_shape: tuple[int, int]) -> mx.array:
        x = self.base_dist.sample(sample_shape)
        for coupling in self.couplings:
            x, _ = coupling.apply(x, inverse=False)
        return x


def moons(count):
    random = np.random.default_rng(7)
    angle, upper = random.uniform(0, np.pi, count), random.random(count) < 0.5
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], 1) + 0.05 * random.standard_normal((count, 2))
    return ((points - points.mean(0)) / points.std(0)).astype(np.float32)


def main():
    mx.random.seed(6)
    np.random.seed(6)
    x = moons(512)
    model = RealNVP(4, 2, 16, 1)
    mx.eval(model.parameters())
    optimizer = optim.Adam(learning_rate=1e-2)

    def loss_fn(model, x):
        return -mx.mean(model.log_prob(x))

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x)
        optimizer.update(model, grads)
        return loss

    for i in range(30):
        ids = np.random.choice(len(x), 64, replace=False)
        loss = step(mx.array(x[ids]))
        mx.eval(state)
        if i % 3 == 0:
            print(f"step {i} loss {loss.item():.6f}")

    y = mx.array(x[:8])
    for coupling in model.couplings[::-1]:
        y, _ = coupling.apply(y, inverse=True)
    for coupling in model.couplings:
        y, _ = coupling.apply(y, inverse=False)
    print("inverted", mx.allclose(y, mx.array(x[:8]), atol=1e-4).item())
    samples = model.sample((2048, 2))
    print("moments", " ".join(f"{v:.4f}" for v in mx.concatenate([samples.mean(0), samples.std(axis=0)]).tolist()))


if __name__ == "__main__":
    main()
