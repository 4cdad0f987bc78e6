"""MLX as a judge: the same random programs on MLX and on Treadle.

    python tools/judge                    # 300 programs
    python tools/judge --seeds 0:10000    # in processes of 200
    python tools/judge --seeds 4711 --show

Values, shapes and dtypes are compared with MLX's; the bits of outputs that no kernel may choose with those that
TREADLE_PLAN=off gives; and every value with that of an evaluation line by line. A failing program is cut down and
printed as a program that runs.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TREADLE_STRICT_HALF"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def judge(seeds, show=False):
    """The number of failing programs."""
    import run
    from programs import make

    failures = 0
    planned = {}
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/bits"
        command = [sys.executable, str(HERE / "reference.py"), str(seeds.start), str(seeds.stop), file]
        with subprocess.Popen(command, env=os.environ | {"TREADLE_PLAN": "off"}) as reference:
            for seed in seeds:
                if show:
                    print(make(seed).text(), flush=True)
                reports, planned[seed] = run.check(seed)
                failures += len(reports)
                print(*reports, sep="\n", end="", flush=True)
        if reference.returncode != 0:
            print(f"the run with TREADLE_PLAN=off ended with {reference.returncode}")
            return failures + 1
        with open(file, "rb") as f:
            bits = pickle.load(f)
    for seed in seeds:
        reports = run.compare_bits(seed, planned[seed], bits[seed])
        failures += len(reports)
        print(*reports, sep="\n", end="", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:300", help="one, or first:after")
    parser.add_argument("--chunk", type=int, default=200, help="programs to a process")
    parser.add_argument("--show", action="store_true", help="print every program")
    options = parser.parse_args()
    first, _, after = options.seeds.partition(":")
    seeds = range(int(first), int(after) if after else int(first) + 1)
    if len(seeds) <= options.chunk:
        failures = judge(seeds, options.show)
        print(f"{len(seeds)} programs, {failures} with a difference")
        sys.exit(1 if failures else 0)
    bad = 0
    for start in range(seeds.start, seeds.stop, options.chunk):
        part = f"{start}:{min(start + options.chunk, seeds.stop)}"
        result = subprocess.run([sys.executable, str(HERE), "--seeds", part, "--chunk", str(options.chunk)])
        if result.returncode < 0 or result.returncode > 1:
            print(f"seeds {part}: the process ended with {result.returncode}", flush=True)
        bad += result.returncode != 0
        print(f"-- {part} done, {bad} processes with differences", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
