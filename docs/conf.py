"""Sphinx: the pages of this folder and the Python interface as HTML. Built by ``./dev docs``."""

import importlib
import re

project = "Treadle"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_extra_path = ["../build/docs/doxygen"]  # the C++ interface, made by Doxygen
autodoc_default_options = {"members": True, "imported-members": True}


def functions(module):
    """Autodoc lines for a module's functions that are written in C++, which automodule does not see."""
    names = vars(importlib.import_module(module)).items()
    found = sorted(name for name, value in names if type(value).__name__ == "nb_func" and name[0] != "_")
    return "\n".join(f".. autofunction:: {module}.{name}" for name in found)


def list_functions(app, name, source):
    source[0] = re.sub(r"^\.\. functions:: (\S+)$", lambda m: functions(m[1]), source[0], flags=re.M)


def plain(app, what, name, obj, options, lines):
    """Docstrings from C++ are plain text: an asterisk or a bar in a formula is no markup."""
    if type(obj).__module__ == "nanobind":
        lines[:] = [re.sub(r"([*|])", r"\\\1", line) for line in lines]


def setup(app):
    app.connect("source-read", list_functions)
    app.connect("autodoc-process-docstring", plain)
