"""Hooks, captured activations, summaries, and where numbers stop being finite."""

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn


class Block(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.linear, self.norm = nn.Linear(dims, dims), nn.LayerNorm(dims)

    def __call__(self, x):
        return x + self.norm(self.linear(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.layers = [Block(4), Block(4)]
        self.last = nn.Linear(4, 2)

    def __call__(self, x):
        x = nn.relu(self.first(x))
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def test_outputs_are_captured_by_path():
    model, x = Model(), mx.random.normal((5, 3))
    expected = model(x)
    with nn.capture(model, "layers.*.norm") as outputs:
        y = model(x)
    assert list(outputs) == ["layers.0.norm", "layers.1.norm"] and outputs["layers.0.norm"].shape == (5, 4)
    assert np.array_equal(np.array(y), np.array(expected))
    with nn.capture(model, ["", "first"]) as outputs:
        model(x), model(x)
    assert list(outputs) == ["first", ""] and [v.shape for v in outputs[""]] == [(5, 2), (5, 2)]
    with nn.capture(model) as outputs:
        pass
    model(x)
    assert not outputs and type(model.first) is nn.Linear


def test_a_pattern_without_a_module_is_an_error():
    model, expected = Model(), r"^\[hooks\] no module is at 'layer\.\*'; there are '', .*\(9 in all\)\.$"
    with pytest.raises(ValueError, match=expected), nn.capture(model, ["first", "layer.*"]):
        pass
    assert type(model.first) is nn.Linear


def test_a_module_at_two_paths_is_watched_by_either():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    for path in ("layers.0", "layers.2"):
        with nn.capture(model, path) as outputs:
            model(mx.zeros((1, 2)))
        assert list(outputs) == [path] and len(outputs[path]) == 2


def test_other_modules_of_the_class_are_not_watched():
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    with nn.capture(one) as outputs:
        other(mx.zeros((1, 2)))
        assert not outputs and isinstance(one, nn.Linear)
        one(mx.zeros((1, 2)))
    assert list(outputs) == [""]


def test_hooks_may_replace_outputs():
    model, x = Model(), mx.random.normal((5, 3))
    with nn.hooks(model, lambda path, module, y: y * 0 if path == "last" else None):
        assert not np.array(model(x)).any()
    assert np.array(model(x)).any()


def test_hooks_are_gone_after_an_error():
    model = Model()
    with pytest.raises(ValueError, match="expected"), nn.capture(model):
        model(mx.zeros((1, 9)))
    assert type(model) is Model and type(model.layers[0]) is Block


def test_activations_are_differentiated_through():
    model, x = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), mx.random.normal((4, 2))

    def loss():
        with nn.capture(model, "layers.0") as outputs:
            model(x)
        return mx.square(outputs["layers.0"]).sum()

    gradient = nn.value_and_grad(model, loss)()[1]["layers"][0]["weight"]
    y = np.array(model.layers[0](x))
    np.testing.assert_allclose(np.array(gradient), 2 * y.T @ np.array(x), rtol=1e-5, atol=1e-6)


def test_a_summary_lists_modules_shapes_parameters_and_flops():
    model = Model()
    before = {k: np.array(v) for k, v in nn.Module.state_dict(model).items() if hasattr(v, "shape")}
    key = np.array(mx.random.state[0])
    s = model.summary(mx.zeros((5, 3)))
    assert [r["path"] for r in s.rows][:4] == ["", "first", "layers.0", "layers.0.linear"]
    first = s.rows[1]
    assert (first["output"], first["parameters"], first["flops"]) == ("(5, 4)", 16, 2 * 5 * 3 * 4)
    assert s.flops == 2 * 5 * (3 * 4 + 2 * 4 * 4 + 4 * 2) and s.rows[2]["flops"] == 2 * 5 * 16
    assert s.parameters == s.trainable == 16 + 2 * (20 + 8) + 10 and s.nbytes == 4 * s.parameters
    text = str(s)
    assert "(5, 4)" in text and f"{s.parameters:,} parameters" in text
    # The paths of parameters and errors.
    shown = [line.split()[0] for line in text.splitlines()[2:-1]]
    assert shown == ["(model)", *(r["path"] for r in s.rows[1:])] and "layers.1.norm" in shown
    assert set(shown[1:]) == {path for path, _ in model.named_modules() if path}
    assert np.array_equal(key, np.array(mx.random.state[0])) and model.training
    for name, value in before.items():
        assert np.array_equal(value, np.array(dict(nn.Module.state_dict(model))[name]))


def test_a_summary_counts_convolutions_attention_and_loops():
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert conv.summary(mx.zeros((2, 6, 7, 3))).flops == 2 * 2 * 6 * 7 * 8 * 27
    lstm = nn.LSTM(5, 4).summary(mx.zeros((2, 6, 5)))
    assert lstm.flops == 2 * 2 * 6 * 16 * (5 + 4) and lstm.rows[0]["output"] == "(2, 6, 4), (2, 6, 4)"
    attention = nn.MultiHeadAttention(8, 2).summary(*[mx.zeros((3, 5, 8))] * 3)
    assert attention.flops == 4 * 2 * 3 * 5 * 64 + 2 * 2 * 3 * 5 * 5 * 8


def test_a_summary_leaves_running_statistics_and_modes():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3), nn.Dropout(0.5))
    model.layers[2].eval()
    mean = np.array(model.layers[1].running_mean)
    model.summary(mx.random.normal((4, 2)))
    assert np.array_equal(np.array(model.layers[1].running_mean), mean)
    assert model.layers[1].training and not model.layers[2].training


