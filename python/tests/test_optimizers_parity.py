"""The parity table of optimizers and schedules, tests/cases/optimizer_cases.json: a hundred steps as MLX takes them.

C++ runs it too, and gives the same bits in every dtype.
"""

import json
import os
import subprocess
import sys

import mlx.core
import mlx.optimizers
import numpy as np
import pytest
from parity import ROOT, bits_of, cpp_bits

import treadle.core as mx
import treadle.nn as nn
import treadle.optimizers as optim
from treadle.utils import tree_flatten, tree_map, tree_unflatten

sys.path.insert(0, str(ROOT / "tests" / "cases"))
import make_optimizer_cases as table  # noqa: E402

CASES = json.loads((ROOT / "tests" / "cases" / "optimizer_cases.json").read_text())
ROWS = CASES["optimizers"]
HALF = ["float16", "bfloat16"]
# In units of the last place of the largest number: elementwise rules round as in MLX; sums and products have an order.
UNITS = {"Muon": 32, "Adafactor": 32}
LAST_PLACE = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def optimizer_of(optim, row):
    if row["optimizer"] == "MultiOptimizer" and optim is not mlx.optimizers:
        return optim.MultiOptimizer({key: table.optimizer_of(optim, *part) for key, part in row["options"].items()})
    return table.optimizer_of(optim, row["optimizer"], row["options"])


def tree(mx, seed, dtype):
    """The table's arrays: parameters from seed 0 on, minima from 10 on."""
    flat = []
    for i, (path, shape) in enumerate(CASES["shapes"].items()):
        values = np.array(table.fill(shape, seed + i))
        flat.append((path, mx.array(values).astype(getattr(mx, dtype))))
    return tree_unflatten(flat)


def trajectory(mx, optim, row, dtype):
    """Parameters and state after the last step, by path."""
    optimizer = optimizer_of(optim, row)
    parameters, minimum = tree(mx, 0, dtype), tree(mx, 10, dtype)
    for _ in range(CASES["steps"]):
        gradients = tree_map(lambda w, to: w - to, parameters, minimum)
        parameters = optimizer.apply_gradients(gradients, parameters)
        mx.eval(parameters, optimizer.state)
    return tree_flatten({"parameters": parameters, "state": optimizer.state}, destination={})


def name_of(row):
    options = {k: v["schedule"] if isinstance(v, dict) else v for k, v in row["options"].items()}
    return f"{row['optimizer']}({', '.join(f'{k}={v}' for k, v in options.items())})"


def assert_close(ours, theirs, units, what):
    ours, theirs = (np.asarray(a, np.float64).ravel() for a in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=units * np.abs(theirs).max(initial=0), err_msg=what)


def numpy_of(array):
    return np.array(array.astype((mx if isinstance(array, mx.array) else mlx.core).float32))


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    return cpp_bits("optimizers_test", tmp_path_factory.mktemp("parity"))


@pytest.mark.parametrize("number, row", list(enumerate(ROWS)), ids=map(name_of, ROWS))
def test_a_hundred_steps_are_those_of_mlx_and_of_cpp(number, row, cpp):
    for dtype in ("float32", *HALF):
        ours = trajectory(mx, optim, row, dtype)
        if dtype == "float32":
            units = UNITS.get(row["optimizer"], 4) * LAST_PLACE[dtype]
            expected = tree_flatten({k: row[k] for k in ("parameters", "state")}, is_leaf=lambda v: isinstance(v, list))
            assert ours.keys() == dict(expected).keys()
            for path, values in expected:
                assert_close(np.array(ours[path]), values, units, path)
        bits = cpp(f"{number}{dtype}")
        if bits is not None:
            assert ours.keys() == bits.keys()
            for path, value in ours.items():
                assert np.array_equal(bits_of(value), bits[path]), (dtype, path)


def strict_trajectories(path):
    """Run in a process of its own, with TREADLE_STRICT_HALF=1."""
    arrays = {}
    for number, row in enumerate(ROWS):
        for dtype in HALF:
            for name, value in trajectory(mx, optim, row, dtype).items():
                arrays[f"{number}:{dtype}:{name}"] = numpy_of(value)
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    path = tmp_path_factory.mktemp("strict") / "strict.npz"
    code = f"import test_optimizers_parity as t; t.strict_trajectories({str(path)!r})"
    folders = os.pathsep.join([str(ROOT / "python" / "tests"), *sys.path])
    env = os.environ | {"TREADLE_STRICT_HALF": "1", "PYTHONPATH": folders}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=300)
    return np.load(path)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("number, row", list(enumerate(ROWS)), ids=map(name_of, ROWS))
