"""From measurements to tables: what a peer reached, and every row against goals.toml."""

import importlib.metadata
import json
import os
import platform
import statistics
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "..", "goals.toml"), "rb") as f:
    GOALS = tomllib.load(f)
EXTENSIONS = ["avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "bf16", "sve"]

# Largest difference between a peer's result and torch's, as a share of the largest value of a result.
TOLERANCE = {
    "gpt_bf16": 3e-2,
    "gpt_autocast": 3e-2,
    "mlp_autocast": 3e-2,
    "resnet": 2e-2,
    "llm_bf16": 2e-2,
    "llm_q4": 5e-2,
    "llm_q4_f32": 5e-2,
    # PyTorch's own distance from float32 is 6e-2 (sums in bf16 over rows) and 1e-2; ours 6e-3 and 5e-3.
    "LayerNorm bf16 gradient": 7e-2,
    "cross_entropy bf16 gradient": 2e-2,
}
DEFAULT_TOLERANCE = {"model": 2e-3, "f32": 1e-4, "bf16": 1e-2}


def machine():
    """What a reader must know to judge a timing."""
    info = dict(model=platform.machine(), cores=os.cpu_count(), load=os.getloadavg()[0], extensions=[])
    with open("/proc/cpuinfo") as f:
        for line in f:
            key, _, value = (part.strip() for part in line.partition(":"))
            if key == "model name":
                info["model"] = value
            if key in ("flags", "Features"):
                info["extensions"] = [e for e in EXTENSIONS if e in value.split()]
    versions = {}
    for name in ("treadle", "mlx", "torch", "jax"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return dict(info, versions=versions)


def merge(files):
    """Runs of several files as one: rounds of the same workload and peer are joined."""
    found = None
    for name in files:
        with open(name) as f:
            run = json.load(f)
        if found is None:
            found = run
            continue
        for workload, peers in run["workloads"].items():
            for peer, r in peers.items():
                old = found["workloads"].setdefault(workload, {}).setdefault(peer, r)
                if old is not r and "error" not in old and "error" not in r:
                    old["rounds"] += r["rounds"]
                    old["rss_mb"] = max(old["rss_mb"], r["rss_mb"])
    return found


def median(r):
    return statistics.median(x["median"] for x in r["rounds"])


def measured(peers):
    return {p: r for p, r in peers.items() if r.get("rounds")}


def duration(s):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if s >= size:
            return f"{s / size:.3g} {unit}"
    return f"{s / 1e-9:.3g} ns"


def differs(workload, peers, peer):
    """Says where a peer's result is not that of the reference peer; "" when it is."""
    reference = next((p for p in ("torch", "jax", "mlx_ob", "mlx") if p in peers and peers[p]["check"]), peer)
    a, b = peers[peer]["check"], peers[reference]["check"]
    if not a:
        return "not compared"
    if [len(x) for x in a] != [len(y) for y in b]:
        return f"{[len(x) for x in a]} values where {reference} has {[len(y) for y in b]}"
    kind = "bf16" if "bf16" in workload else "model" if [len(y) for y in b] == [1] else "f32"
    tolerance = TOLERANCE.get(workload, DEFAULT_TOLERANCE[kind])
    # Each result has a scale of its own: gradients of parameters are sums over a batch.
    worst = max(max(abs(x - y) for x, y in zip(xs, ys)) / (max(map(abs, ys)) or 1.0) for xs, ys in zip(a, b) if ys)
    return "" if worst <= tolerance else f"differs from {reference} by {worst:.1e} (may: {tolerance:.0e})"


def print_machine(found):
    m = found["machine"]
    print(f"{m['model']}, {m['cores']} cores, {' '.join(m['extensions'])}; load {m['load']:.1f}")
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    print(f"{versions}; ours = {found['ours']}; {found['threads']} threads each")
    if m["load"] > 0.5:
        print("WARNING: other work is running; ratios below about 1.3 are not safe")
    print(flush=True)


def print_peers(workload, peers, took):
    """One line a peer, fastest first."""
    rows = measured(peers)
    best = min(map(median, rows.values()), default=0)
    print(f"{workload}  ({took:.0f} s)")
    for peer, r in sorted(rows.items(), key=lambda row: median(row[1])):
        t, least, first = median(r), min(x["min"] for x in r["rounds"]), r["first"]
        print(
            f"  {peer:16} {duration(t):>9}  x{t / best:<6.2f} best {duration(least):>9}  first {duration(first):>9}"
            f"  {r['rss_mb']:6.0f} MB  {differs(workload, rows, peer)}"
        )
    for peer, r in peers.items():
        if "error" in r and r["error"] != "nothing to compile":
            print(f"  {peer:16} {r['error']}")
    print(flush=True)


def verdict(value, goal):
    if not goal:
        return ""
    if "goal" in goal and value <= goal["goal"]:
        return "goal"
    return "ok" if value <= goal["at_least"] else "SHORT"


def ratio(ours, peer):
    """Median over the rounds both were in: a round is short, so both met the same machine."""
    r = sorted(a["median"] / b["median"] for a, b in zip(ours["rounds"], peer["rounds"]))
    return statistics.median(r), r[0], r[-1]


def least_ratio(ours, peer):
    """Ratio of the fastest single steps: what stays comparable when other work shares the machine."""
    least = lambda r: min(x["min"] for x in r["rounds"])
    return least(ours) / least(peer)


def time_rows(found):
    for workload, peers in found["workloads"].items():
        rows = measured(peers)
        ours = min((p for p in rows if p.startswith("ours")), key=lambda p: median(rows[p]), default=None)
        theirs = min((p for p in rows if not p.startswith("ours")), key=lambda p: median(rows[p]), default=None)
        goal = GOALS["time"].get(workload, {})
        cells = [workload, "", "", "", "", goal.get("at_least", ""), goal.get("goal", ""), ""]
        if theirs:
            cells[2] = f"{duration(median(rows[theirs]))} {theirs}"
        if ours:
            cells[1] = f"{duration(median(rows[ours]))}{' compiled' if ours.endswith('compiled') else ''}"
        else:
            cells[7] = "; ".join({r["error"] for p, r in peers.items() if p.startswith("ours")})[:60]
        if ours and theirs:
            value, low, high = ratio(rows[ours], rows[theirs])
            cells[3] = f"{value:.2f} ({low:.2f}-{high:.2f})"
            cells[4] = f"{least_ratio(rows[ours], rows[theirs]):.2f}"
            cells[7] = "WRONG RESULT" if differs(workload, rows, ours) else verdict(value, goal)
        yield cells
        mlx = min((r["rss_mb"] for p, r in rows.items() if p.startswith("mlx")), default=None)
        if workload in GOALS["memory"] and ours and mlx:
            goal, mb = GOALS["memory"][workload], rows[ours]["rss_mb"]
            cells = [f"{workload}, peak memory", f"{mb:.0f} MB", f"{mlx:.0f} MB mlx", f"{mb / mlx:.2f}", ""]
            yield cells + [goal["at_least"], goal["goal"], verdict(mb / mlx, goal)]
        if workload in GOALS["first"] and ours:
            goal = GOALS["first"][workload]
            firsts = {p: r["first"] for p, r in rows.items() if not p.startswith("ours")}
            least = min(firsts, key=firsts.get, default=None)
            first = rows[ours]["first"]
            peer = f"{duration(firsts[least])} {least}" if least else ""
            cells = [
                f"{workload}, first step",
                duration(first),
                peer,
                f"{first / firsts[least]:.2f}" if least else "",
                "",
            ]
            yield cells + [f"{goal['at_least']} s", f"{goal['goal']} s", verdict(first, goal)]


def print_table(head, rows):
    rows = [head, *([str(c) for c in r] for r in rows)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
    rows.insert(1, ["-" * w for w in widths])
    for r in rows:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |")


def print_time(found):
    head = ["workload", "ours", "best peer", "ratio (spread)", "best step", "at least", "goal", "verdict"]
    print_table(head, time_rows(found))
