"""What does not shrink with the arrays: an operation, an import, a plan, and whether a long run grows.

  python overhead.py [PROBE ...] [--impls treadle,mlx,torch] [--repeats 3] [--steps 100000] [--json out.json]

Probes: start, eager, plan, steps, lengths. Each runs in fresh processes, the libraries in turn, and prints the median
over the repeats (the least for times of start). Libraries: BENCH_OURS (default treadle), mlx, torch; a library with
MLX's module names runs through the same code as MLX.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import report

HERE = os.path.dirname(os.path.abspath(__file__))
PROBES = ["start", "eager", "plan", "steps", "lengths"]
OURS = os.environ.get("BENCH_OURS", "treadle")

ROWS = [  # name, unit, what it is
    ("import_ms", "ms", "import of core, nn and optimizers"),
    ("import_mb", "MB", "resident after importing core"),
    ("first_result_ms", "ms", "first sum of two arrays"),
    ("first_result_mb", "MB", "resident after it"),
    ("record_ns", "ns", "record a node: x + y on 4 floats, not evaluated"),
    ("record_matmul_ns", "ns", "record a node: 4x4 product"),
    ("run_ns", "ns", "evaluate x + y alone, recording not counted"),
    ("op_ns", "ns", "x + y and its evaluation"),
    ("chain_ns", "ns", "an op of a chain of 1,000 sums, recorded and evaluated"),
    ("matmul_ns", "ns", "an op of a chain of 100 products of 4x4 (not fusable)"),
    ("item_ns", "ns", "x + y, evaluated and read as a number"),
    ("plan_10k_ms", "ms", "10,000 mixed nodes: first evaluation less a repeated one"),
    ("run_10k_ms", "ms", "10,000 mixed nodes: a repeated evaluation"),
    ("record_10k_ns", "ns", "record one of 10,000 mixed nodes"),
    ("step_compiled_us", "us", "training step of tinymlp, compiled"),
    ("growth_compiled_kb", "KB", "memory gained from a tenth of the compiled steps to the last"),
    ("step_eager_us", "us", "training step of tinymlp, not compiled"),
    ("growth_eager_kb", "KB", "memory gained from a tenth of the eager steps to the last"),
    ("length_us", "us", "x[:n] * 2 + 1, evaluated, another n every time"),
    ("growth_lengths_kb", "KB", "memory gained from a tenth of the lengths to the last"),
]


def run_probe(probe, impl, steps):
    threads = os.environ.get("BENCH_THREADS", "2")
    env = dict(os.environ, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an import is timed with its bytecode cached, as a user has it
    command = [sys.executable, os.path.join(HERE, "overhead_probe.py"), probe, impl, str(steps)]
    p = subprocess.run(command, env=env, cwd=HERE, capture_output=True, text=True)
    if p.returncode:
        return dict(error=(p.stderr.strip().splitlines() or [f"status {p.returncode}"])[-1][:160])
    return json.loads(p.stdout.splitlines()[-1])


def summarize(runs):
    """Row -> one number for a library."""
    rows = {}
    for run in runs:
        for name, value in run.items():
            if name != "error":
                rows.setdefault(name, []).append(value)
    pick = lambda name: min if name in ("import_ms", "first_result_ms") else statistics.median
    return {name: pick(name)(values) for name, values in rows.items()}


def print_rows(found):
    summary = {impl: summarize(runs) for impl, runs in found.items()}
    impls = list(found)
    table = []
    for name, unit, what in ROWS:
        values = {impl: summary[impl][name] for impl in impls if name in summary[impl]}
        if not values:
            continue
        goal, mark, limit = report.GOALS["overhead"].get(name), "", ""
        if goal:
            relative = goal["unit"] == "of MLX's"
            limit = f"{goal['at_least']:g} {goal['unit']}"
            if OURS in values and (not relative or "mlx" in values):
                value = values[OURS] / (values["mlx"] if relative else 1)
                mark = report.verdict(value, goal)
        cells = [f"{values[i]:.4g}" if i in values else "" for i in impls]
        table.append([name, *cells, unit, limit, mark, what])
    report.print_table(["overhead", *impls, "unit", "at least", "verdict", "what"], table)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("probes", nargs="*", metavar="PROBE")
    p.add_argument("--impls", default=",".join(dict.fromkeys([OURS, "mlx", "torch"])))
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--steps", type=int, default=100_000, help="training steps of the probe `steps` (run once)")
    p.add_argument("--json", help="write what was measured to this file")
    args = p.parse_args()
    if not set(args.probes) <= set(PROBES):
        p.error(f"probes are {', '.join(PROBES)}; got {' '.join(args.probes)}")
    impls = args.impls.split(",")
    found = {impl: [] for impl in impls}
    report.print_machine(dict(machine=report.machine(), ours=OURS, threads=os.environ.get("BENCH_THREADS", "2")))
    for probe in args.probes or PROBES:
        for _ in range(1 if probe in ("steps", "lengths") else args.repeats):
            for impl in impls:
                r = run_probe(probe, impl, args.steps)
                found[impl].append(r)
                if "error" in r:
                    print(f"{probe} {impl}: {r['error']}", flush=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(found, f, indent=1)
    print_rows(found)


if __name__ == "__main__":
    main()
