"""Writes nn_cases.json: the parity table of layers, with the values that MLX computes for them.

    python tests/cases/make_nn_cases.py        (needs the wheels mlx and mlx-cpu)

A row is a class, its constructor arguments and the shape of its input; ROWS below is the table. Both front doors
run it: tests/nn/parity_test.cpp and python/tests. Parameters and inputs are filled by `fill`, so no random numbers
are compared.
"""

import json
import re
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

# (class, positional arguments, keyword arguments, input shape, options)
ROWS = [
    ("Identity", [], {}, [2, 3], {}),
    ("Linear", [4, 3], {}, [2, 4], {}),
    ("Linear", [4, 3], {"bias": False}, [2, 5, 4], {}),
    ("Sigmoid", [], {}, [2, 5], {}),
    ("Tanh", [], {}, [2, 5], {}),
    ("ReLU", [], {}, [2, 5], {}),
    ("ReLU2", [], {}, [2, 5], {}),
    ("ReLU6", [], {}, [2, 5], {"scale": 8}),
    ("LeakyReLU", [], {}, [2, 5], {}),
    ("LeakyReLU", [0.2], {}, [2, 5], {}),
    ("ELU", [], {}, [2, 5], {}),
    ("ELU", [0.5], {}, [2, 5], {}),
    ("CELU", [], {}, [2, 5], {}),
    ("CELU", [0.5], {}, [2, 5], {}),
    ("SELU", [], {}, [2, 5], {}),
    ("SiLU", [], {}, [2, 5], {}),
    ("GELU", [], {}, [2, 5], {"scale": 3}),
    ("GELU", ["precise"], {}, [2, 5], {"scale": 3}),
    ("GELU", ["tanh"], {}, [2, 5], {"scale": 3}),
    ("GELU", ["fast"], {}, [2, 5], {"scale": 3}),
    ("Mish", [], {}, [2, 5], {}),
    ("Hardswish", [], {}, [2, 5], {"scale": 5}),
    ("HardTanh", [], {}, [2, 5], {"scale": 2}),
    ("HardShrink", [], {}, [2, 5], {}),
    ("HardShrink", [0.25], {}, [2, 5], {}),
    ("Softshrink", [], {}, [2, 5], {}),
    ("Softshrink", [0.25], {}, [2, 5], {}),
    ("Softplus", [], {}, [2, 5], {"scale": 4}),
    ("Softsign", [], {}, [2, 5], {}),
    ("Softmax", [], {}, [2, 5], {}),
    ("Softmin", [], {}, [2, 5], {}),
    ("LogSoftmax", [], {}, [2, 5], {"scale": 4}),
    ("LogSigmoid", [], {}, [2, 5], {}),
    ("Step", [], {}, [2, 5], {}),
    ("Step", [0.5], {}, [2, 5], {}),
    ("GLU", [], {}, [2, 6], {}),
    ("GLU", [0], {}, [2, 6], {}),
    ("PReLU", [], {}, [2, 5], {}),
    ("PReLU", [5, 0.1], {}, [2, 5], {}),
    ("Conv2d", [2, 3, 3], {}, [2, 5, 5, 2], {}),
    ("Conv2d", [2, 4, [3, 2]], {"stride": [2, 1], "padding": [1, 0], "bias": False}, [1, 6, 5, 2], {}),
    ("Conv2d", [4, 6, 3], {"padding": 2, "dilation": 2, "groups": 2}, [1, 6, 6, 4], {}),
    ("Conv1d", [2, 3, 3], {}, [2, 7, 2], {}),
    ("Conv1d", [4, 6, 2], {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}, [1, 8, 4], {}),
    ("Conv3d", [2, 3, 2], {}, [1, 3, 4, 3, 2], {}),
    ("Conv3d", [2, 3, [1, 2, 3]], {"stride": [2, 1, 1], "padding": [0, 1, 1], "bias": False}, [1, 3, 3, 3, 2], {}),
    ("ConvTranspose1d", [2, 3, 3], {}, [2, 5, 2], {}),
    ("ConvTranspose1d", [2, 3, 3], {"stride": 2, "padding": 1, "output_padding": 1}, [1, 4, 2], {}),
    ("ConvTranspose2d", [2, 3, 3], {"stride": 2, "bias": False}, [1, 3, 4, 2], {}),
    ("ConvTranspose2d", [2, 3, [2, 3]], {"stride": [1, 2], "padding": [1, 0]}, [1, 3, 3, 2], {}),
    ("ConvTranspose3d", [2, 2, 2], {"stride": 2, "padding": 1}, [1, 2, 3, 2, 2], {}),
    ("MaxPool2d", [2], {}, [1, 4, 6, 2], {}),
    ("MaxPool2d", [[3, 2]], {"stride": [2, 1], "padding": [1, 1]}, [1, 5, 4, 2], {}),
    ("AvgPool2d", [2], {}, [1, 4, 6, 2], {}),
    ("AvgPool2d", [3], {"stride": 2, "padding": 1}, [1, 5, 5, 2], {}),
    ("BatchNorm", [3], {}, [6, 3], {}),
    ("BatchNorm", [3], {}, [2, 3, 3, 3], {}),
    ("BatchNorm", [3], {"eps": 1e-3, "momentum": 0.3, "affine": False}, [4, 5, 3], {}),
    ("BatchNorm", [3], {"track_running_stats": False}, [6, 3], {"training": False}),
    ("BatchNorm", [3], {}, [6, 3], {"training": False}),
    ("Dropout", [0.25], {}, [2, 5], {"training": False}),
    ("Dropout", [0.0], {}, [2, 5], {}),
    ("Dropout2d", [0.25], {}, [2, 3, 3, 2], {"training": False}),
    ("Dropout3d", [0.0], {}, [2, 3, 3, 2, 2], {}),
    ("Bilinear", [4, 4, 3], {}, [2, 5, 4], {"call": "pair"}),
    ("Bilinear", [4, 4, 3], {"bias": False}, [3, 4], {"call": "pair"}),
    ("Embedding", [7, 3], {}, [2, 5], {"integers": 7}),
    ("Embedding", [7, 3], {}, [], {"integers": 7}),
    ("LayerNorm", [5], {}, [2, 3, 5], {}),
    ("LayerNorm", [5, 1e-2], {"bias": False}, [3, 5], {}),
    ("LayerNorm", [5], {"affine": False}, [5], {}),
    ("RMSNorm", [5], {}, [2, 3, 5], {}),
    ("RMSNorm", [5, 1e-2], {}, [3, 5], {}),
    ("GroupNorm", [2, 6], {}, [2, 3, 3, 6], {}),
    ("GroupNorm", [3, 6, 1e-3], {"pytorch_compatible": True}, [2, 4, 6], {}),
    ("GroupNorm", [6, 6], {"affine": False}, [2, 4, 6], {}),
    ("InstanceNorm", [3], {}, [2, 4, 4, 3], {}),
    ("InstanceNorm", [3, 1e-3], {"affine": True}, [2, 5, 3], {}),
    ("RoPE", [4], {}, [2, 3, 5, 6], {}),
    ("RoPE", [6, True], {"base": 100, "scale": 0.5}, [1, 5, 6], {}),
    ("SinusoidalPositionalEncoding", [6], {}, [2, 3], {"scale": 5}),
    (
        "SinusoidalPositionalEncoding",
        [4],
        {"min_freq": 0.01, "max_freq": 2, "scale": 1.5, "cos_first": True, "full_turns": True},
        [3],
        {},
    ),
    ("SinusoidalPositionalEncoding", [2], {}, [3], {}),
    ("ALiBi", [], {}, [2, 3, 4, 5], {}),
    ("ALiBi", [], {}, [1, 8, 2, 3], {}),
    ("MultiHeadAttention", [6, 2], {}, [2, 4, 6], {"call": "triple"}),
    ("MultiHeadAttention", [6, 3], {"bias": True}, [2, 4, 6], {"call": "causal"}),
    (
        "MultiHeadAttention",
        [6, 2],
        {"query_input_dims": 4, "key_input_dims": 4, "value_dims": 8, "value_output_dims": 3},
        [1, 5, 4],
        {"call": "triple"},
    ),
    ("TransformerEncoderLayer", [4, 2], {}, [2, 3, 4], {"call": "masks 1"}),
    ("TransformerEncoderLayer", [4, 2, 6], {"norm_first": False}, [2, 3, 4], {"call": "masks 1"}),
    ("TransformerEncoder", [2, 4, 2, 6], {}, [2, 3, 4], {"call": "masks 1"}),
    ("TransformerDecoderLayer", [4, 2, 6], {}, [2, 3, 4], {"call": "pair masks 2"}),
    ("TransformerDecoderLayer", [4, 2, 6], {"norm_first": False}, [2, 3, 4], {"call": "pair masks 2"}),
    ("TransformerDecoder", [1, 4, 2, 6], {}, [2, 3, 4], {"call": "pair masks 2"}),
    ("Transformer", [4, 2, 1, 1, 6], {}, [2, 3, 4], {"call": "pair masks 3"}),
    ("MaxPool1d", [2], {}, [2, 7, 2], {}),
    ("MaxPool3d", [2], {"stride": 1, "padding": [0, 1, 1]}, [1, 3, 3, 4, 2], {}),
    ("AvgPool1d", [3], {"stride": 2, "padding": 1}, [2, 7, 2], {}),
    ("AvgPool3d", [[1, 2, 2]], {}, [1, 3, 4, 4, 2], {}),
    ("Upsample", [2], {}, [1, 3, 4, 2], {}),
    ("Upsample", [[1.5, 0.7]], {}, [1, 4, 5, 2], {}),
    ("Upsample", [1.5, "linear"], {}, [1, 3, 4, 2], {}),
    ("Upsample", [2, "linear"], {"align_corners": True}, [2, 5, 2], {}),
    ("Upsample", [[0.5, 0.4], "linear"], {"antialias": True}, [1, 6, 5, 2], {}),
    ("Upsample", [2, "cubic"], {}, [1, 4, 3, 2], {}),
    ("Upsample", [0.4, "cubic"], {"antialias": True}, [1, 9, 2], {}),
    ("RNN", [4, 3], {}, [2, 5, 4], {}),
    ("RNN", [4, 3], {"bias": False}, [5, 4], {}),
    ("GRU", [4, 3], {}, [2, 5, 4], {}),
    ("GRU", [4, 3], {"bias": False}, [5, 4], {}),
    ("LSTM", [4, 3], {}, [2, 5, 4], {}),
    ("LSTM", [4, 3], {"bias": False}, [5, 4], {}),
]


