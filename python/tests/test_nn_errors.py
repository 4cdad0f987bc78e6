"""Errors name the module in whose call they happen."""

import pytest

import treadle.core as mx
import treadle.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(4, 8)

    def __call__(self, x):
        return self.q_proj(x)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.layers = [nn.ReLU(), Block()]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def project(self, x):
        return x @ mx.zeros((7, 7))


def message(f, error=ValueError):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


def test_the_path_and_the_kind_of_the_innermost_module():
    assert message(lambda: Model()(mx.zeros((2, 3)))).startswith("layers.1.q_proj (Linear 4->8): [linear] ")


def test_a_module_on_its_own_has_no_path():
    assert message(lambda: nn.Linear(4, 8)(mx.zeros((2, 3)))).startswith("Linear 4->8: [linear] ")


def test_operators_and_functions_in_methods_count_too():
    assert message(lambda: Model().project(mx.zeros((2, 3)))).startswith("Model: [matmul] ")


def test_nothing_is_added_outside_of_modules():
    assert message(lambda: mx.zeros((2, 3)) @ mx.zeros((2, 3))).startswith("[matmul] ")
    assert message(lambda: nn.relu(mx.zeros(2)) + mx.zeros(3)).startswith("[")


def test_transforms_keep_the_path():
    model = Model()
    loss = nn.value_and_grad(model, lambda x: model(x).sum())
    assert message(lambda: loss(mx.zeros((2, 3)))).startswith("layers.1.q_proj (Linear 4->8): [linear] ")
    assert message(lambda: mx.compile(model)(mx.zeros((2, 3)))).startswith("layers.1.q_proj (Linear 4->8): [linear] ")


def test_a_module_that_is_not_part_of_the_caller_starts_a_path():
    other = Model()

    class Wrapper(nn.Module):
        def __call__(self, x):
            return other(x)

    assert message(lambda: Wrapper()(mx.zeros((2, 3)))).startswith("layers.1.q_proj (Linear 4->8): ")


def test_the_model_is_as_it_was_after_an_error():
    model = Model()
    before = model.layers[1].q_proj.weight
    with pytest.raises(ValueError):
        nn.value_and_grad(model, lambda x: model(x).sum())(mx.zeros((2, 3)))
    assert model.layers[1].q_proj.weight is before


def test_index_errors_have_the_path_too():
    class Sum(nn.Module):
        def __call__(self, x):
            return x.sum(axis=3)

    text = message(lambda: nn.Sequential(Sum())(mx.zeros((2, 3))), (IndexError, ValueError))
    assert text.startswith("layers.0 (Sum): [")
