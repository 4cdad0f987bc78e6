"""Words told apart by their spectra: synthetic sounds, mel features, a small transformer; prints losses."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

RATE, CLASSES = 4000, 5


def sounds(count, seed):
    """Half a second each: two gliding tones, of which the class decides the beginnings."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    t = np.arange(RATE // 2) / RATE
    glide = 1 + random.uniform(-0.1, 0.1, (count, 1)) * t
    low, high = 200 + 80 * labels[:, None], 1500 - 150 * labels[:, None]
    wave = np.sin(2 * np.pi * low * glide * t) + 0.5 * np.sin(2 * np.pi * high * glide * t)
    return (wave + 0.5 * random.standard_normal(wave.shape)).astype(np.float32), labels.astype(np.int32)


def mel_filters(n_mels, n_fft):
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), n_mels + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    f = np.fft.rfftfreq(n_fft, 1 / RATE)[:, None]
    rising = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    return mx.array(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def log_mel(audio, n_fft=128, hop=64, n_mels=16):
    frames = 1 + (audio.shape[1] - n_fft) // hop
    windows = mx.as_strided(audio, (audio.shape[0], frames, n_fft), (audio.shape[1], hop, 1))
    hann = mx.array(np.hanning(n_fft + 1)[:-1].astype(np.float32))
    power = mx.abs(mx.fft.rfft(windows * hann)).square()
    mel = mx.log10(mx.maximum(power @ mel_filters(n_mels, n_fft), 1e-6))
    return (mel - mel.mean()) / mx.sqrt(mel.var() + 1e-5)


class FeedForward(nn.Sequential):
    def __init__(self, dim, hidden_dim, dropout):
        super().__init__(
            nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_dim, dim), nn.Dropout(dropout)
        )


class Block(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.attn = nn.MultiHeadAttention(dim, heads)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ff = FeedForward(dim, 2 * dim, dropout)

    def __call__(self, x):
        y = self.norm1(x)
        x = x + self.attn(y, y, y)
        return x + self.ff(self.norm2(x))


class KWT(nn.Module):
    def __init__(self, frames, n_mels, dim=24, depth=2, heads=3, dropout=0.1):
        super().__init__()
        self.conv = nn.Conv1d(n_mels, dim, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm(dim)
        self.pool = nn.MaxPool1d(2)
        self.pos_embedding = mx.random.truncated_normal(-0.02, 0.02, (frames // 2 + 1, dim))
        self.cls_token = mx.random.truncated_normal(-0.02, 0.02, (dim,))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(*[Block(dim, heads, dropout) for _ in range(depth)])
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, CLASSES))

    def __call__(self, x):
        x = self.pool(nn.silu(self.bn(self.conv(x))))
        token = mx.broadcast_to(self.cls_token, (x.shape[0], 1, x.shape[2]))
        x = mx.concatenate([token, x], axis=1) + self.pos_embedding
        return self.head(self.layers(self.dropout(x))[:, 0])


def main():
    mx.random.seed(8)
    audio, y = map(mx.array, sounds(128, 1))
    test_audio, test_y = map(mx.array, sounds(64, 2))
    x, test_x = log_mel(audio), log_mel(test_audio)
    print("features", x.shape, f"{x[0, 0, 0].item():.5f} {x.max().item():.5f}")
    model = KWT(x.shape[1], x.shape[2])
    mx.eval(model.parameters())
    optimizer = optim.AdamW(learning_rate=optim.cosine_decay(4e-3, 24), betas=[0.9, 0.99], weight_decay=0.1)

    def loss_fn(model, x, y):
        logits = model(x)
        return nn.losses.cross_entropy(logits, y, reduction="mean"), mx.mean(mx.argmax(logits, axis=1) == y)

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        output, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        optimizer.update(model, grads)
        return output

    model.train()
    for i in range(24):
        rows = slice(32 * (i % 4), 32 * (i % 4 + 1))
        loss, accuracy = step(x[rows], y[rows])
        mx.eval(state)
        if i % 2 == 0:
            print(f"step {i} loss {loss.item():.6f} accuracy {accuracy.item():.4f}")
    model.eval()
    loss, accuracy = loss_fn(model, test_x, test_y)
    print(f"test loss {loss.item():.5f} accuracy {accuracy.item():.4f}")


if __name__ == "__main__":
    main()
