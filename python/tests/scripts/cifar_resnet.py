"""A residual network with batch normalization on small colour images, with a cosine schedule; prints losses."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

# Smooth: at the kink of a ReLU the last bit of an activation decides over a gradient.
act = nn.silu


class ShortcutA(nn.Module):
    """The identity at half the size, with new channels of zeros."""

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def __call__(self, x):
        return mx.pad(x[:, ::2, ::2, :], [(0, 0), (0, 0), (0, 0), (self.dims // 4, self.dims // 4)])


class Block(nn.Module):
    def __init__(self, in_dims, dims, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_dims, dims, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm(dims)
        self.conv2 = nn.Conv2d(dims, dims, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm(dims)
        self.shortcut = ShortcutA(dims) if stride != 1 else None

    def __call__(self, x):
        out = act(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return act(out + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    def __init__(self, dims=8, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, dims, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm(dims)
        self.layer1 = nn.Sequential(Block(dims, dims), Block(dims, dims))
        self.layer2 = nn.Sequential(Block(dims, 2 * dims, stride=2), Block(2 * dims, 2 * dims))
        self.linear = nn.Linear(2 * dims, num_classes)

    def num_params(self):
        return sum(x.size for k, x in tree_flatten(self.parameters()))

    def __call__(self, x):
        x = act(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.linear(mx.mean(x, axis=[1, 2]))


def images(count, seed):
    random = np.random.default_rng(seed)
    waves = np.random.default_rng(0).standard_normal((10, 3, 2))
    labels = random.integers(0, 10, count)
    grid = np.stack(np.meshgrid(np.arange(16), np.arange(16), indexing="ij"), -1)
    phase = random.uniform(0, 6, (count, 1, 1, 1))
    x = np.sin(np.einsum("hwk,nck->nhwc", grid, waves[labels]) + phase) + 0.2 * random.standard_normal(
        (count, 16, 16, 3)
    )
    return x.astype(np.float32), labels.astype(np.int32)


def augmented(x):
    """Half of the images mirrored, all cut out of a padded one."""
    flip = mx.random.bernoulli(0.5, (x.shape[0], 1, 1, 1))
    x = mx.where(flip, x[:, :, ::-1, :], x)
    top, left = mx.random.randint(0, 5, (2,)).tolist()
    x = mx.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    return x[:, top : top + 16, left : left + 16, :]


def main():
    mx.random.seed(1)
    x, y = map(mx.array, images(128, 1))
    test_x, test_y = map(mx.array, images(64, 2))
    model = ResNet()
    print("parameters", model.num_params())
    steps = 12
    schedule = optim.join_schedules(
        [optim.linear_schedule(1e-3, 1e-2, steps=3), optim.cosine_decay(1e-2, steps - 3)], [3]
    )
    optimizer = optim.AdamW(learning_rate=schedule, weight_decay=5e-4)

    def loss_fn(model, x, y):
        logits = model(x)
        return mx.mean(nn.losses.cross_entropy(logits, y, label_smoothing=0.1)), mx.mean(mx.argmax(logits, 1) == y)

    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        (loss, accuracy), grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        grads, norm = optim.clip_grad_norm(grads, 2.0)
        optimizer.update(model, grads)
        return loss, accuracy, norm

    model.train()
    for i in range(steps):
        rows = slice(32 * (i % 4), 32 * (i % 4 + 1))
        loss, accuracy, norm = step(augmented(x[rows]), y[rows])
        mx.eval(state, loss)
        rate = optimizer.learning_rate.item()
        print(f"step {i} loss {loss.item():.6f} accuracy {accuracy.item():.4f} norm {norm.item():.5f} rate {rate:.6f}")

    model.eval()
    logits = model(test_x)
    print(f"test {nn.losses.cross_entropy(logits, test_y, reduction='mean').item():.5f}")
    running = dict(tree_flatten(model.parameters()))["bn1.running_mean"]
    print("running", " ".join(f"{v:.6f}" for v in running.tolist()))


if __name__ == "__main__":
    main()
