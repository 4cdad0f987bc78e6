"""Writes optimizer_cases.json: the parity table of optimizers and schedules, with the values that MLX computes.

    python tests/cases/make_optimizer_cases.py        (needs the wheels mlx and mlx-cpu)

A row is an optimizer with its options, or a schedule; OPTIMIZERS and SCHEDULES below are the table. Both front doors
run it: tests/optimizers/parity_test.cpp and python/tests/test_optimizers_parity.py. An optimizer takes 100 steps
towards the minimum of a quadratic function; the row has the parameters and the state after the last.

MIXED are settings of trainings in mixed precision, which MLX does not have: the front doors are compared with each
other alone.
"""

import json
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from make_nn_cases import fill
from mlx.utils import tree_flatten, tree_map, tree_unflatten

# Paths and shapes of the parameters. Where a seed is one's own, so is the minimum.
PARAMETERS = {"w": [4, 3], "layers.0.conv": [3, 2, 2, 2], "layers.1.bias": [3], "layers.1.scale": []}
STEPS = 100

WARM = {
    "schedule": "join_schedules",
    "schedules": [
        {"schedule": "linear_schedule", "init": 0.0, "end": 0.1, "steps": 10},
        {"schedule": "cosine_decay", "init": 0.1, "decay_steps": 80, "end": 0.01},
    ],
    "boundaries": [10],
}
# No cosine, of which libraries differ in the last bit: where steps have a size of their own that bit grows.
LINES = {
    "schedule": "join_schedules",
    "schedules": [
        {"schedule": "linear_schedule", "init": 0.0, "end": 0.02, "steps": 10},
        {"schedule": "linear_schedule", "init": 0.02, "end": 0.001, "steps": 80},
    ],
    "boundaries": [10],
}
SCHEDULES = [
    {"schedule": "exponential_decay", "init": 0.1, "decay_rate": 0.99},
    {"schedule": "step_decay", "init": 0.1, "decay_rate": 0.9, "step_size": 7},
    {"schedule": "cosine_decay", "init": 0.1, "decay_steps": 30},
    {"schedule": "cosine_decay", "init": 1e-05, "decay_steps": 1000, "end": 5e-06},
    {"schedule": "linear_schedule", "init": 0.0, "end": 1.0, "steps": 4},
    WARM,
    {
        "schedule": "join_schedules",
        "schedules": [
            {"schedule": "linear_schedule", "init": 0.0, "end": 1.0, "steps": 5},
            {"schedule": "step_decay", "init": 1.0, "decay_rate": 0.5, "step_size": 3},
            {"schedule": "exponential_decay", "init": 0.25, "decay_rate": 0.9},
        ],
        "boundaries": [5, 20],
    },
]
# A perceptron under autocast, its loss scaled, its weights averaged. In float16 the first gradients are infinite.
MIXED = [
    {
        "dtype": dtype,
        "optimizer": optimizer,
        "options": options,
        "steps": 12,
        "scale": {"initial": 2.0**24, "growth": 2.0, "backoff": 0.0625, "interval": 3},
        "average": {"decay": 0.9, "warmup": warmup},
        "compiled": compiled,
    }
    for dtype in ("bfloat16", "float16")
    for optimizer, options, warmup, compiled in (
        ("SGD", {"learning_rate": 0.5, "momentum": 0.9}, False, False),
        ("AdamW", {"learning_rate": 0.02, "bias_correction": True}, True, True),
    )
]
# MLX has none.
DEFAULT_RATES = {
    "Adam": 1e-3,
    "AdamW": 1e-3,
    "Adamax": 1e-3,
    "Adagrad": 1e-2,
    "AdaDelta": 1.0,
    "RMSprop": 1e-2,
    "Lion": 1e-4,
}
TIMES = [0, 1, 3, 4, 5, 7, 9, 10, 11, 20, 30, 31, 90, 1000, 100000]

