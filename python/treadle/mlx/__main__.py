"""``python -m treadle.mlx script.py ...``: runs an MLX program on Treadle."""

import importlib.metadata
import os
import runpy
import sys
import types

from treadle import mlx

USAGE = """\
usage: python -m treadle.mlx [-m MODULE | -c CODE | SCRIPT | PROGRAM] [ARGUMENTS ...]

Runs an unchanged MLX program: its imports of mlx.core, mlx.nn, mlx.optimizers and mlx.utils get Treadle's modules.
PROGRAM is the name of an installed console program, as mlx_lm.generate.
"""


def _run(code, filename):
    """Executes code as the module ``__main__``, which stays it afterwards, for threads and exit handlers."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=filename, __builtins__=__builtins__)
    if filename is None:
        del main.__file__
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    mlx.install()

    first, *rest = arguments
    if first in ("-m", "-c") and not rest:
        print(f"treadle.mlx: {first} needs an argument\n{USAGE}", file=sys.stderr, end="")
        return 2
    if first == "-m":
        sys.argv = ["-m", *rest[1:]]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        _run(compile(rest[0], "<string>", "exec"), None)
    elif first.startswith("-"):
        print(f"treadle.mlx: unknown option {first}\n{USAGE}", file=sys.stderr, end="")
        return 2
    elif not os.path.exists(first) and (program := _console_program(first)):
        sys.argv = arguments
        return program.load()()
    elif os.path.isdir(first) or not first.endswith(".py") and _is_archive(first):
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")
    else:
        sys.argv = arguments
        # Where python itself looks first when it runs a script.
        sys.path[0] = os.path.dirname(os.path.realpath(first))
        with open(first, "rb") as f:
            code = compile(f.read(), first, "exec")
        _run(code, first)
    return 0


def _console_program(name):
    """What an installed package offers under this name, or None."""
    return next(iter(importlib.metadata.entry_points(group="console_scripts", name=name)), None)


def _is_archive(path):
    import zipfile

    return zipfile.is_zipfile(path)


if __name__ == "__main__":
    sys.exit(main())
