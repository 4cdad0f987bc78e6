"""Every public name of MLX's modules is here: the thing itself, or a stand-in that says it is missing."""

import importlib

import pytest

MODULES = [
    "nn",
    "nn.init",
    "nn.layers",
    "nn.layers.activations",
    "nn.layers.distributed",
    "nn.layers.quantized",
    "nn.layers.recurrent",
    "nn.layers.upsample",
    "nn.losses",
    "nn.utils",
    "optimizers",
    "optimizers.schedulers",
    "utils",
]


def public(module):
    """The functions and classes that a module of MLX defines or shows, without the helpers it imports for itself."""
    names = {name for name, value in vars(module).items() if getattr(value, "__module__", "").startswith("mlx.")}
    if module.__name__ != "mlx.utils":
        names = {n for n in names if not n.startswith("tree_")}
    if module.__name__.startswith("mlx.nn.layers."):  # a file of layers
        names = {n for n in names if getattr(module, n).__module__ == module.__name__ or n.islower()} - {"tanh"}
    return {n for n in names if not n.startswith("_")} - (set() if hasattr(module, "Linear") else {"Module"})


@pytest.mark.parametrize("name", MODULES)
def test_all_names_of_mlx_are_here(name):
    ours, theirs = (importlib.import_module(f"{package}.{name}") for package in ("treadle", "mlx"))
    names = public(theirs)
    assert names, "MLX's module was looked at wrongly"
    assert not {n for n in names if not hasattr(ours, n)}


@pytest.mark.parametrize("name", ["nn", "nn.init", "nn.losses", "optimizers"])
def test_stand_ins_are_for_what_is_missing_only(name):
    module = importlib.import_module(f"treadle.{name}")
    stand_ins = {n for n in public(importlib.import_module(f"mlx.{name}")) if n not in vars(module)}
    for n in stand_ins:
        with pytest.raises(NotImplementedError, match=rf"\[treadle\.[a-z.]*{n}\] is not in this version"):
            getattr(module, n)()
    kept = getattr(getattr(module, "__getattr__", None), "names", ())
    assert not {n for n in kept if n in vars(module)}


def test_stand_in_classes_can_be_asked_for_with_isinstance():
    import treadle.nn as nn

    assert not isinstance(nn.Linear(1, 1), nn.QuantizedLinear)


def test_the_gallery_of_layers_has_all_of_them():
    import re
    from pathlib import Path

    import treadle.nn as nn

    text = (Path(__file__).resolve().parents[2] / "docs" / "layers.md").read_text()
    listed = set(re.findall(r"\w+", text))
    layers = {n for n, v in vars(nn).items() if isinstance(v, type) and issubclass(v, nn.Module)} - {"Module"}
    assert layers and not layers - listed
