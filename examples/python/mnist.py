"""Trains a classifier of handwritten digits and saves it, as examples/cpp/mnist.cpp does.

python examples/python/mnist.py --compile --save digits.safetensors
python examples/python/mnist.py --load runs/mnist/model.safetensors
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(784, 256)
        self.l2 = nn.Linear(256, 10)

    def __call__(self, x):  # x (B, 28, 28, 1) -> (B, 10)
        return self.l2(nn.relu(self.l1(x.flatten(1))))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm(32)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(7 * 7 * 32, 10)

    def __call__(self, x):  # x (B, 28, 28, 1) -> (B, 10)
        x = self.pool(nn.relu(self.norm1(self.conv1(x))))  # (B, 14, 14, 16)
        x = self.pool(nn.relu(self.norm2(self.conv2(x))))  # (B, 7, 7, 32)
        return self.head(self.dropout(x.flatten(1)))


MODELS = {"cnn": Cnn, "mlp": Mlp}


def read_idx(path):
    """The array of an IDX file of bytes: two zero bytes, type 8, the number of axes, their lengths, the values."""
    data = path.read_bytes()
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def load(folder, part):
    """images (N, 28, 28, 1) float32 in [0, 1], labels (N,) uint8."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte")[..., None].astype(np.float32) / 255
    return mx.array(images), mx.array(read_idx(folder / f"{part}-labels-idx1-ubyte"))


def shifted(x, most, rng):
    """The images moved by up to `most` pixels each way, one way for the batch."""
    dy, dx = rng.integers(0, 2 * most + 1, size=2).tolist()
    wide = mx.pad(x, [(0, 0), (most, most), (most, most), (0, 0)])
    return wide[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]


def accuracy(model, images, labels):
    model.eval()
    right = mx.mean(mx.argmax(model(images), axis=1) == labels).item()
    model.train()
    return right


def train(model, options):
    images, labels = load(options.data, "train")
    test = load(options.data, "t10k")
    steps = len(labels) // options.batch
    optimizer = optim.AdamW(optim.cosine_decay(options.rate, options.epochs * steps), bias_correction=True)
    optimizer.init(model.trainable_parameters())

    def loss_of(x, y):
        logits = model(x)
        right = mx.mean(mx.argmax(logits, axis=1) == y)
        return nn.losses.cross_entropy(logits, y, reduction="mean"), right

    def step(x, y):
        values, gradients = nn.value_and_grad(model, loss_of)(x, y)
        optimizer.update(model, gradients)
        return values

    state = [model.state, optimizer.state]
    if options.compile:
        step = partial(mx.compile, inputs=state, outputs=state)(step)

    rng = np.random.default_rng(options.seed)
    for epoch in range(1, options.epochs + 1):
        order = mx.array(rng.permutation(len(labels)).astype(np.uint32))
        start, totals = time.perf_counter(), np.zeros(2)
        for i in range(steps):
            pick = order[i * options.batch : (i + 1) * options.batch]
            values = step(shifted(images[pick], options.shift, rng), labels[pick])
            mx.eval(values, state)
            totals += [v.item() for v in values]
        rate = steps * options.batch / (time.perf_counter() - start)
        loss, right = totals / steps
        tested = accuracy(model, *test)
        print(f"epoch {epoch}/{options.epochs}  loss {loss:.4f}  accuracy {right:.4f}  test {tested:.4f}", end="")
        print(f"  {rate:.0f} images/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Trains a classifier of handwritten digits.")
    parser.add_argument("--data", type=Path, default="data/mnist", help="folder of the four IDX files")
    parser.add_argument("--model", choices=MODELS, default="cnn")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate at the beginning")
    parser.add_argument("--shift", type=int, default=2, help="images are moved by up to this many pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    parser.add_argument("--load", metavar="FILE", help="read a saved model and print its test accuracy; no training")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    if options.load:
        weights, metadata = mx.load(options.load, return_metadata=True)
        model = MODELS[metadata["model"]]().load_weights(weights)
        print(f"{options.load}: test accuracy {accuracy(model, *load(options.data, 't10k')):.4f}")
        return
    model = MODELS[options.model]()
    train(model, options)
    if options.save:
        mx.save_safetensors(options.save, tree_flatten(model.parameters(), destination={}), {"model": options.model})


if __name__ == "__main__":
    main()
