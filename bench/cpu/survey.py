"""Every op, or every layer, beside its peers: one process per peer, each case measured in turn, round after round.

  python survey.py ops|layers [--only REGEX] [--part 2/5] [--peers ours,torch] [--rounds 5] [--json FILE]
  python survey.py ops|layers --table FILE ...       print the table of earlier runs

The rows are those of ops.table and layers.table. Prints the cases by their ratio to the best peer, the slowest first,
and the ops that take more memory than their inputs and outputs. --json adds to the file. For a machine that may be had
for a few minutes at a time: --part 2/5 measures every fifth case, from the second on, --limit ends after so many
seconds, --missing goes on where another run ended.
"""

import argparse
import json
import os
import re
import time

import report
import table
from bench import OURS, Worker, interleave, limited

PEERS = ["ours", "mlx_ob", "torch", "jax"]
LIMIT = {"ops": 1.2, "layers": 1.1}
MEMORY = 1.1  # peak memory as a share of inputs and outputs
SMALL = 1 << 20  # bytes beside inputs and outputs that are not called workspace: tables, pages


class Peers:
    """A process for each peer, started when it is first asked and again after a failure."""

    def __init__(self, name, peers, timeout):
        self.name, self.names, self.timeout = name, peers, timeout
        self.env = limited(os.environ.get("BENCH_THREADS", "2"))
        self.workers = {}

    def load(self, case):
        """peer -> what it answered or {error}."""
        answers = {}
        for peer in self.names:
            try:
                if peer not in self.workers:
                    self.workers[peer] = Worker("survey_worker.py", self.name, peer, self.env, self.timeout)
                answers[peer] = self.workers[peer].ask(f"load {case}")
            except RuntimeError as error:
                answers[peer] = dict(error=str(error))
                self.end(peer)
        return answers

    def end(self, peer):
        if peer in self.workers:
            self.workers.pop(peer).close()


def measure(peers, case, rounds, seconds):
    result = {p: r if "error" in r else dict(r, rounds=[]) for p, r in peers.load(case).items()}
    asked = {p: peers.workers[p] for p, r in result.items() if "rounds" in r}
    interleave(asked, result, rounds, seconds, lambda p: peers.end(p) if "error" in result[p] else None)
    return result


def compare(case, result):
    """(ratio to the best peer, ours, best peer, remark) of a case; ratio is None without a peer or without ours."""
    rows = report.measured(result)
    theirs = min((p for p in rows if p != "ours"), key=lambda p: report.median(rows[p]), default=None)
    if "ours" not in rows:
        return None, None, theirs, result["ours"]["error"]
    remark = ""
    if rows["ours"]["check"]:
        remark = report.differs(case, rows, "ours")
    if theirs is None:
        return None, rows["ours"], None, remark or "no peer has it"
    return report.ratio(rows["ours"], rows[theirs])[0], rows["ours"], theirs, remark


def print_speed(name, found):
    rows, alone, counted, within = [], [], 0, 0
    for case, result in found["cases"].items():
        ratio, ours, theirs, remark = compare(case, result)
        if ratio is None:
            alone.append(f"{case} ({remark})")
            continue
        counted += 1
        within += ratio <= LIMIT[name]
        mark = "" if ratio <= LIMIT[name] else "SLOW"
        times = [report.duration(report.median(r)) for r in (ours, result[theirs])]
        least = f"{report.least_ratio(ours, result[theirs]):.2f}"
        rows.append((ratio, [case, f"{ratio:.2f}", least, times[0], f"{times[1]} {theirs}", mark, remark]))
    rows.sort(key=lambda row: -row[0])
    report.print_table(["case", "ratio", "best step", "ours", "best peer", "", "remark"], [cells for _, cells in rows])
    print(f"\n{within} of {counted} within {LIMIT[name]} of the best peer")
    print(f"not compared: {'; '.join(alone) or 'none'}\n")


def print_memory(found):
    rows = []
    for case, result in found["cases"].items():
        m = result["ours"].get("memory")
        if not m:
            continue
        held = m["inputs"] + m["outputs"]
        taken = max(m["allocated"], m["resident"])
        if m["inputs"] + taken > MEMORY * held + SMALL:
            share = [(m["inputs"] + m[k]) / held for k in ("allocated", "resident")]
            rows.append((max(share), [case, f"{share[0]:.2f}", f"{share[1]:.2f}", *(f"{m[k] >> 10}" for k in m)]))
    rows.sort(key=lambda row: -row[0])
    print(f"peak memory above {MEMORY} of inputs and outputs (as the allocator, as the kernel counts; KB):")
    report.print_table(
        ["case", "allocator", "resident", "allocated", "resident", "inputs", "outputs"], [cells for _, cells in rows]
    )


def merge(files):
    found = None
    for name in files:
        with open(name) as f:
            run = json.load(f)
        if found is None:
            found = run
        else:
            found["cases"].update(run["cases"])
    return found


def save(name, found):
    """Writes what was found over what the file has of the same cases."""
    old = merge([name])["cases"] if os.path.exists(name) else {}
    with open(name, "w") as f:
        json.dump(dict(found, cases=dict(old, **found["cases"])), f)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=list(LIMIT))
    p.add_argument("--only", default="", help="cases whose name matches")
    p.add_argument("--part", default="1/1")
    p.add_argument("--peers", default=",".join(PEERS))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.01, help="of each peer in each round; three steps at least")
    p.add_argument("--limit", type=float, default=1e9, help="seconds after which no further case is begun")
    p.add_argument("--timeout", type=float, default=60)
    p.add_argument("--json")
    p.add_argument("--missing", action="store_true", help="only what the file of --json lacks")
    p.add_argument("--table", nargs="+", metavar="FILE")
    args = p.parse_args()
    if args.table:
        found = merge(args.table)
        print_speed(args.name, found)
        return print_memory(found)
    part, parts = map(int, args.part.split("/"))
    names = [case.name for case in table.cases(args.name) if re.search(args.only, case.name)][part - 1 :: parts]
    if args.missing and os.path.exists(args.json):
        old = merge([args.json])["cases"]
        names = [name for name in names if name not in old]
    found = dict(machine=report.machine(), ours=OURS, threads=os.environ.get("BENCH_THREADS", "2"), cases={})
    report.print_machine(found)
    peers = Peers(args.name, args.peers.split(","), args.timeout)
    begin = saved = time.monotonic()
    try:
        for case in names:
            if time.monotonic() - begin > args.limit:
                print(f"stopped before {case}")
                break
            found["cases"][case] = measure(peers, case, args.rounds, args.seconds)
            if args.json and time.monotonic() - saved > 5:
                save(args.json, found)
                saved = time.monotonic()
    finally:
        for peer in list(peers.workers):
            peers.end(peer)
    print_speed(args.name, found)
    print_memory(found)
    if args.json:
        save(args.json, found)


if __name__ == "__main__":
    main()
