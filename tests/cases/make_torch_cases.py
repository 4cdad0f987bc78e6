"""Writes torch_cases.json: what PyTorch computes for layers that MLX lacks.

    python tests/cases/make_torch_cases.py        (needs torch)

Weights and inputs are filled by the formula of make_nn_cases.py, weights in the order of PyTorch's state_dict. Inputs
and results are stored channels last, recurrent ones (B, T, D).
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

# (class, arguments, input shape)
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
]


def fill(shape, seed, scale=1.0):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((((37 * i + 11 * seed + 5) % 101) / 50.5 - 1) * scale).astype(np.float32).reshape(shape)


def numbers(values):
    return {
        "shape": list(values.shape),
        "values": [float(f"{v:.7g}") for v in values.detach().numpy().astype(np.float64).ravel()],
    }


def run(name, kwargs, shape):
    recurrent = name in ("RNN", "GRU", "LSTM")
    layer = getattr(nn, name)(**{k: tuple(v) if isinstance(v, list) else v for k, v in kwargs.items()})
    if recurrent:
        layer.batch_first = True
    weights = {k: fill(v.shape, i + 1, 0.5) for i, (k, v) in enumerate(layer.state_dict().items())}
    layer.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    x = torch.from_numpy(fill(shape, 0, 2.0)).requires_grad_()
    if recurrent:
        y = layer(x)[0]
    elif "Pool" in name:
        y = layer(x.movedim(-1, 1)).movedim(1, -1)
    else:
        y = layer(x)
    (y * torch.from_numpy(fill(y.shape, 7))).sum().backward()
    return {
        "class": name,
        "kwargs": kwargs,
        "weights": {k: list(v.shape) for k, v in weights.items()},
        "input": shape,
        "output": numbers(y),
        "input_gradient": numbers(x.grad),
        "gradients": {k: numbers(p.grad) for k, p in layer.named_parameters()},
    }


def main():
    path = Path(__file__).with_name("torch_cases.json")
    path.write_text("[\n" + ",\n".join(json.dumps(run(*row)) for row in ROWS) + "\n]\n")
    print(f"{path}: {len(ROWS)} rows, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
