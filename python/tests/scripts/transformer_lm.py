"""A transformer over characters of a text, with warmup, checkpointed layers and weights on disk; prints losses."""

import math
import os
import tempfile
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map

TEXT = (
    os.__doc__
    + math.__doc__
    + str.split.__doc__
    + dict.update.__doc__
    + "the quick brown fox jumps over the dog. " * 40
)


class TransformerLM(nn.Module):
    def __init__(self, vocab_size, num_layers, dims, num_heads, checkpoint):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dims)
        self.pe = nn.SinusoidalPositionalEncoding(dims)
        # A smooth activation: at the kink of a ReLU the last bit decides over a gradient.
        self.transformer = nn.TransformerEncoder(
            num_layers, dims, num_heads, activation=nn.gelu, norm_first=True, checkpoint=checkpoint
        )
        self.out_proj = nn.Linear(dims, vocab_size)

    def __call__(self, x):
        length = x.shape[1]
        mask = nn.MultiHeadAttention.create_additive_causal_mask(length)
        x = self.embedding(x) + self.pe(mx.arange(length))
        return self.out_proj(self.transformer(x, mask))


def to_samples(context_size, dataset):
    tokens = dataset.size
    window = context_size + 1
    samples = tokens - window + 1
    x = np.lib.stride_tricks.as_strided(dataset, shape=(samples, window), strides=(dataset.itemsize, dataset.itemsize))
    return x[:, :-1], x[:, 1:]


def iterate_batches(batch_size, context_size, dataset):
    inputs, targets = to_samples(context_size, dataset)
    while True:
        for ids in np.split(np.random.permutation(len(inputs)), range(batch_size, len(inputs), batch_size)):
            yield inputs[ids], targets[ids]


def main():
    np.random.seed(0)
    mx.random.seed(0)
    characters = sorted(set(TEXT))
    dataset = np.array([characters.index(c) for c in TEXT], dtype=np.uint32)
    model = TransformerLM(len(characters), 2, 32, 4, checkpoint=True)
    mx.eval(model.parameters())
    nparams = sum(x.size for k, x in tree_flatten(model.parameters()) if "embedding" not in k)
    print(f"training a transformer with {nparams} parameters")

    def loss_fn(model, x, y, reduce=True):
        losses = nn.losses.cross_entropy(model(x), y)
        return mx.mean(losses) if reduce else mx.mean(losses, axis=(-1, -2))

    optimizer = optim.AdamW(learning_rate=0, weight_decay=1e-5)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(inputs, targets):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, inputs, targets)
        optimizer.update(model, grads)
        return loss

    batches = iterate_batches(8, 24, dataset)
    for it in range(16):
        inputs, targets = next(batches)
        optimizer.learning_rate = min(1, (it + 1) / 4) * 3e-3
        loss = step(mx.array(inputs), mx.array(targets))
        mx.eval(state)
        print(f"iter {it} loss {loss.item():.6f}")

    # Gradients of two batches together.
    total = None
    for _ in range(2):
        inputs, targets = map(mx.array, next(batches))
        _, grads = nn.value_and_grad(model, loss_fn)(model, inputs, targets)
        total = grads if total is None else tree_map(lambda a, b: a + b, total, grads)
    optimizer.update(model, tree_map(lambda g: g / 2, total))
    mx.eval(model.parameters(), optimizer.state)

    inputs, targets = map(mx.array, next(batches))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.npz")
        model.save_weights(path)
        again = TransformerLM(len(characters), 2, 32, 4, checkpoint=False)
        again.load_weights(path)
        losses = [loss_fn(m, inputs, targets, reduce=False).item() for m in (model, again)]
    print(f"perplexity {math.exp(losses[0]):.5f} {math.exp(losses[1]):.5f}")


if __name__ == "__main__":
    main()
