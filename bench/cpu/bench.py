"""Treadle beside its peers: each workload in one process per peer, measured in turn, round after round.

  python bench.py [WORKLOAD ...] [--peers ours,torch,jax] [--rounds 5] [--seconds 1] [--json out.json]
  python bench.py --table out.json ...        print the table of earlier runs

Workloads: those of worker.py (mlp, gpt, ...) and w_ops.py (softmax_4096, ...), or a group: quick (default), models,
ops, matmul, all. Peers: ours, ours_compiled (the package named in BENCH_OURS, default treadle, through the same code as
MLX); mlx, mlx_compiled; mlx_ob, mlx_ob_compiled (MLX with OpenBLAS preloaded from BENCH_SHIM); torch, torch_compile;
jax; llamacpp (for llm_*, once `bench/run llamacpp` has built it). BENCH_THREADS: threads of every peer (default 2).
"""

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time

import report
import w_ops

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = [
    "mlp",
    "mlp_autocast",
    "tinymlp",
    "gpt",
    "gpt_bf16",
    "gpt_autocast",
    "resnet",
    "lstm",
    "llm_f32",
    "llm_bf16",
    "llm_q4",
    "llm_q4_f32",
]
MATMUL = [op for op in w_ops.WORK if op.startswith("matmul")]
QUICK = ["mlp", "tinymlp", "chain8_16M", "softmax_4096", "adamw_20M", "tiny_add", *MATMUL]
GROUPS = {
    "quick": QUICK,
    "models": MODELS,
    "ops": list(w_ops.WORK),
    "matmul": MATMUL,
    "all": MODELS + list(w_ops.WORK),
}
PEERS = ["ours", "ours_compiled", "mlx_ob", "mlx_ob_compiled", "torch", "torch_compile", "jax"]
DECODERS = [*PEERS, "llamacpp"]  # of llm_*
OURS = os.environ.get("BENCH_OURS", "treadle")
FAR = 8  # a peer this many times slower than the best after one round cannot be the best: it is not asked again


class Worker:
    """A process of one peer: PROGRAM ARGUMENT PEER. Raises RuntimeError with the reason when the peer cannot run."""

    def __init__(self, program, argument, peer, env, timeout):
        self.timeout = timeout
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, program), argument, role(peer)],
            env=environment(peer, env),
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        try:
            self.ready = self.read()
        except RuntimeError:
            self.close()
            raise

    def read(self):
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise RuntimeError(f"no answer in {self.timeout:g} s")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines()
            raise RuntimeError(lines[-1][:200] if lines else f"ended with status {self.process.returncode}")
        return json.loads(line)

    def ask(self, line):
        with contextlib.suppress(BrokenPipeError):  # read() says why it ended
            print(line, file=self.process.stdin, flush=True)
        return self.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


def role(peer):
    """The name under which worker.py knows a peer."""
    return peer.replace("mlx_ob", "mlx").replace("ours", "mlx")


def limited(threads):
    """The environment in which every library uses so many threads."""
    names = ("BENCH_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict(os.environ, JAX_PLATFORMS="cpu", **dict.fromkeys(names, threads))


def environment(peer, env):
    if peer.startswith("mlx_ob"):
        if "BENCH_SHIM" not in env:
            raise RuntimeError("BENCH_SHIM names no BLAS to preload (bench/run builds one)")
        return dict(env, LD_PRELOAD=env["BENCH_SHIM"], MLX_IMPL="mlx")
    return dict(env, MLX_IMPL=OURS if peer.startswith("ours") else "mlx")


def interleave(workers, result, rounds, seconds, stop):
    """Asks the workers in turn, round after round. stop(peer): it failed, or it is too far behind to be asked again."""
    asked = list(workers)
    for i in range(rounds):
        for peer in asked[i % len(asked) :] + asked[: i % len(asked)] if asked else []:
            try:
                r = workers[peer].ask(seconds)
                result[peer]["rounds"].append(r)
                result[peer]["rss_mb"] = max(result[peer]["rss_mb"], r["rss_mb"])
            except RuntimeError as error:
                result[peer] = dict(error=str(error))
                asked.remove(peer)
                stop(peer)
        best = min((result[p]["rounds"][i]["median"] for p in asked), default=0)
        for peer in list(asked):
            if not peer.startswith("ours") and result[peer]["rounds"][i]["median"] > FAR * best:
                asked.remove(peer)
                stop(peer)


def measure(workload, peers, rounds, seconds, env, timeout):
    """peer -> {ready figures, rounds: [...]} or {error}."""
    workers, result = {}, {}
    try:
        for peer in peers:  # one after the other: the first step is timed too
            try:
                workers[peer] = Worker("worker.py", workload, peer, env, timeout)
                result[peer] = dict(workers[peer].ready, rounds=[])
            except RuntimeError as error:
                result[peer] = dict(error=str(error))
        interleave(workers, result, rounds, seconds, lambda peer: workers.pop(peer).close())
    finally:
        for worker in workers.values():
            worker.close()
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    p.add_argument("--peers", type=lambda text: text.split(","))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--timeout", type=float, default=240, help="seconds to wait for a worker")
    p.add_argument("--json", help="write what was measured to this file")
    p.add_argument("--table", nargs="+", metavar="JSON")
    args = p.parse_args()
    if args.table:
        return report.print_time(report.merge(args.table))
    workloads = []
    for w in args.workloads or ["quick"]:
        names = GROUPS.get(w, [w])
        for name in names:
            if name not in GROUPS["all"]:
                p.error(
                    f"no workload or group '{name}'; groups: {', '.join(GROUPS)}; workloads: {', '.join(GROUPS['all'])}"
                )
        workloads += [name for name in names if name not in workloads]
    threads = os.environ.get("BENCH_THREADS", "2")
    found = dict(machine=report.machine(), threads=threads, ours=OURS, workloads={})
    report.print_machine(found)
    with tempfile.TemporaryDirectory() as tmp:
        env = limited(threads)
        env["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(tmp, "inductor")  # cold: the first step is timed
        for workload in workloads:
            t = time.time()
            found["workloads"][workload] = measure(
                workload,
                args.peers or (DECODERS if workload.startswith("llm_") else PEERS),
                args.rounds,
                args.seconds,
                env,
                args.timeout,
            )
            report.print_peers(workload, found["workloads"][workload], time.time() - t)
            if args.json:
                with open(args.json, "w") as f:
                    json.dump(found, f, indent=1)
    report.print_time(found)


if __name__ == "__main__":
    main()
