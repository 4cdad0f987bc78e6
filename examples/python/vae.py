"""Trains a variational autoencoder (Kingma & Welling 2014) on small pictures, as examples/cpp/vae.cpp does.

The pictures are made on the spot: a bright spot at a random place of a dark square.

python examples/python/vae.py
"""

import argparse
from functools import partial

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim

SIZE = 12


class Vae(nn.Module):
    def __init__(self, latent=4, hidden=64):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(SIZE * SIZE, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decode = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, SIZE * SIZE))

    def __call__(self, x):
        """Logits of the pixels of x (B, SIZE * SIZE), and the mean and log variance (B, latent) they come from."""
        mean, log_var = mx.split(self.encode(x), 2, axis=-1)
        z = mean + mx.exp(0.5 * log_var) * mx.random.normal(mean.shape)
        return self.decode(z), mean, log_var


def pictures(count):
    """(count, SIZE * SIZE) with pixels in [0, 1]."""
    at = mx.arange(SIZE)
    x, y = mx.random.uniform(2, SIZE - 3, (2, count, 1))
    spot = mx.exp(-mx.square(at - x) / 4)[:, None, :] * mx.exp(-mx.square(at - y) / 4)[:, :, None]
    return spot.reshape(count, -1)


def negative_elbo(model, x):
    logits, mean, log_var = model(x)
    pixels = nn.losses.binary_cross_entropy(logits, x, reduction="none").sum(-1)
    divergence = 0.5 * (mx.exp(log_var) + mx.square(mean) - 1 - log_var).sum(-1)
    return (pixels + divergence).mean()


def train(model, options):
    optimizer = optim.Adam(options.rate)
    optimizer.init(model.trainable_parameters())
    # The noise is drawn inside of the step: it differs every time.
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        loss, gradients = nn.value_and_grad(model, partial(negative_elbo, model))(x)
        optimizer.update(model, gradients)
        return loss

    losses = []
    for i in range(1, options.steps + 1):
        loss = step(pictures(options.batch))
        mx.eval(loss, state)
        losses.append(loss.item())
        if i % 100 == 0 or i == options.steps:
            print(f"step {i}/{options.steps}  loss {losses[-1]:.2f}", flush=True)
    return losses


def show(picture):
    """A picture in letters."""
    for row in picture.reshape(SIZE, SIZE).tolist():
        print("  " + "".join(" .:-=+*#%@"[min(int(v * 10), 9)] for v in row))


def main():
    parser = argparse.ArgumentParser(description="Trains a variational autoencoder on small pictures.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="write the weights here, as safetensors")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    model = Vae()
    losses = train(model, options)
    if options.save:
        model.save_weights(options.save)
    show(mx.sigmoid(model.decode(mx.random.normal((1, 4)))))
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")


if __name__ == "__main__":
    main()
