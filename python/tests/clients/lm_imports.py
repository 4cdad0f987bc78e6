"""Imports every file of mlx-lm; prints those that fail, with the reason, as one line of JSON."""

import contextlib
import importlib
import io
import json
import pkgutil

import mlx_lm


def main():
    failed, imported = {}, []
    for module in pkgutil.walk_packages(mlx_lm.__path__, "mlx_lm."):
        if module.name.endswith("__main__"):
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module(module.name)
            imported.append(module.name)
        except (Exception, SystemExit) as error:
            failed[module.name] = f"{type(error).__name__}: {error}"
    print(json.dumps({"imported": imported, "failed": failed}))


if __name__ == "__main__":
    main()
