"""Trains a language model of two LSTM layers on the bytes of a text, as examples/cpp/lstm.cpp does.

python examples/python/lstm.py --data data/python.txt --save lstm.safetensors
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim

BYTES = 256


class LanguageModel(nn.Module):
    def __init__(self, dims=64, hidden=128, layers=2):
        super().__init__()
        self.tokens = nn.Embedding(BYTES, dims)
        self.lstm = nn.LSTM(dims, hidden, num_layers=layers)
        self.dropout = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, BYTES)

    def __call__(self, x):  # bytes (B, T) -> logits of the bytes that follow (B, T, 256)
        hidden, _ = self.lstm(self.tokens(x))
        return self.out(self.dropout(hidden))


def pieces(text, batch, length):
    """Random pieces of the text: inputs (B, T), and the bytes that follow them."""
    starts = mx.random.randint(0, text.size - length, (batch, 1))
    piece = text[starts + mx.arange(length + 1)]
    return piece[:, :-1], piece[:, 1:]


def train(model, text, options):
    optimizer = optim.Adam(options.rate)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]

    def loss_of(x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, gradients = nn.value_and_grad(model, loss_of)(x, y)
        gradients, _ = optim.clip_grad_norm(gradients, 1)
        optimizer.update(model, gradients)
        return loss

    losses = []
    for i in range(1, options.steps + 1):
        loss = step(*pieces(text, options.batch, options.length))
        mx.eval(loss, state)
        losses.append(loss.item())
        if i % 20 == 0 or i == options.steps:
            print(f"step {i}/{options.steps}  loss {sum(losses[-20:]) / len(losses[-20:]):.3f}", flush=True)
    return losses


def main():
    parser = argparse.ArgumentParser(description="Trains a language model of LSTM layers on bytes.")
    parser.add_argument("--data", type=Path, default="data/python.txt", help="a text file")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=64, help="bytes of a piece")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    model = LanguageModel()
    losses = train(model, mx.array(np.fromfile(options.data, np.uint8)), options)
    if options.save:
        model.save_weights(options.save)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")


if __name__ == "__main__":
    main()
