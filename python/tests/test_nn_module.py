"""Module against mlx.nn.Module: each scenario runs on both and must say the same."""

import copy
import pickle

import mlx.core
import mlx.nn
import mlx.utils
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten, tree_map

OURS, THEIRS = (nn, mx), (mlx.nn, mlx.core)


def plain(value):
    """A tree with arrays as "shape dtype", so that those of both libraries compare."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if hasattr(value, "dtype"):
        return f"{tuple(value.shape)} {str(value.dtype).split('.')[-1]}"
    return value


def models(nn, mx):
    """A model with everything that a module may hold."""

    class Block(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.linear = nn.Linear(dims, dims)
            self.act = nn.ReLU()
            self.scale = mx.array(2.0)

        def __call__(self, x):
            return self.act(self.linear(x)) * self.scale

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 4, bias=False)
            self.layers = [Block(4), nn.Identity(), Block(4)]
            self.heads = {"a": nn.Linear(4, 2), "deep": [{"b": nn.Linear(4, 1)}]}
            self.arrays = [mx.zeros(2), mx.ones(3)]
            self.named = {"x": mx.zeros((1, 2)), "_hidden": mx.zeros(9)}
            self.pair = (mx.zeros(5), 7)
            self._private = mx.zeros(7)
            self.count = 3
            self.rate = 0.5
            self.name = "model"
            self.flag = True
            self.nothing = None

        def __call__(self, x):
            x = self.inner(x)
            for layer in self.layers:
                x = layer(x)
            return self.heads["a"](x), self.heads["deep"][0]["b"](x)

    return Model()


def paths(nn, tree):
    flatten = tree_flatten if nn is OURS[0] else mlx.utils.tree_flatten
    return [p for p, _ in flatten(tree, is_leaf=nn.Module.is_module)]


def names(m):
    return [k for k, _ in m.named_modules()]


SCENARIOS = {
    "parameters": lambda nn, mx, m: plain(m.parameters()),
    "children": lambda nn, mx, m: paths(nn, m.children()),
    "leaf_modules": lambda nn, mx, m: paths(nn, m.leaf_modules()),
    "modules": lambda nn, mx, m: [type(x).__name__ for x in m.modules()],
    "named_modules": lambda nn, mx, m: names(m),
    "keys": lambda nn, mx, m: list(m),
    "state": lambda nn, mx, m: (m.state is m, plain(dict(m.state))),
    "repr": lambda nn, mx, m: repr(m),
    "attributes": lambda nn, mx, m: (m.count, m.rate, m.name, m.flag, m.nothing, m.pair[1], "count" in m),
    "freeze": lambda nn, mx, m: (m.freeze() is m, plain(m.trainable_parameters())),
    "freeze twice": lambda nn, mx, m: plain(m.freeze().freeze().trainable_parameters()),
    "freeze keys": lambda nn, mx, m: plain(m.freeze(keys="bias").trainable_parameters()),
    "freeze list of keys": lambda nn, mx, m: plain(m.freeze(keys=["bias", "scale"]).trainable_parameters()),
    "freeze item": lambda nn, mx, m: plain(m.freeze(keys=["arrays.1", "named.x"]).trainable_parameters()),
    "freeze alone": lambda nn, mx, m: plain(m.freeze(recurse=False).trainable_parameters()),
    "freeze part": lambda nn, mx, m: (m.layers[0].freeze(), plain(m.trainable_parameters()))[1],
    "unfreeze": lambda nn, mx, m: plain(m.freeze().unfreeze().trainable_parameters()),
    "unfreeze keys": lambda nn, mx, m: plain(m.freeze().unfreeze(keys="weight").trainable_parameters()),
    "unfreeze alone": lambda nn, mx, m: plain(m.freeze().unfreeze(recurse=False).trainable_parameters()),
    "unfreeze by name": lambda nn, mx, m: plain(
        m.freeze().apply_to_modules(lambda k, v: v.unfreeze() if k.endswith("linear") else None).trainable_parameters()
    ),
    "train": lambda nn, mx, m: [x.training for x in m.train(False).modules() + [m.train()] + m.modules()[:2]],
    "eval": lambda nn, mx, m: (m.eval() is m, m.training, m.layers[0].act.training),
    "set_dtype": lambda nn, mx, m: (m.set_dtype(mx.float16), plain(m.parameters()))[1],
    "set_dtype with predicate": lambda nn, mx, m: (
        m.set_dtype(mx.int32, lambda d: d == mx.float32),
        plain(m.parameters()),
    )[1],
    "set_dtype of all": lambda nn, mx, m: (m.set_dtype(mx.uint8, None), plain(m.parameters()))[1],
    "apply": lambda nn, mx, m: plain(m.apply(lambda x: x[None]).parameters()),
    "apply with filter": lambda nn, mx, m: plain(
        m.apply(
            lambda x: x[None], lambda mod, k, v: mod.valid_parameter_filter(mod, k, v) and k not in ("bias", "arrays")
        ).parameters()
    ),
    "update a part": lambda nn, mx, m: plain(m.update({"layers": [{}, {}, {"scale": mx.zeros(8)}]}).parameters()),
    "update not strict": lambda nn, mx, m: plain(
        m.update({"no": 1, "layers": [{"no": mx.zeros(1)}] * 9, "inner": mx.zeros(2)}, strict=False).parameters()
    ),
    "update_modules": lambda nn, mx, m: repr(
        m.update_modules({"inner": nn.Identity(), "heads": {"deep": [{"b": nn.ReLU()}]}})
    ),
    "update_modules not strict": lambda nn, mx, m: repr(
        m.update_modules({"no": nn.Identity(), "layers": [nn.ReLU()] * 5, "arrays": [nn.ReLU()]}, strict=False)
    ),
    "replace leaf modules": lambda nn, mx, m: repr(
        m.update_modules(
            tree_map(
                lambda x: nn.Identity() if isinstance(x, nn.Linear) else x,
                m.leaf_modules(),
                is_leaf=nn.Module.is_module,
            )
        )
    ),
    "filter_and_map": lambda nn, mx, m: m.filter_and_map(
        lambda mod, k, v: isinstance(v, (dict, list, mx.array)), lambda v: list(v.shape)
    ),
    "set attribute to array": lambda nn, mx, m: (setattr(m, "count", mx.zeros(1)), "count" in m, plain(m.count))[1:],
    "set attribute to number": lambda nn, mx, m: (setattr(m, "arrays", 5), "arrays" in m, m.arrays)[1:],
    "delete attribute": lambda nn, mx, m: (delattr(m, "inner"), delattr(m, "count"), "inner" in m, hasattr(m, "count")),
    "load from a list": lambda nn, mx, m: plain(m.load_weights([("inner.weight", mx.zeros(1))], False).parameters()),
    "load into lists": lambda nn, mx, m: plain(m.load_weights([("arrays.1", mx.zeros(9))], False).parameters()),
    "load nothing": lambda nn, mx, m: plain(m.load_weights([], strict=False).parameters()),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_module_acts_as_mlx_does(name):
    ours, theirs = (SCENARIOS[name](nn, mx, models(nn, mx)) for nn, mx in (OURS, THEIRS))
    assert ours == theirs
    assert "treadle" not in str(ours)


ERRORS = {
    "update a name": lambda nn, mx, m: m.update({"no": mx.zeros(1)}),
    "update a deep name": lambda nn, mx, m: m.update({"layers": [{"no": mx.zeros(1)}]}),
    "update too many": lambda nn, mx, m: m.update({"arrays": [mx.zeros(1)] * 3}),
    "update with a number": lambda nn, mx, m: m.update({"inner": {"weight": 3}}),
    "update a module with an array": lambda nn, mx, m: m.update({"inner": mx.zeros(1)}),
    "update_modules with a name": lambda nn, mx, m: m.update_modules({"no": nn.ReLU()}),
    "update_modules too many": lambda nn, mx, m: m.update_modules({"layers": [{}] * 4}),
    "update_modules with a number": lambda nn, mx, m: m.update_modules({"count": nn.ReLU()}),
    "update_modules of an array": lambda nn, mx, m: m.update_modules({"arrays": [nn.PReLU()]}),
    "freeze strictly": lambda nn, mx, m: m.freeze(keys="no", strict=True),
    "freeze strictly alone": lambda nn, mx, m: m.freeze(keys="bias", strict=True, recurse=False),
    "unfreeze strictly": lambda nn, mx, m: m.unfreeze(keys=["bias", "no"], strict=True),
    "positional freeze": lambda nn, mx, m: m.freeze(False),
    "missing attribute": lambda nn, mx, m: m.no,
    "delete missing attribute": lambda nn, mx, m: delattr(m, "no"),
    "load an extra name": lambda nn, mx, m: m.load_weights([("no", mx.zeros(1))]),
    "load too little": lambda nn, mx, m: m.load_weights([]),
    "load wrong shapes": lambda nn, mx, m: nn.Linear(2, 3).load_weights(
        {"weight": mx.zeros((2, 2)), "bias": mx.zeros(3)}.items()
    ),
    "save to an unknown ending": lambda nn, mx, m: m.save_weights("file.txt"),
    "tuple is no leaf": lambda nn, mx, m: m.filter_and_map(lambda *_: True, is_leaf_fn=lambda *_: False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_module_raises_what_mlx_raises(name):
    errors = []
    for nn_, mx_ in (OURS, THEIRS):
        with pytest.raises(Exception) as caught:
            ERRORS[name](nn_, mx_, models(nn_, mx_))
        errors.append(caught.type)
    assert errors[0] is errors[1]


def test_strict_keys_may_be_in_any_submodule():
    models(nn, mx).freeze(keys="bias", strict=True)


def test_errors_of_update_name_the_path():
    m = models(nn, mx)
    with pytest.raises(ValueError, match=r'"layers\.0\.no"'):
        m.update({"layers": [{"no": mx.zeros(1)}]})
    with pytest.raises(ValueError, match=r"'arrays'"):
        m.update({"arrays": [mx.zeros(1)] * 3})
    with pytest.raises(ValueError, match=r"'heads\.a\.weight'"):
        m.update({"heads": {"a": {"weight": 1}}})


def test_strict_loading_lists_all_that_is_wrong():
    m = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    weights = {
        "layers.0.weight": mx.zeros((2, 3)),
        "layers.0.bias": 1,
        "layers.1.weight": mx.zeros((1, 3)),
        "z": mx.zeros(1),
    }
    with pytest.raises(ValueError) as caught:
        m.load_weights(weights)
    text = str(caught.value)
    assert "1 parameters not in model: \nz" in text
    assert "Missing 1 parameters: \nlayers.1.bias" in text
    assert "Expected shape (3, 2) but received shape (2, 3) for parameter layers.0.weight" in text
    assert "received <class 'int'> for parameter layers.0.bias" in text


def test_a_class_attribute_cannot_hide_an_array():
    class Model(nn.Module):
        weight = None

        def __init__(self):
            super().__init__()
            self.weight = mx.zeros(2)

    with pytest.raises(AttributeError, match="attribute of the class"):
        Model()


def test_an_error_inside_a_property_is_not_hidden():
    class Model(nn.Module):
        @property
        def size(self):
            return self.wieght.size

    with pytest.raises(AttributeError, match="wieght"):
        Model().size  # noqa: B018


def test_apply_names_the_parameter_that_its_function_refuses():
    def only_matrices(x):
        if x.ndim != 2:
            raise ValueError("not a matrix")
        return x

    with pytest.raises(ValueError, match=r"^layers\.0\.bias: not a matrix"):
        nn.Sequential(nn.Linear(2, 3)).apply(only_matrices)


def test_set_dtype_returns_the_module():
    m = nn.Linear(2, 2)
    assert m.set_dtype(mx.float16) is m


def test_state_dict_has_parameters_and_plain_attributes():
    m = models(nn, mx)
    flat = m.state_dict()
    assert flat.keys() - tree_flatten(m.parameters(), destination={}).keys() == {"count", "rate", "name", "flag"}
    assert flat["count"] == 3 and flat["layers.0.scale"] is m.layers[0].scale


def equal(a, b):
    a, b = tree_flatten(a.parameters()), tree_flatten(b.parameters())
    return [k for k, _ in a] == [k for k, _ in b] and all(
        np.array_equal(np.array(x), np.array(y)) for (_, x), (_, y) in zip(a, b, strict=True)
    )


def test_pickle_and_deepcopy_keep_everything():
    m = nn.Sequential(nn.Linear(2, 3), nn.ELU(0.5), nn.GELU("tanh"))
    m.layers[0].freeze(keys="bias")
    m.eval()
    for other in (pickle.loads(pickle.dumps(m)), copy.deepcopy(m)):
        assert repr(other) == repr(m) and equal(other, m)
        assert not other.training and other.layers[0]._no_grad == {"bias"}
        x = mx.array([[1.0, -2.0]])
        assert np.array_equal(np.array(other(x)), np.array(m(x)))
        other.layers[0].weight = mx.zeros((3, 2))
        assert not equal(other, m)


def test_modules_are_trees():
    m = nn.Linear(2, 3)
    assert tree_map(lambda x: x.ndim, m) == {"weight": 2, "bias": 1}


def test_a_numpy_array_in_the_place_of_a_parameter_is_an_error():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"\[Linear\] 'weight' is an array and was given a ndarray; expected mx.array"):
        layer.weight = np.ones((2, 2), np.float32)
    layer.table = np.ones(3)  # an attribute of its own may be anything
    layer.weight = None
    assert layer.table.shape == (3,) and "weight" not in layer
