"""Trains a small GPT on bytes of Python programs, and lets it write one, as examples/cpp/gpt.cpp does.

python examples/python/gpt.py --save gpt.safetensors
python examples/python/gpt.py --load runs/gpt/model.safetensors
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

BYTES = 256


class Block(nn.Module):
    def __init__(self, dims, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attention = nn.MultiHeadAttention(dims, heads)
        self.norm2 = nn.LayerNorm(dims)
        self.up = nn.Linear(dims, 4 * dims)
        self.down = nn.Linear(4 * dims, dims)

    def __call__(self, x):  # x (B, T, dims) -> the same
        y = self.norm1(x)
        x = x + self.attention(y, y, y, "causal")
        return x + self.down(nn.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, dims=128, heads=4, layers=4, context=128):
        super().__init__()
        self.tokens = nn.Embedding(BYTES, dims)
        self.positions = nn.Embedding(context, dims)
        self.blocks = [Block(dims, heads) for _ in range(layers)]
        self.norm = nn.LayerNorm(dims)

    def __call__(self, x):  # bytes (B, T) -> logits of the bytes that follow (B, T, 256)
        y = self.tokens(x) + self.positions(mx.arange(x.shape[1]))
        for block in self.blocks:
            y = block(y)
        return self.tokens.as_linear(self.norm(y))


def load(path):
    """A model of a file's sizes, with its weights."""
    weights, metadata = mx.load(path, return_metadata=True)
    context, dims = weights["positions.weight"].shape
    layers = sum(name.endswith("norm1.weight") for name in weights)
    model = Gpt(dims, int(metadata["heads"]), layers, context)
    return model.load_weights(weights)


def pieces(text, batch, length):
    """Random pieces of the text: inputs (B, T), and the bytes that follow them."""
    starts = mx.random.randint(0, text.size - length, (batch, 1))
    piece = text[starts + mx.arange(length + 1)]
    return piece[:, :-1], piece[:, 1:]


def write(model, prompt, count):
    """The prompt and `count` bytes more, each drawn from what the model expects."""
    context = model.positions.weight.shape[0]

    @mx.compile
    def following(x, length):
        return mx.random.categorical(model(x)[0, length - 1] / 0.8)

    text = prompt.encode()
    for _ in range(count):
        # Padding after the text changes nothing: a byte does not see what follows.
        window = text[-context:]
        x = np.frombuffer(window.ljust(context), np.uint8)[None]
        text += bytes([following(mx.array(x), mx.array(len(window))).item()])
    return text.decode(errors="replace")


def train(model, options):
    data = np.fromfile(options.data, np.uint8)
    text = mx.array(data[: len(data) // 20 * 19])
    context = model.positions.weight.shape[0]

    def schedule(rate):
        warmup = options.steps // 20 + 1
        decay = optim.cosine_decay(rate, options.steps, rate / 20)
        return optim.join_schedules([optim.linear_schedule(0, rate, warmup), decay], [warmup])

    # Weights inside the blocks take Muon's steps, everything else AdamW's.
    muon = optim.Muon(schedule(10 * options.rate), weight_decay=0)
    adamw = optim.AdamW(schedule(options.rate), betas=(0.9, 0.99), weight_decay=0.1, bias_correction=True)
    optimizer = optim.MultiOptimizer({"blocks.*.weight": muon, "*": adamw}, model)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]

    def loss_of(x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, gradients = nn.value_and_grad(model, loss_of)(x, y)
        optimizer.update(model, optim.clip_grad_norm(gradients, 1))
        return loss

    start = time.perf_counter()
    for i in range(1, options.steps + 1):
        loss = step(*pieces(text, options.batch, context))
        mx.eval(loss, state)
        if i % 50 == 0 or i == options.steps:
            rate = i * options.batch * context / (time.perf_counter() - start)
            print(f"step {i}/{options.steps}  loss {loss.item():.3f}  {rate:,.0f} bytes/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Trains a small GPT on bytes of Python programs.")
    parser.add_argument("--data", type=Path, default="data/python.txt", help="a text file")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--rate", type=float, default=3e-3, help="highest learning rate of AdamW; Muon's is ten times that"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", default="def ", help="what the sample begins with")
    parser.add_argument("--sample", type=int, default=600, help="length of the sample in bytes")
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    parser.add_argument("--load", metavar="FILE", help="read a saved model and let it write; no training")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    if options.load:
        model = load(options.load)
    else:
        model = Gpt()
        train(model, options)
    if options.save:
        weights = tree_flatten(model.parameters(), destination={})
        mx.save_safetensors(options.save, weights, {"heads": str(model.blocks[0].attention.num_heads)})
    print(write(model, options.prompt, options.sample))


if __name__ == "__main__":
    main()
