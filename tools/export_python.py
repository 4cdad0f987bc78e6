"""Writes the sources of Python's standard library as one text, in a fixed order.

    python tools/export_python.py data/python.txt

What examples/cpp/gpt.cpp learns from. Tests are left out, and files of other than ASCII characters.
"""

import random
import sys
import sysconfig
from pathlib import Path

LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "lib2to3", "pydoc_data", "encodings", "__pycache__"}


def sources(folder):
    """The texts of the library's modules, shuffled with a fixed seed, so that any part of the text is like the rest."""
    files = sorted(p for p in folder.rglob("*.py") if not LEFT_OUT & set(p.relative_to(folder).parts))
    random.Random(0).shuffle(files)
    for path in files:
        text = path.read_bytes()
        if text.isascii():
            yield text.replace(b"\r\n", b"\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    text = b"\n\n".join(sources(Path(sysconfig.get_paths()["stdlib"])))
    target.write_bytes(text)
    print(f"{target}: {len(text):,} bytes")


if __name__ == "__main__":
    main()
