"""Writes torch_cases.json: what PyTorch computes, for layers that MLX lacks and for all whose weights it has.

    python tests/cases/make_torch_cases.py        (needs torch)

Weights and inputs are filled by the formula of make_nn_cases.py, weights in the order of PyTorch's state_dict. Inputs
and results are stored channels last, recurrent ones (B, T, D).
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

# (class, arguments, input shape), with arguments that both libraries have
ROWS = [
    ("RNN", {"input_size": 3, "hidden_size": 4, "num_layers": 2}, [2, 5, 3]),
    ("RNN", {"input_size": 3, "hidden_size": 4, "bidirectional": True, "nonlinearity": "relu"}, [2, 5, 3]),
    ("GRU", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True}, [2, 5, 3]),
    ("GRU", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bias": False}, [2, 5, 3]),
    ("LSTM", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True}, [2, 5, 3]),
    ("LSTM", {"input_size": 3, "hidden_size": 4, "num_layers": 3}, [2, 5, 3]),
    ("AdaptiveAvgPool1d", {"output_size": 3}, [2, 7, 2]),
    ("AdaptiveAvgPool2d", {"output_size": [3, 2]}, [1, 7, 4, 2]),
    ("AdaptiveAvgPool3d", {"output_size": 2}, [1, 3, 4, 5, 2]),
    ("AdaptiveMaxPool1d", {"output_size": 5}, [2, 7, 2]),
    ("AdaptiveMaxPool2d", {"output_size": [2, 3]}, [1, 5, 7, 2]),
    ("AdaptiveMaxPool3d", {"output_size": 2}, [1, 3, 4, 5, 2]),
    ("Softplus", {"beta": 2, "threshold": 3}, [4, 6]),
    ("Hardtanh", {"min_val": -0.5, "max_val": 0.25}, [4, 6]),
    ("Conv1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "stride": 2, "groups": 2}, [2, 8, 4]),
    ("Conv2d", {"in_channels": 2, "out_channels": 3, "kernel_size": [3, 2], "padding": [1, 0]}, [1, 5, 4, 2]),
    ("Conv3d", {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "bias": False}, [1, 3, 4, 3, 2]),
    ("ConvTranspose1d", {"in_channels": 2, "out_channels": 3, "kernel_size": 4, "stride": 2}, [1, 4, 2]),
    ("ConvTranspose2d", {"in_channels": 2, "out_channels": 3, "kernel_size": [3, 2], "padding": 1}, [1, 4, 3, 2]),
    ("ConvTranspose3d", {"in_channels": 2, "out_channels": 2, "kernel_size": 2, "stride": 2}, [1, 2, 3, 2, 2]),
    ("BatchNorm", {"num_features": 3}, [2, 4, 3]),
    ("PReLU", {"num_parameters": 3}, [4, 3]),
    ("Linear", {"input_dims": 3, "output_dims": 4}, [2, 3]),
    ("Bilinear", {"input1_dims": 3, "input2_dims": 3, "output_dims": 4}, [2, 3]),
    ("Embedding", {"num_embeddings": 5, "dims": 3}, [2, 4]),
    ("LayerNorm", {"dims": 4}, [2, 3, 4]),
    ("RMSNorm", {"dims": 4, "eps": 1e-5}, [2, 3, 4]),
    ("GroupNorm", {"num_groups": 2, "dims": 4, "pytorch_compatible": True}, [2, 5, 4]),
    ("InstanceNorm", {"dims": 3, "affine": True}, [2, 4, 5, 3]),
    ("MultiHeadAttention", {"dims": 6, "num_heads": 2, "bias": True}, [2, 4, 6]),
    ("MultiHeadAttention", {"dims": 6, "num_heads": 2, "key_input_dims": 4, "value_input_dims": 4}, [2, 4, 6]),
    *[
        (
            name,
            {**counts, "dims": 4, "num_heads": 2, "mlp_dims": 6, "norm_first": first, "attention_bias": True},
            [2, 3, 4],
        )
        for first in (True, False)
        for name, counts in {
            "TransformerEncoderLayer": {},
            "TransformerDecoderLayer": {},
            "TransformerEncoder": {"num_layers": 2},
            "TransformerDecoder": {"num_layers": 2},
            "Transformer": {"num_encoder_layers": 1, "num_decoder_layers": 1},
        }.items()
    ],
]
# Positional arguments of PyTorch's layers that have other names for them.
ARGUMENTS = {
    "Linear": ("input_dims", "output_dims"),
    "Bilinear": ("input1_dims", "input2_dims", "output_dims"),
    "Embedding": ("num_embeddings", "dims"),
    "BatchNorm": ("num_features",),
    "LayerNorm": ("dims",),
    "RMSNorm": ("dims", "eps"),
    "GroupNorm": ("num_groups", "dims"),
}
NAMES = {"BatchNorm": "BatchNorm1d", "InstanceNorm": "InstanceNorm2d"}
CHANNELS_FIRST = ("Adaptive", "Conv", "BatchNorm", "GroupNorm", "InstanceNorm")


def transformer(name, k):
    layer = {"d_model": k["dims"], "nhead": k["num_heads"], "dim_feedforward": k["mlp_dims"]}
    layer |= {"dropout": 0.0, "batch_first": True, "norm_first": k["norm_first"]}
    if name.endswith("Layer"):
        return getattr(nn, name)(**layer)
    if name == "Transformer":
        return nn.Transformer(**layer, **{n: v for n, v in k.items() if n.endswith("coder_layers")})
    return getattr(nn, name)(getattr(nn, f"{name}Layer")(**layer), k["num_layers"], norm=nn.LayerNorm(k["dims"]))


def theirs(name, k):
    """PyTorch's layer for a row."""
    if name.startswith("Transformer"):
        return transformer(name, k)
    if name == "MultiHeadAttention":
        dims = {"kdim": k.get("key_input_dims"), "vdim": k.get("value_input_dims")}
        return nn.MultiheadAttention(k["dims"], k["num_heads"], bias=k.get("bias", False), batch_first=True, **dims)
    if name == "InstanceNorm":
        return nn.InstanceNorm2d(k["dims"], affine=k["affine"])
    kind = getattr(nn, NAMES.get(name, name))
    if name in ARGUMENTS:
        return kind(*(k[n] for n in ARGUMENTS[name]))
    return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in k.items()})


