"""Runs the Python blocks of a page about MLX as they stand, each by itself, on Treadle.

    python tools/run_blocks.py PAGE.md [--until HEADING]

A block may use what such pages take for granted: mx, nn, optim, tree_map; a model with `layers`, `encoder`, `decoder`
and a part whose name has "lora"; x, y and a dataset of such pairs; loss_fn, an optimizer, grads, accumulation_steps; a
Linear layer. MyLayer is what the page defines, if it does so before. Prints a line for each block and exits with the
number of those that failed.
"""

import argparse
import re
import sys
import traceback
from pathlib import Path

BLOCK = re.compile(r"^(#+ [^\n]*)$|^```python\n(.*?)^```$", re.M | re.S)


def blocks(text, until):
    """Pairs of heading and code."""
    heading = ""
    for found in BLOCK.finditer(text):
        title, code = found.groups()
        if title:
            heading = title.lstrip("# ").strip()
        if heading == until:
            return
        if code:
            yield heading, code


def surroundings():
    """What a block takes for granted; made anew for each, since blocks change it."""
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    from mlx.utils import tree_map  # noqa: F401 (is handed on with the others)

    class Layer(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.linear = nn.Linear(dims, dims)
            self.lora_a = nn.Linear(dims, 2)

        def __call__(self, x):
            return nn.relu(self.linear(x)) + self.lora_a(x).sum(axis=-1, keepdims=True)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 16)
            self.layers = [Layer(16), Layer(16)]

        def __call__(self, x):
            x = self.first(x)
            for layer in self.layers:
                x = layer(x)
            return x

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = Encoder(), nn.Linear(16, 3)

        layers = property(lambda self: self.encoder.layers)

        def __call__(self, x):
            return self.decoder(self.encoder(x))

    mx.random.seed(0)
    model = Model()

    def loss_fn(model, x, y):
        return nn.losses.cross_entropy(model(x), y).mean()

    dataset = [(mx.random.normal((4, 8)), mx.array([0, 1, 2, 1])) for _ in range(6)]
    x, y = dataset[0]
    optimizer = optim.AdamW(learning_rate=1e-3)
    optimizer.init(model.trainable_parameters())
    _, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
    names = {k: v for k, v in locals().items() if k not in ("Layer", "Encoder", "Model")}
    return names | {"accumulation_steps": 3, "linear_layer": nn.Linear(4, 4)}


def run(page, until=None):
    from treadle import mlx

    mlx.install()
    failed, defined = 0, {}
    for i, (heading, code) in enumerate(blocks(page.read_text(), until)):
        names = surroundings() | defined
        model, x, y = names["model"], names["x"], names["y"]
        try:
            exec(compile(code, f"{page.name}, block {i}", "exec"), names)
            # The model that the block has left behind still works.
            assert names["mx"].isfinite(names["loss_fn"](model, x, y)).item()
        except Exception:
            failed += 1
            print(f"FAILED {i:2} {heading}")
            traceback.print_exc()
        else:
            print(f"ok     {i:2} {heading}")
        defined |= {k: v for k, v in names.items() if k == "MyLayer"}
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--until", help="leave out this heading and what follows it")
    arguments = parser.parse_args()
    sys.exit(run(arguments.page, arguments.until))
