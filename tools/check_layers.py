"""Holds every #include of treadle/, and a few single-home rules, to the layers of docs/architecture.md.

Prints one line per violation and fails if there is one. A new folder, or a new arrow, is a line in MAY_INCLUDE;
the same arrows are link dependencies in treadle/CMakeLists.txt.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Folder -> the folders directly below it. What lies below those may be included too.
MAY_INCLUDE = {
    "base": [],
    "graph": ["base"],
    "ops": ["graph"],
    "transforms": ["ops"],
    "nn": ["transforms", "io"],  # modules save and load their weights
    "optimizers": ["transforms"],
    "distributed": ["transforms"],
    "io": ["transforms"],
    "train": ["nn", "optimizers", "distributed", "io"],
    "plan": ["ops"],
    "runtime": ["plan"],
    "backend/common": ["runtime"],
    "backend/cpu": ["backend/common"],
    "backend/cuda": ["backend/common"],
}

# The one door against the flow that is an include: this file names the backends.
BACKEND_LIST = "treadle/runtime/backends.cpp"
BACKEND_DOOR = re.compile(r"treadle/backend/\w+/backend\.h")

# Includes what users need, from any folder. What it reaches is public.
UMBRELLA = "treadle/treadle.h"

# Headers of these folders may show third-party types, as long as the umbrella header does not reach them.
INTERNAL = ("backend", "plan", "runtime")
THIRD_PARTY = re.compile(r"(fmt|nlohmann|hwy|oneapi|nanobind)/|zlib\.h|dnnl|cblas|lapack|omp\.h")

# A word that only the named files may contain.
SINGLE_HOME = [
    (re.compile(r"\bomp\b|\bomp_\w+|<omp\.h>"), "treadle/backend/cpu/parallel.", "OpenMP"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def below(folder):
    """All folders that `folder` may include: itself and everything that its arrows reach."""
    seen, todo = set(), [folder]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += MAY_INCLUDE[at]
    return seen


def folder_of(path):
    """The layer that a path like treadle/nn/modules/linear.h belongs to, or None."""
    parts = Path(path).parts[1:-1]
    for depth in (2, 1):
        name = "/".join(parts[:depth])
        if len(parts) >= depth and name in MAY_INCLUDE:
            return name
    return None


def reached_from(start, texts):
    """`start` and all files of `texts` that it includes, directly or not."""
    seen, todo = set(), [start]
    while todo:
        at = todo.pop()
        if at in texts and at not in seen:
            seen.add(at)
            todo += INCLUDE.findall(texts[at])
    return seen


def is_public(path, reached):
    inside = path.split("/")[1] in INTERNAL
    return path.endswith((".h", ".def")) and (path in reached or not inside)


def check_include(path, folder, target, public):
    """The reason why the file `path` must not include `target`, or None."""
    if not target.startswith("treadle/"):
        if public and THIRD_PARTY.match(target):
            return "a public header includes no third-party header"
        return None
    if target == UMBRELLA:
        return "the umbrella header is for users"
    if path == BACKEND_LIST and BACKEND_DOOR.fullmatch(target):
        return None
    target_folder = folder_of(target)
    if target_folder is None:
        return "it lies in no known folder"
    if target_folder not in below(folder):
        return f"{folder} does not lie above {target_folder}"
    return None


def check_file(path, text, public):
    folder = folder_of(path)
    if folder is None:
        return [f"{path}: lies in no known folder; name it in {Path(__file__).name}"]

    errors = []
    for target in INCLUDE.findall(text):
        reason = check_include(path, folder, target, public)
        if reason:
            errors.append(f"{path}: must not include {target}: {reason}")

    code = COMMENT_OR_STRING.sub("", text)
    for word, home, what in SINGLE_HOME:
        found = word.search(code)
        if found and not path.startswith(home):
            errors.append(f"{path}: mentions '{found.group()}'; only {home}* knows {what}")
    return errors


def check(texts):
    """All violations in `texts`, which maps paths to contents."""
    reached = reached_from(UMBRELLA, texts)
    errors = []
    for path, text in sorted(texts.items()):
        if path != UMBRELLA:
            errors += check_file(path, text, is_public(path, reached))
    return errors


def main():
    files = [p for p in (ROOT / "treadle").rglob("*") if p.suffix in (".h", ".cpp", ".def", ".inc", ".cu")]
    texts = {p.relative_to(ROOT).as_posix(): p.read_text() for p in files}
    errors = check(texts)
    for error in errors:
        print(error, file=sys.stderr)
    print(f"layers: {len(files)} files, {len(errors)} violations")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
