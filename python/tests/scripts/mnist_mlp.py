"""A multilayer perceptron on images of ten classes, as MLX users write it; prints losses and accuracies."""

import argparse
import time
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np


class MLP(nn.Module):
    def __init__(self, num_layers: int, input_dim: int, hidden_dim: int, output_dim: int):
        super().__init__()
        sizes = [input_dim] + [hidden_dim] * num_layers + [output_dim]
        self.layers = [nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:])]  # noqa: B905

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nn.relu(layer(x))
        return self.layers[-1](x)


def loss_fn(model, x, y):
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def images(count, seed):
    """Blurred strokes: ten prototypes, shifted and noisy."""
    prototypes = np.random.default_rng(0).random((10, 28, 28)) > 0.8
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    shifted = [np.roll(prototypes[y], random.integers(-1, 2, 2), (0, 1)) for y in labels]
    noisy = np.stack(shifted) + 0.3 * random.standard_normal((count, 28, 28))
    return noisy.reshape(count, -1).astype(np.float32), labels.astype(np.uint32)


def batch_iterate(batch_size, x, y):
    order = mx.array(np.random.permutation(y.size))
    for start in range(0, y.size, batch_size):
        ids = order[start : start + batch_size]
        yield x[ids], y[ids]


def main(args):
    np.random.seed(args.seed)
    mx.random.seed(args.seed)
    train_x, train_y = map(mx.array, images(1024, 1))
    test_x, test_y = map(mx.array, images(256, 2))

    model = MLP(2, train_x.shape[-1], 32, 10)
    mx.eval(model.parameters())
    optimizer = optim.SGD(learning_rate=0.1)
    loss_and_grad_fn = nn.value_and_grad(model, loss_fn)

    @partial(mx.compile, inputs=model.state, outputs=model.state)
    def step(x, y):
        loss, grads = loss_and_grad_fn(model, x, y)
        optimizer.update(model, grads)
        return loss

    @partial(mx.compile, inputs=model.state)
    def accuracy(x, y):
        return mx.mean(mx.argmax(model(x), axis=1) == y)

    for epoch in range(args.epochs):
        tic = time.perf_counter()
        losses = []
        for x, y in batch_iterate(args.batch_size, train_x, train_y):
            losses.append(step(x, y))
            mx.eval(model.state)
        assert time.perf_counter() > tic
        print(f"epoch {epoch} loss {mx.stack(losses).mean().item():.7f} accuracy {accuracy(test_x, test_y).item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=128)
    main(parser.parse_args())
