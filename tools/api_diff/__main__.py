"""What a program written for MLX would miss in Treadle, by name and by signature.

    PYTHONPATH=build/release/python python tools/api_diff          # missing and differing
    PYTHONPATH=build/release/python python tools/api_diff --extra  # and what Treadle has besides

MLX's core is read from the stubs in its wheel, everything else from the modules. A difference is a call that MLX
takes and Treadle refuses or reads in another way; to take more is none. Exits with 1 when a name is missing that is
not in MISSING_YET, and when one of those is there.
"""

import argparse
import importlib
import inspect
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import mlx
from signatures import differences, from_object, from_stub

CORE = ["", "cuda", "distributed", "fast", "fft", "linalg", "metal", "random"]
PYTHON = [
    *("nn", "nn.init", "nn.losses", "nn.utils", "nn.layers.base", "nn.layers.distributed", "nn.layers.quantized"),
    *("nn.layers.upsample", "optimizers", "optimizers.optimizers", "optimizers.schedulers", "utils"),
]

# What later versions bring. Modules of which all is missing end in a star.
_LATER = {
    "core": "dequantize gather_qmm gather_qqmm qqmm quantize quantized_matmul",
    "nn": "AllToShardedLinear ShardedToAllLinear QuantizedAllToShardedLinear QuantizedShardedToAllLinear "
    "FullyShardedModule fully_shard layers.distributed.* QQLinear QuantizedEmbedding QuantizedLinear quantize "
    "layers.quantized.*",
    "nn.utils": "clip_grad_norm_sharded",
}
MISSING_YET = {f"{module}.{name}" for module, names in _LATER.items() for name in names.split()}

# Differences that are decided, each with the reason.
DECIDED = {
    "nn.losses.*'reduction' is *": "the specification's default is 'none'; treadle.compat.mlx_defaults() gives MLX's",
    "nn.BatchNorm.unfreeze: takes no *": "it takes by name what Module.unfreeze takes, as all callers write it",
    "nn.*.to_quantized: missing": "comes with the quantized layers",
}


def stubs_of(module):
    folder = Path(next(iter(mlx.__path__))) / "core"
    return from_stub(folder / f"{module or '__init__'}.pyi")


def public(module):
    """The names of a module that are its own."""
    foreign = ("typing", "collections", "functools", "math", "enum")
    return {
        n: v
        for n, v in vars(module).items()
        if not n.startswith("_")
        and not inspect.ismodule(v)
        and (getattr(v, "__module__", None) or "").split(".")[0] not in foreign
        and getattr(v, "__name__", "") != "module_getattr"
    }


def is_there(module, name):
    """Named and usable: a stand-in that says "not yet" is not there."""
    return name in vars(module)


def allowed(full):
    return full in MISSING_YET or any(full.startswith(m[:-1]) for m in MISSING_YET if m.endswith("*"))


class Report:
    def __init__(self):
        self.missing, self.different, self.extra = [], [], []

    def compare(self, title, ours, theirs, module):
        for name, entry in theirs.items():
            full = f"{title}.{name}"
            if not is_there(module, name):
                self.missing.append(full)
                continue
            self.different += differences(full, from_object(ours[name]), entry)
        self.extra += [f"{title}.{n}" for n in ours if n not in theirs]


def compare_core(report):
    import mlx.core

    import treadle.core

    # Type variables and imports of the stubs are no names of the module.
    for sub in CORE:
        title = f"core.{sub}" if sub else "core"
        real = getattr(mlx.core, sub) if sub else mlx.core
        ours = getattr(treadle.core, sub) if sub else treadle.core
        theirs = {n: e for n, e in stubs_of(sub).items() if hasattr(real, n) and not n.startswith("_")}
        for name, value in public(real).items():
            theirs.setdefault(name, from_object(value))
        report.compare(title, public(ours), theirs, ours)


def compare_python(report, name):
    theirs = importlib.import_module(f"mlx.{name}")
    # A package shows what its files define; what a file imports is no name of its own.
    own_of = theirs.__name__.partition(".layers")[0] if hasattr(theirs, "__path__") else theirs.__name__
    try:
        ours = importlib.import_module(f"treadle.{name}")
    except ImportError:
        report.missing.append(name)
        return
    own = {n: v for n, v in public(theirs).items() if getattr(v, "__module__", own_of).startswith(own_of)}
    report.compare(name, public(ours), {n: from_object(v) for n, v in own.items()}, ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="store_true", help="print what Treadle has besides")
    arguments = parser.parse_args()
    report = Report()
    compare_core(report)
    for name in PYTHON:
        compare_python(report, name)
    decided = [d for d in report.different if any(fnmatchcase(d, pattern) for pattern in DECIDED)]
    report.different = [d for d in report.different if d not in decided]
    later = [m for m in report.missing if allowed(m)]
    missing = [m for m in report.missing if not allowed(m)]
    for title, lines in (
        ("missing", missing),
        ("differing", report.different),
        ("missing, and known to be", later),
        ("differing, and decided to be", decided),
        ("extra", report.extra if arguments.extra else []),
    ):
        if lines:
            print(f"{title}: {len(lines)}")
            print("".join(f"  {line}\n" for line in lines))
    print(f"{len(missing)} missing, {len(report.different)} differing; {len(later)} and {len(decided)} known to be")
    found = [m for m in MISSING_YET if not m.endswith("*") and m not in report.missing]
    if found:
        print(f"no longer missing; take them from MISSING_YET: {', '.join(found)}")
    return 1 if missing or found else 0


if __name__ == "__main__":
    sys.exit(main())