def test_rounded_after_every_operation_half_precision_is_that_of_mlx(number, row, dtype, strict):
    for path, value in trajectory(mlx.core, mlx.optimizers, row, dtype).items():
        units = UNITS.get(row["optimizer"], 0) * LAST_PLACE[dtype]
        assert_close(strict[f"{number}:{dtype}:{path}"], numpy_of(value), units, path)


@pytest.mark.parametrize(
    "number, row", list(enumerate(CASES["schedules"])), ids=lambda v: v["text"] if isinstance(v, dict) else ""
)
def test_schedules_are_those_of_mlx_and_of_cpp(number, row, cpp):
    schedule = table.schedule_of(optim, row["value"])
    assert repr(schedule) == row["text"]
    rates = {str(t): schedule(mx.array(t, mx.uint64)) for t in row["times"]}
    assert_close([r.item() for r in rates.values()], row["rates"], 1e-7, row["text"])
    bits = cpp(f"schedule{number}")
    if bits is not None:
        for time, rate in rates.items():
            assert np.array_equal(bits_of(rate), bits[time]), time


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def __call__(self, x):
        return self.last(nn.gelu(self.norm(self.first(x))))


def mixed_training(row):
    """Losses, scales, and what is left after the last step, by the names that C++ gives them."""

    def filled(shape, seed):
        return mx.array(np.array(table.fill(shape, seed)))

    model = Perceptron()
    paths = [f"{layer}.{name}" for layer in ("first", "norm", "last") for name in ("weight", "bias")]
    shapes = {path: a.shape for path, a in tree_flatten(model.parameters())}
    model.update(tree_unflatten([(path, filled(shapes[path], i)) for i, path in enumerate(paths)]))
    optimizer = getattr(optim, row["optimizer"])(**row["options"])
    optimizer.init(model.trainable_parameters())
    scale, ema = optim.LossScale(**row["scale"]), optim.EMA(model, **row["average"])

    def loss_fn(x, y):
        return scale.scaled(nn.losses.mse_loss(model(x), y, reduction="mean"))

    def step(x, y):
        loss, grads = nn.value_and_grad(model, nn.autocast(model, loss_fn, getattr(mx, row["dtype"])))(x, y)
        scale.update(optimizer, model, scale.unscaled(grads))
        ema.update(model)
        return scale.unscaled(loss)

    if row["compiled"]:
        state = [model.state, optimizer.state, scale.state, ema.state]
        step = mx.compile(step, inputs=state, outputs=state)
    out = {}
    x, y = filled([5, 6], 20), filled([5, 3], 21)
    for i in range(row["steps"]):
        out[f"loss{i}"] = step(x, y)
        out[f"scale{i}"] = mx.array(scale.scale)
        mx.eval(out, model.state, optimizer.state, scale.state, ema.state)
    rest = {"parameters": model.parameters(), "average": ema.average, "state": optimizer.state}
    return out | tree_flatten(rest, destination={})


MIXED = CASES["mixed"]


@pytest.mark.parametrize(
    "number, row", list(enumerate(MIXED)), ids=lambda v: f"{v['dtype']}-{v['optimizer']}" if isinstance(v, dict) else ""
)
def test_mixed_precision_loss_scale_and_averages_are_those_of_cpp(number, row, cpp):
    ours = mixed_training(row)
    assert ours[f"loss{row['steps'] - 1}"].item() < 0.7 * ours["loss0"].item()
    skips = [i for i in range(1, row["steps"]) if ours[f"scale{i}"].item() < ours[f"scale{i - 1}"].item()]
    assert (ours["scale0"].item() < row["scale"]["initial"] or bool(skips)) == (row["dtype"] == "float16")
    bits = cpp(f"mixed{number}")
    if bits is not None:
        assert ours.keys() == bits.keys()
        for path, value in ours.items():
            assert np.array_equal(bits_of(value), bits[path]), path