def called(layer, name, k, x):
    """The result for an input with its channels last."""
    if name.startswith(CHANNELS_FIRST):
        return layer(x.movedim(-1, 1)).movedim(1, -1)
    if name == "MultiHeadAttention":
        keys = x[..., : k.get("key_input_dims")]
        return layer(x, keys, keys)[0]
    y = layer(x, x) if name == "Bilinear" or "Decoder" in name or name == "Transformer" else layer(x)
    return y[0] if isinstance(y, tuple) else y


def fill(shape, seed, scale=1.0):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape)


def numbers(values):
    return {
        "shape": list(values.shape),
        "values": [float(f"{v:.7g}") for v in values.detach().numpy().astype(np.float64).ravel()],
    }


def values_of(name, shape, seed):
    values = fill(shape, seed, 0.5)
    return np.abs(values) + 0.5 if name.endswith("running_var") else values


def run(name, kwargs, shape):
    recurrent = name in ("RNN", "GRU", "LSTM")
    layer = theirs(name, kwargs).eval()
    if recurrent:
        layer.batch_first = True
    state = [(k, v.shape) for k, v in layer.state_dict().items() if not k.endswith("num_batches_tracked")]
    weights = {k: values_of(k, shape, i + 1) for i, (k, shape) in enumerate(state)}
    layer.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=name != "BatchNorm")
    x = torch.from_numpy(fill(shape, 0, 2.0))
    integers = kwargs.get("num_embeddings")
    x = torch.floor((x / 2 + 1) * (integers / 2)).long() if integers else x.requires_grad_()
    y = called(layer, name, kwargs, x)
    (y * torch.from_numpy(fill(y.shape, 7))).sum().backward()
    return {
        "class": name,
        "kwargs": kwargs,
        "weights": {k: list(v.shape) for k, v in weights.items()},
        "input": shape,
        "output": numbers(y),
        "input_gradient": None if integers else numbers(x.grad),
        "gradients": {k: numbers(p.grad) for k, p in layer.named_parameters() if recurrent},
    }


def main():
    path = Path(__file__).with_name("torch_cases.json")
    path.write_text("[\n" + ",\n".join(json.dumps(run(*row)) for row in ROWS) + "\n]\n")
    print(f"{path}: {len(ROWS)} rows, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
