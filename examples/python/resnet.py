"""Trains ResNet-20 (He et al. 2016) on handwritten digits, as examples/cpp/resnet.cpp does.

python examples/python/resnet.py --save digits.safetensors
python examples/python/resnet.py --load runs/resnet/model.safetensors
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm(outputs)
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def __call__(self, x):  # x (B, H, W, inputs) -> (B, H', W', outputs)
        y = self.norm2(self.conv2(nn.relu(self.norm1(self.conv1(x)))))
        return nn.relu(y + (self.shortcut(x) if "shortcut" in self else x))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm(16)
        sizes = [(16, 16), (16, 16), (16, 16), (16, 32), (32, 32), (32, 32), (32, 64), (64, 64), (64, 64)]
        self.blocks = [Block(a, b, 1 if a == b else 2) for a, b in sizes]
        self.head = nn.Linear(64, 10)

    def __call__(self, x):  # x (B, H, W, 1) -> (B, 10)
        y = nn.relu(self.norm(self.conv(x)))
        for block in self.blocks:
            y = block(y)
        return self.head(mx.mean(y, axis=(1, 2)))


def read_idx(path):
    """The array of an IDX file of bytes: two zero bytes, type 8, the number of axes, their lengths, the values."""
    data = path.read_bytes()
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def load(folder, part):
    """images (N, 28, 28, 1) of mean 0 and deviation 1, labels (N,) uint8."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte")[..., None].astype(np.float32)
    return mx.array((images / 255 - 0.13) / 0.31), mx.array(read_idx(folder / f"{part}-labels-idx1-ubyte"))


def accuracy(model, images, labels):
    model.eval()
    right = mx.mean(mx.argmax(model(images), axis=1) == labels).item()
    model.train()
    return right


def train(model, options):
    images, labels = load(options.data, "train")
    test = load(options.data, "t10k")
    steps = len(labels) // options.batch
    schedule = optim.cosine_decay(options.rate, options.epochs * steps)
    optimizer = optim.SGD(schedule, momentum=0.9, weight_decay=5e-4, nesterov=True)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]

    def loss_of(x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, gradients = nn.value_and_grad(model, loss_of)(x, y)
        optimizer.update(model, gradients)
        return loss

    for epoch in range(1, options.epochs + 1):
        order = mx.argsort(mx.random.uniform(shape=(len(labels),)))
        start, total = time.perf_counter(), 0
        for i in range(steps):
            pick = order[i * options.batch : (i + 1) * options.batch]
            loss = step(images[pick], labels[pick])
            mx.eval(loss, state)
            total += loss.item()
        rate = steps * options.batch / (time.perf_counter() - start)
        print(f"epoch {epoch}/{options.epochs}  loss {total / steps:.4f}  test {accuracy(model, *test):.4f}", end="")
        print(f"  {rate:.0f} images/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Trains ResNet-20 on handwritten digits.")
    parser.add_argument("--data", type=Path, default="data/mnist", help="folder of the four IDX files")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate at the beginning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    parser.add_argument("--load", metavar="FILE", help="read a saved model and print its test accuracy; no training")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    model = ResNet20()
    if options.load:
        model.load_weights(options.load)
        print(f"{options.load}: test accuracy {accuracy(model, *load(options.data, 't10k')):.4f}")
        return
    train(model, options)
    if options.save:
        model.save_weights(options.save)


if __name__ == "__main__":
    main()
