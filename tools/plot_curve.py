"""Draws the learning curve of an event file (one JSON object a line, with "step") as a PNG.

    python tools/plot_curve.py runs/mnist/events.jsonl runs/mnist/curve.png

Values whose name contains "accuracy" share the right axis, all others the left one.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def read(path):
    """{name: (steps, values)} in the order of first appearance."""
    curves = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        step = event.pop("step")
        for name, value in event.items():
            if value is not None:
                steps, values = curves.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
    return curves


def draw(curves, path):
    figure, left = plt.subplots(figsize=(8, 4.5), layout="constrained")
    right = left.twinx()
    handles = []
    for i, (name, (steps, values)) in enumerate(curves.items()):
        axis = right if "accuracy" in name else left
        marker = "o" if len(steps) < 40 else None
        handles += axis.plot(steps, values, label=name, color=f"C{i}", marker=marker, markersize=3, linewidth=1)
    left.set_xlabel("step")
    left.set_ylabel(", ".join(n for n in curves if "accuracy" not in n))
    right.set_ylabel(", ".join(n for n in curves if "accuracy" in n))
    right.set_visible(any("accuracy" in n for n in curves))
    left.legend(handles=handles, loc="center right")
    left.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    events, image = Path(sys.argv[1]), Path(sys.argv[2])
    curves = read(events)
    if not curves:
        sys.exit(f"plot_curve: {events} holds no events")
    draw(curves, image)
    print(image)


if __name__ == "__main__":
    main()
