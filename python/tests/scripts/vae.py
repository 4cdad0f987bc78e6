"""A convolutional variational autoencoder of small grey images; prints losses and what it draws."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np


def upsample_nearest(x, scale: int = 2):
    b, h, w, c = x.shape
    x = mx.broadcast_to(x[:, :, None, :, None, :], (b, h, scale, w, scale, c))
    return x.reshape(b, h * scale, w * scale, c)


class UpsamplingConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)

    def __call__(self, x):
        return self.conv(upsample_nearest(x))


class Encoder(nn.Module):
    def __init__(self, num_latent_dims, size, filters):
        super().__init__()
        self.conv1 = nn.Conv2d(1, filters, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(filters, 2 * filters, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm(filters)
        self.bn2 = nn.BatchNorm(2 * filters)
        flat = 2 * filters * (size // 4) ** 2
        self.proj_mu = nn.Linear(flat, num_latent_dims)
        self.proj_log_var = nn.Linear(flat, num_latent_dims)

    def __call__(self, x):
        x = nn.leaky_relu(self.bn1(self.conv1(x)))
        x = nn.leaky_relu(self.bn2(self.conv2(x)))
        x = mx.flatten(x, 1)
        mu, logvar = self.proj_mu(x), self.proj_log_var(x)
        sigma = mx.exp(logvar * 0.5)
        return mx.random.normal(sigma.shape) * sigma + mu, mu, logvar


class Decoder(nn.Module):
    def __init__(self, num_latent_dims, size, filters):
        super().__init__()
        self.shape = (size // 4, size // 4, 2 * filters)
        self.lin1 = nn.Linear(num_latent_dims, size * size // 16 * 2 * filters)
        self.upconv1 = UpsamplingConv2d(2 * filters, filters, 3, stride=1, padding=1)
        self.upconv2 = nn.ConvTranspose2d(filters, 1, 4, stride=2, padding=1)
        self.bn1 = nn.BatchNorm(filters)

    def __call__(self, z):
        x = self.lin1(z).reshape(-1, *self.shape)
        x = nn.leaky_relu(self.bn1(self.upconv1(x)))
        return mx.sigmoid(self.upconv2(x))


class CVAE(nn.Module):
    def __init__(self, num_latent_dims=4, size=16, filters=8):
        super().__init__()
        self.encoder = Encoder(num_latent_dims, size, filters)
        self.decoder = Decoder(num_latent_dims, size, filters)

    def __call__(self, x):
        z, mu, logvar = self.encoder(x)
        return self.decoder(z), mu, logvar


def loss_fn(model, X):
    X_recon, mu, logvar = model(X)
    recon_loss = nn.losses.mse_loss(X_recon, X, reduction="sum")
    kl_div = -0.5 * mx.sum(1 + logvar - mu.square() - logvar.exp())
    return recon_loss + kl_div


def images(count):
    random = np.random.default_rng(3)
    y, x = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    cy, cx, r = random.uniform(5, 11, (3, count, 1, 1)) * np.array([1, 1, 0.4]).reshape(3, 1, 1, 1)
    return np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / r**2).astype(np.float32)[..., None]


def main():
    mx.random.seed(4)
    data = mx.array(images(96))
    model = CVAE()
    mx.eval(model.parameters())
    optimizer = optim.AdamW(learning_rate=3e-3)
    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(X):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, X)
        optimizer.update(model, grads)
        return loss

    model.train()
    for i in range(15):
        begin = 32 * (i % 3)
        loss = step(data[begin : begin + 32])
        mx.eval(state)
        print(f"step {i} loss {loss.item() / 32:.6f}")

    model.eval()
    drawn = model.decoder(mx.random.normal((4, 4)))
    # Nearest below 1, in eight-bit greys, as it would be saved.
    grey = (drawn * 255).astype(mx.uint8).astype(mx.float32)
    print("drawn", " ".join(f"{v:.2f}" for v in grey.mean(axis=(1, 2, 3)).tolist()))


if __name__ == "__main__":
    main()
