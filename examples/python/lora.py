"""Adapts a trained network with low-rank updates (Hu et al. 2021), as examples/cpp/lora.cpp does.

A network learns a function; then it is frozen, its layers get two small factors each, and these alone learn another.

python examples/python/lora.py
"""

import argparse

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten


class LoraLinear(nn.Linear):
    """A linear layer plus scale x A^T B^T. B starts at 0, so that nothing changes at first."""

    def __init__(self, linear, rank=2, scale=4.0):
        outputs, inputs = linear.weight.shape
        super().__init__(inputs, outputs, bias="bias" in linear)
        self.update(linear.parameters())
        self.scale = scale
        self.lora_a = nn.init.he_normal()((rank, inputs))
        self.lora_b = mx.zeros((outputs, rank))

    def __call__(self, x):
        return super().__call__(x) + self.scale * (x @ self.lora_a.T) @ self.lora_b.T


class Mlp(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.layers = [nn.Linear(2, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nn.gelu(layer(x))
        return self.layers[-1](x)


def train(model, target, steps, rate):
    """Returns the losses of fitting target(x), x in [-1, 1]^2."""
    optimizer = optim.Adam(rate)

    def loss_of(x):
        return nn.losses.mse_loss(model(x), target(x), reduction="mean")

    losses = []
    for _ in range(steps):
        loss, gradients = nn.value_and_grad(model, loss_of)(mx.random.uniform(-1, 1, (64, 2)))
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    return losses


def count(parameters):
    return sum(v.size for _, v in tree_flatten(parameters))


def main():
    parser = argparse.ArgumentParser(description="Adapts a trained network with low-rank updates.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    model = Mlp()
    losses = train(model, lambda x: mx.sin(3 * x[:, :1]) * x[:, 1:], options.steps, options.rate)
    print(f"base: loss {losses[0]:.4f} -> {losses[-1]:.4f}, {count(model.trainable_parameters()):,} trainable numbers")

    model.freeze()
    model.layers = [LoraLinear(layer) for layer in model.layers]
    model.freeze()
    model.unfreeze(keys=["lora_a", "lora_b"])
    frozen = model.layers[1].weight
    losses = train(model, lambda x: mx.sin(3 * x[:, 1:]) * x[:, :1], options.steps, options.rate)
    assert mx.array_equal(frozen, model.layers[1].weight)
    if options.save:
        model.save_weights(options.save)
    print(f"adapted: {count(model.trainable_parameters()):,} trainable numbers")
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")


if __name__ == "__main__":
    main()
