"""Every public name of MLX's modules is here: the thing itself, or a stand-in that says it is missing."""

import importlib
import re
from pathlib import Path

import pytest

import treadle.nn as nn

ROOT = Path(__file__).resolve().parents[2]

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
    assert not isinstance(nn.Linear(1, 1), nn.QuantizedLinear)


def sections_of_the_gallery():
    """From the headings of docs/layers.md to the rows of their tables."""
    text = (ROOT / "docs" / "layers.md").read_text()
    sections = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        rows = [line.strip("| ").replace(r"\|", "/").split("|") for line in body.split("\n") if line.startswith("|")]
        sections[title] = {
            name: [c.strip() for c in cells[1:]] for cells in rows for name in re.findall(r"\w+", cells[0])
        }
    return sections


def functions_of(module):
    return {n for n, v in vars(module).items() if callable(v) and not n.startswith("_")}


def test_the_gallery_has_all_layers_losses_and_initializers_and_says_what_they_compute():
    sections = sections_of_the_gallery()
    layers = {n for n, v in vars(nn).items() if isinstance(v, type) and issubclass(v, nn.Module)} - {"Module"}
    listed = {name for title, rows in sections.items() if title not in ("Losses", "Initializers") for name in rows}
    assert len(layers) > 70 and not layers - listed
    assert functions_of(nn.losses) == sections["Losses"].keys() - {"loss"}
    assert functions_of(nn.init) == sections["Initializers"].keys() - {"initializer"}
    assert not {n for rows in sections.values() for n, cells in rows.items() if not cells or not cells[0]}


def test_files_that_the_gallery_names_have_the_formulas():
    text = (ROOT / "docs" / "layers.md").read_text()
    named = set(re.findall(r"\| ((?:ops/)?[a-z]+) \|$", text, re.MULTILINE)) - {"formula", "source"}
    assert len(named) >= 13
    for name in named | {"activations", "losses", "losses_distance", "init"}:
        folder = "treadle" if "/" in name else "treadle/nn/functional"
        assert (ROOT / folder / f"{name}.cpp").exists(), name
