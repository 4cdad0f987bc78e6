"""Trains a classifier of handwritten digits, as examples/cpp/mnist.cpp does.

python examples/python/mnist.py --compile --save digits.safetensors
python examples/python/mnist.py --load digits.safetensors
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import treadle.core as mx
from treadle.utils import tree_flatten

import treadle.nn as nn
import treadle.optimizers as optim


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(784, 256)
        self.l2 = nn.Linear(256, 10)

    def __call__(self, x):
        return self.l2(nn.relu(self.l1(x.reshape(x.shape[0], -1))))


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

    def __call__(self, x):
        y = self.pool(nn.relu(self.norm1(self.conv1(x))))  # (B, 14, 14, 16)
        y = self.pool(nn.relu(self.norm2(self.conv2(y))))  # (B, 7, 7, 32)
        return self.head(self.dropout(y.reshape(y.shape[0], -1)))


MODELS = {"mlp": Mlp, "cnn": Cnn}


def read_idx(path):
    """An array of an IDX file of bytes: two zero bytes, type 8, the number of axes, their lengths, the values."""
    data = path.read_bytes()
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def load(folder, part):
    """images (N, 28, 28, 1) float32 in [0, 1], labels (N,) uint8."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte")[..., None].astype(np.float32) / 255
    return mx.array(images), mx.array(read_idx(folder / f"{part}-labels-idx1-ubyte"))


def accuracy(model, images, labels):
    model.eval()
    right = mx.mean(mx.argmax(model(images), axis=1) == labels).item()
    model.train()
    return right


def train(model, options):
    images, labels = load(options.data, "train")
    test = load(options.data, "t10k")
    optimizer = optim.SGD(options.rate, momentum=0.9)
    optimizer.init(model.trainable_parameters())

    def loss_of(x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    loss_and_gradients = nn.value_and_grad(model, loss_of)

    def step(x, y):
        loss, gradients = loss_and_gradients(x, y)
        optimizer.update(model, gradients)
        return loss

    state = [model.state, optimizer.state]
    if options.compile:
        step = partial(mx.compile, inputs=state, outputs=state)(step)

    rng = np.random.default_rng(options.seed)
    steps = len(labels) // options.batch
    for epoch in range(1, options.epochs + 1):
        order = mx.array(rng.permutation(len(labels)).astype(np.uint32))
        start, total = time.perf_counter(), 0.0
        for i in range(steps):
            pick = order[i * options.batch : (i + 1) * options.batch]
            loss = step(images[pick], labels[pick])
            mx.eval(loss, state)
            total += loss.item()
        rate = steps * options.batch / (time.perf_counter() - start)
        line = f"epoch {epoch:2}  loss {total / steps:.4f}  test accuracy {accuracy(model, *test):.4f}"
        print(f"{line}  {rate:.0f} images/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Trains a classifier of handwritten digits.")
    parser.add_argument("--data", type=Path, default="data/mnist", help="folder of the four IDX files")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate")
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
        mx.save_safetensors(options.save, dict(tree_flatten(model.parameters())), {"model": options.model})


if __name__ == "__main__":
    main()