OPTIMIZERS = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.02}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"learning_rate": WARM, "momentum": 0.5, "dampening": 0.1, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.01, "bias_correction": True}),
    ("Adam", {"learning_rate": 0.01, "betas": [0.8, 0.95], "eps": 1e-3}),
    ("Adam", {"learning_rate": LINES, "betas": [0.8, 0.95], "eps": 1e-3, "bias_correction": True}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.3, "bias_correction": True}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.0, "betas": [0.5, 0.9], "eps": 1e-4}),
    ("AdamW", {"learning_rate": LINES, "weight_decay": 0.1, "bias_correction": True}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.01, "betas": [0.8, 0.95], "eps": 1e-3}),
    ("Adamax", {"learning_rate": LINES}),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "eps": 0.01}),
    ("Adagrad", {"learning_rate": LINES}),
    ("AdaDelta", {}),
    ("AdaDelta", {"learning_rate": 0.5, "rho": 0.8, "eps": 1e-3}),
    ("AdaDelta", {"learning_rate": LINES}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "alpha": 0.9, "eps": 1e-3}),
    ("RMSprop", {"learning_rate": LINES, "alpha": 0.8, "eps": 0.01}),
    ("Lion", {}),
    ("Lion", {"learning_rate": 0.01, "betas": [0.8, 0.95]}),
    ("Lion", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Lion", {"learning_rate": LINES, "weight_decay": 0.01}),
    ("Adafactor", {}),
    ("Adafactor", {"scale_parameter": False}),
    ("Adafactor", {"warmup_init": True, "beta_1": 0.8}),
    ("Adafactor", {"eps": [1e-8, 0.01], "decay_rate": -0.5, "clip_threshold": 0.5}),
    ("Adafactor", {"learning_rate": 0.002, "relative_step": False, "scale_parameter": False, "weight_decay": 0.1}),
    ("Adafactor", {"learning_rate": 0.002, "relative_step": False, "beta_1": 0.9, "weight_decay": 0.1}),
    ("Adafactor", {"learning_rate": LINES, "relative_step": False}),
    ("Muon", {"learning_rate": 0.01}),
    ("Muon", {"learning_rate": 0.01, "nesterov": False}),
    ("Muon", {"learning_rate": 0.01, "momentum": 0.8, "weight_decay": 0.0, "ns_steps": 3}),
    ("Muon", {"learning_rate": LINES, "weight_decay": 0.1}),
    (
        "MultiOptimizer",
        {"layers": ["AdamW", {"learning_rate": 0.01}], "*": ["SGD", {"learning_rate": WARM, "momentum": 0.9}]},
    ),
]


def schedule_of(optim, value):
    """What the JSON of a schedule stands for; other values as they are."""
    if not isinstance(value, dict):
        return value
    arguments = {k: v for k, v in value.items() if k != "schedule"}
    if "schedules" in arguments:
        arguments["schedules"] = [schedule_of(optim, s) for s in arguments["schedules"]]
    return getattr(optim, value["schedule"])(**arguments)


def optimizer_of(optim, name, options):
    if name == "MultiOptimizer":  # MLX has no dict of paths
        (first, _), *rest = options.items()
        parts = [optimizer_of(optim, *part) for part in options.values()]
        assert len(rest) == 1 and rest[0][0] == "*"
        return optim.MultiOptimizer(parts, [lambda path, gradient: path.startswith(first)])
    if name in DEFAULT_RATES:
        options = {"learning_rate": DEFAULT_RATES[name]} | options
    return getattr(optim, name)(**{k: schedule_of(optim, v) for k, v in options.items()})


def described(value):
    """Nine digits tell all numbers of float32 apart."""
    return [float(f"{v:.9g}") for v in np.array(value).ravel()]


def trajectory(name, options):
    optimizer = optimizer_of(optim, name, options)
    parameters = tree_unflatten([(path, fill(shape, i)) for i, (path, shape) in enumerate(PARAMETERS.items())])
    minimum = tree_unflatten([(path, fill(shape, i + 10)) for i, (path, shape) in enumerate(PARAMETERS.items())])
    for _ in range(STEPS):
        gradients = tree_map(lambda w, to: w - to, parameters, minimum)
        parameters = optimizer.apply_gradients(gradients, parameters)
        mx.eval(parameters, optimizer.state)
    return {
        "parameters": {path: described(a) for path, a in tree_flatten(parameters)},
        "state": {path: described(a) for path, a in tree_flatten(optimizer.state)},
    }


def text_of(value):
    """How a schedule prints itself."""
    if not isinstance(value, dict):
        return f"[{', '.join(map(text_of, value))}]" if isinstance(value, list) else repr(value)
    defaults = {"exponential_decay": {"decay_steps": 1.0}, "cosine_decay": {"end": 0.0}}.get(value["schedule"], {})
    arguments = defaults | value
    order = [k for k in [*value, *defaults] if k != "schedule"]
    return f"{value['schedule']}({', '.join(f'{k}={text_of(arguments[k])}' for k in dict.fromkeys(order))})"


def rates(value):
    schedule = schedule_of(optim, value)
    return [float(f"{schedule(mx.array(t, mx.uint64)).item():.9g}") for t in TIMES]


def lines(rows):
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def main():
    optimizers = [{"optimizer": name, "options": options, **trajectory(name, options)} for name, options in OPTIMIZERS]
    schedules = [{"value": value, "text": text_of(value), "times": TIMES, "rates": rates(value)} for value in SCHEDULES]
    path = Path(__file__).with_name("optimizer_cases.json")
    table = {
        "steps": STEPS,
        "shapes": json.dumps(PARAMETERS),
        "schedules": lines(schedules),
        "optimizers": lines(optimizers),
        "mixed": lines(MIXED),
    }
    path.write_text("{\n" + ",\n".join(f'"{name}": {text}' for name, text in table.items()) + "\n}\n")
    print(f"{path}: {len(optimizers)} optimizers, {len(schedules)} schedules, MLX {mx.__version__}")


if __name__ == "__main__":
    main()