def fill(shape, seed, scale=1.0):
    """Values in (-scale, scale) that any language computes alike: ((37 i + 11 seed + 5) mod 101) / 50.5 - 1, scaled."""
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return mx.array(((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape))


def tuples(value):
    """JSON has lists where constructors take tuples."""
    return tuple(value) if isinstance(value, list) else value


def fill_parameters(layer):
    """Parameter k in the order of parameters() gets fill(seed=k), variances their absolute value plus a half."""
    filled = []
    for k, (name, value) in enumerate(tree_flatten(layer.parameters())):
        values = fill(value.shape, k + 1, 0.5)
        filled.append((name, mx.abs(values) + 0.5 if name.endswith("var") else values))
    if filled:
        layer.update(tree_unflatten(filled))


def call(layer, kind, x):
    """What a row's layer gives for the input once, twice or three times, a causal mask, or no masks.

    Several results are joined along the last axis.
    """
    if kind == "causal":
        mask = layer.create_additive_causal_mask(x.shape[1])
        return layer(x, x, x, mask)
    inputs = {"triple": 3, "pair": 2}.get(kind.split()[0], 1)
    masks = int(kind.split()[-1]) if "masks" in kind else 0
    y = layer(*[x] * inputs, *[None] * masks)
    return mx.concatenate(y, -1) if isinstance(y, tuple) else y


def numbers(values):
    return [float(f"{v:.7g}") for v in np.array(values, dtype=np.float64).ravel()]


def described(values):
    return {"shape": list(values.shape), "values": numbers(values)}


def run(row):
    name, args, kwargs, input_shape, options = row
    layer = getattr(nn, name)(*map(tuples, args), **{k: tuples(v) for k, v in kwargs.items()})
    layer.train(options.get("training", True))
    shapes = {k: list(v.shape) for k, v in tree_flatten(layer.parameters())}
    fill_parameters(layer)
    integers = options.get("integers", 0)
    x = fill(input_shape, 0, options.get("scale", 1.0))
    if integers:
        x = mx.floor((x + 1) * (integers / 2)).astype(mx.int32)
    kind = options.get("call", "once")

    def loss(parameters, x):
        layer.update(parameters)
        y = call(layer, kind, x)
        return (y * fill(y.shape, 7)).sum(), y

    trainable = layer.trainable_parameters()
    if integers:
        (_, y), parameter_grads = mx.value_and_grad(loss)(trainable, x)
        x_grad = None
    else:
        (_, y), (parameter_grads, x_grad) = mx.value_and_grad(loss, argnums=(0, 1))(trainable, x)
    mx.eval(y, parameter_grads, x_grad)
    layer.update(trainable)
    result = {
        "class": name,
        "args": args,
        "kwargs": kwargs,
        "input": {"shape": input_shape, "scale": options.get("scale", 1.0), "integers": integers},
        "call": kind,
        "training": options.get("training", True),
        "repr": re.sub(r"<function (\w+) at \w+>", r"\1", repr(layer)),
        "parameters": shapes,
        "trainable": [k for k, _ in tree_flatten(trainable)],
        "output": described(y),
        "input_gradient": None if x_grad is None else described(x_grad),
        "gradients": {k: described(v) for k, v in tree_flatten(parameter_grads)},
        "state_after": {k: described(v) for k, v in tree_flatten(layer.parameters()) if "running" in k},
    }
    return result


def main():
    rows = [json.dumps(run(row)) for row in ROWS]
    path = Path(__file__).with_name("nn_cases.json")
    path.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{path}: {len(rows)} rows, MLX {mx.__version__}")


if __name__ == "__main__":
    main()