def test_tied_parameters_count_once():
    shared = nn.Linear(3, 3)
    s = nn.Sequential(shared, nn.ReLU(), shared).summary(mx.zeros((1, 3)))
    assert s.parameters == s.rows[0]["parameters"] == 12
    # Both places say what all calls of the module are.
    assert [r["flops"] for r in s.rows] == [36, 36, 0, 36] and all(r["output"] == "(1, 3)" for r in s.rows)


class Log(nn.Module):
    def __call__(self, x):
        return mx.log(x)


class Root(nn.Module):
    def __call__(self, x):
        return mx.sqrt(x)


def test_the_first_module_with_a_nan_is_named():
    model, x = nn.Sequential(nn.Linear(2, 3), Log(), nn.Linear(3, 1)), mx.ones((1, 2))
    model.layers[0].weight, model.layers[0].bias = -mx.ones((3, 2)), mx.zeros(3)
    with nn.debug_nans(model), pytest.raises(FloatingPointError, match=r"the output of layers\.1 \(Log\)"):
        model(x)
    model(x)  # nobody looks any more


def test_the_module_around_is_named_when_an_input_is_not_finite():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def __call__(self, x):
            return self.inner(x / 0)

    model = nn.Sequential(Around())
    with nn.debug_nans(model), pytest.raises(FloatingPointError, match=r"computed in layers\.0 .*layers\.0\.inner"):
        model(mx.ones((1, 2)))


def test_the_module_whose_gradient_is_not_finite_is_named():
    model = nn.Sequential(nn.Identity(), nn.ReLU(), Root())
    x = mx.zeros((1, 2))
    with nn.debug_nans(model), pytest.raises(FloatingPointError, match=r"the gradient of .*layers\.1 \(ReLU\)"):
        mx.eval(mx.grad(lambda x: model(x).sum())(x))


def test_compiled_steps_are_looked_at_too_and_compile_comes_back():
    model = nn.Sequential(Log())
    step = mx.compile(lambda x: model(x).sum())
    with nn.debug_nans(model), pytest.raises(FloatingPointError, match="Log"):
        step(-mx.ones((1, 2)))
    calls = []
    counted = mx.compile(lambda x: calls.append(1) or x + 1)
    counted(mx.ones(2)), counted(mx.ones(2))
    assert len(calls) == 1


def test_finite_models_pass_with_the_same_gradients():
    model, x = Model(), mx.random.normal((5, 3))
    step = nn.value_and_grad(model, lambda x: mx.square(model(x)).sum())
    expected = step(x)[1]["first"]["weight"]
    with nn.debug_nans(model):
        got = step(x)[1]["first"]["weight"]
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-6)


def test_a_plan_names_modules_also_of_gradients():
    model, x = Model(), mx.zeros((5, 3))
    mx.eval(model.parameters())
    lines = nn.plan(model)(x).splitlines()
    products = [line for line in lines if "matmul" in line and "Linear" in line and ": matmul" in line]
    assert [line.split()[1] for line in products] == ["first", "layers.0.linear", "layers.1.linear", "last"]
    assert "first (Linear 3->4): matmul" in products[0]

    text = nn.plan(model, nn.value_and_grad(model, lambda x: mx.square(model(x)).sum()))(x)
    for path in ("first (Linear 3->4)", "layers.1.linear (Linear 4->4)", "last (Linear 4->2)"):
        assert text.count(f"{path}: matmul") >= 2, text
    assert not mx.plan_text(model.parameters())


def test_a_plan_leaves_everything_as_it_was():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3), nn.Dropout(0.5))
    mean, key = model.layers[1].running_mean, np.array(mx.random.state[0])
    nn.plan(model)(mx.random.normal((4, 2), key=mx.random.key(1)))
    assert model.layers[1].running_mean is mean and np.array_equal(key, np.array(mx.random.state[0]))
    with pytest.raises(ValueError, match=r"^layers.0 \(Linear 2->3\): \[linear\]"):
        nn.plan(model)(mx.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"^\[matmul\]"):
        mx.zeros((2, 3)) @ mx.zeros((2, 3))
