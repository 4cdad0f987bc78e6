"""MLX as a judge: the same random programs on MLX and on Treadle.

    python tools/judge                    # 300 programs
    python tools/judge --seeds 0:10000    # an hour or two
    python tools/judge --seeds 4711 --show

Values, shapes and dtypes are compared with MLX's; the bits of outputs that no kernel may choose with those that
TREADLE_PLAN=off gives; and every value with that of an evaluation line by line. A failing program is cut down and
printed as a program that runs. A program on which MLX hangs or ends the process is counted and not judged; one on
which Treadle does has failed.
"""

import argparse
import collections
import os
import sys
from pathlib import Path

os.environ["TREADLE_STRICT_HALF"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent))

from pool import Worker

MOST_SKIPPED = 0.01  # of all programs
RENEW = 500  # programs to a process: neither library gives all of its memory back


class Judge:
    def __init__(self, limit):
        self.limit = limit
        self.planned = Worker(("run", "check"))
        self.reference = Worker(("reference", "bits_of_text"), {"TREADLE_PLAN": "off"})
        self.excused = collections.Counter()
        self.judged = self.failed = self.skipped = 0

    def judge(self, seed):
        """Reports of what is wrong with the program of a seed."""
        found, trouble = self.planned.ask(seed, self.limit)
        if found is None:
            return self.without_answer(seed, trouble)
        self.judged += 1
        self.excused.update(found["excused"])
        if found["reports"]:
            return found["reports"]
        bits, trouble = self.reference.ask(found["exact"], self.limit)
        if bits is None:
            return [f"# seed {seed}, with TREADLE_PLAN=off: {trouble}\n{found['exact']}"]
        return [
            f"# seed {seed}, output {name}: other bits than with TREADLE_PLAN=off\n{found['exact']}"
            for name, value in found["bits"].items()
            if bits.get(name) != value
        ][:1]

    def without_answer(self, seed, trouble):
        if trouble.startswith("mlx"):
            self.excused[f"not judged, {trouble}"] += 1
            self.skipped += 1
            return []
        self.judged += 1
        return [f"# seed {seed}, {trouble}\n"]

    def run(self, seeds, show=False):
        for number, seed in enumerate(seeds, 1):
            if show:
                from programs import make

                print(make(seed).text(), flush=True)
            reports = self.judge(seed)
            self.failed += bool(reports)
            print(*reports, sep="\n", end="", flush=True)
            if number % RENEW == 0:
                self.end()
                print(f"-- up to seed {seed}: {self.summary()}", flush=True)
        self.end()

    def end(self):
        self.planned.end()
        self.reference.end()

    def summary(self):
        return f"{self.judged} programs, {self.failed} with a difference"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:300", help="one, or first:after")
    parser.add_argument("--limit", type=float, default=60, help="seconds to a program")
    parser.add_argument("--show", action="store_true", help="print every program")
    options = parser.parse_args()
    first, _, after = options.seeds.partition(":")
    judge = Judge(options.limit)
    judge.run(range(int(first), int(after) if after else int(first) + 1), options.show)
    for reason, count in judge.excused.most_common():
        print(f"   {count} x {reason}")
    print(judge.summary())
    sys.exit(1 if judge.failed or judge.skipped > MOST_SKIPPED * (judge.judged + judge.skipped) else 0)


if __name__ == "__main__":
    main()
