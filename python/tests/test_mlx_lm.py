"""mlx-lm from PyPI, unchanged: what it generates and trains on Treadle is what it generates and trains on MLX."""

import contextlib
import json
import math
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("mlx_lm", reason="requirements/clients.txt is not installed")

CLIENTS = pathlib.Path(__file__).parent / "clients"
# MLX without its compiler: that calls g++ for every kernel. Nothing is looked up on the network.
ENVIRONMENT = os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
MLX, TREADLE = [sys.executable], [sys.executable, "-m", "treadle.mlx"]


def start(*command, **kwargs):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*map(str, command)], text=True, env=ENVIRONMENT, **pipes, **kwargs)


def finish(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


def run(*command, **kwargs):
    return finish(start(*command, **kwargs))


def on_both(script, *arguments):
    """What a script prints on Treadle and on MLX, which run at the same time."""
    processes = [start(*python, CLIENTS / script, *arguments) for python in (TREADLE, MLX)]
    return [json.loads(finish(p).splitlines()[-1]) for p in processes]


def same(ours, theirs, tolerance=2e-5):
    """Equal, where floating-point numbers may differ by their rounding."""
    if isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k], tolerance) for k in theirs)
    return ours == theirs


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    run(*MLX, CLIENTS / "make_models.py", folder)
    return folder


@pytest.fixture(scope="module")
def generated(models):
    return on_both("lm_generate.py", models)


@pytest.fixture(scope="module")
def tuned(models):
    return on_both("lm_tune.py", models)


def test_every_file_of_the_package_imports():
    ours, theirs = on_both("lm_imports.py")
    # It starts programs on other machines.
    assert "_distributed_utils" in ours["failed"].pop("mlx_lm.share")
    theirs["imported"].remove("mlx_lm.share")
    assert ours == theirs
    assert len([name for name in ours["imported"] if name.startswith("mlx_lm.models.")]) > 120


@pytest.mark.parametrize("model", ["llama", "qwen", "gemma"])
@pytest.mark.parametrize(
    "what",
    [
        "greedy",
        "text",
        "prompt in pieces",
        "rotating cache",
        "long prompt",
        "long prompt, rotating cache",
        "metadata of the cache",
        "kinds of caches",
        "continued from a loaded cache",
        "trimmed",
        "after trimming",
        "batch",
        "batch with caches",
        "batch continued",
    ],
)
def test_generation_is_that_of_mlx(generated, model, what):
    ours, theirs = (results[f"{model}: {what}"] for results in generated)
    assert same(ours, theirs)


@pytest.mark.parametrize(
    "what",
    [
        "processors",
        "top_k",
        "top_p",
        "min_p",
        "xtc",
        "a seed gives the same draws",
        "speculative",
        "from the draft",
        "its own draft",
    ],
)
def test_samplers_and_speculative_decoding_are_those_of_mlx(generated, what):
    ours, theirs = (results[f"llama: {what}"] for results in generated)
    assert same(ours, theirs)
    assert ours is not False


@pytest.mark.parametrize("model", ["llama", "qwen", "gemma"])
def test_bfloat16_gives_the_same_tokens_where_they_are_clear(generated, model):
    ours, theirs = (results[f"{model}_bf16: greedy"] for results in generated)
    # The first token that rounding may decide: from there on the texts may differ.
    margins = theirs["margins"]
    clear = next((i for i, m in enumerate(margins) if m < 0.01), len(margins))
    assert clear >= 3
    assert ours["tokens"][:clear] == theirs["tokens"][:clear]
    assert same(ours["margins"][:clear], margins[:clear], 0.015)


@pytest.mark.parametrize("cache", ["plain", "rotating"])
def test_caches_hold_the_same(generated, cache):
    ours, theirs = (results[f"caches: {cache}"] for results in generated)
    assert ours == theirs


TUNINGS = [
    "lora",
    "dora",
    "full",
    "resumed",
    "qwen, checkpointed",
    "gemma, accumulated",
    "prompts masked",
    "optimizer adamw",
    "optimizer sgd",
    "optimizer muon",
    "optimizer adafactor",
    "schedule",
    "dropout",
]


@pytest.mark.parametrize("name", TUNINGS)
def test_fine_tuning_has_the_losses_of_mlx(tuned, name):
    ours, theirs = (results[name] for results in tuned)
    assert same(ours, theirs)
    if not name.startswith("optimizer"):
        assert ours["valid"][-1] < ours["valid"][0] - 0.15


def test_resumed_training_goes_on_where_it_stopped(tuned):
    first, resumed = (tuned[0][name] for name in ("lora", "resumed"))
    assert same(resumed["valid"][0], first["test"], 0.1)
    assert resumed["valid"][-1] < first["valid"][-1]


def test_adapters_are_loaded_fused_and_exported_as_by_mlx(tuned):
    ours, theirs = tuned
    assert {k for k in ours if k not in TUNINGS} == {k for k in theirs if k not in TUNINGS}
    for name in (k for k in theirs if k not in TUNINGS):
        assert same(ours[name], theirs[name], 2e-4 if name == "GGUF: arrays" else 2e-5), name
    assert all(ours[f"{kind}: adapters give the same tokens"] for kind in ("lora", "dora", "full"))


def test_console_programs_run_by_their_names(models, tmp_path):
    generate = ["mlx_lm.generate", "--model", models / "llama", "--prompt", "import os", "--max-tokens", "6"]
    cached = ["--prompt-cache-file", tmp_path / "cache.safetensors"]
    processes = [
        start(*TREADLE, *generate),
        start(*TREADLE, "-m", "mlx_lm", "generate", *generate[1:]),
        start(*TREADLE, "mlx_lm.cache_prompt", *generate[1:5], *cached),
    ]
    by_name, as_module, _ = map(finish, processes)
    assert "Generation: 6 tokens" in by_name
    assert by_name.split("==========")[1] == as_module.split("==========")[1]
    assert "Generation: 6 tokens" in run(*TREADLE, *generate, *cached)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def serving(python, model):
    """The address of a server of mlx-lm with a model, once it answers."""
    port = free_port()
    options = ["--model", model, "--host", "127.0.0.1", "--port", port, "--log-level", "ERROR"]
    server = start(*python, "-m", "mlx_lm", "server", *options)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=10):
                    break
            except urllib.error.URLError:
                assert server.poll() is None, server.communicate()[1]
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.communicate(timeout=60)


def answer(address, path, **body):
    """(text, reason why it ended) of a request, the pieces of a streamed one joined."""
    data = json.dumps(body | {"max_tokens": 12, "temperature": 0.0}).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        lines = response.read().decode().splitlines()
    if not body["stream"]:
        (lines,) = (["data: " + "".join(lines)],)
    pieces = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert body["stream"] == (len(pieces) > 1)
    choices = [choice for piece in pieces for choice in piece["choices"]]
    parts = [c.get("message") or c.get("delta") or c for c in choices]
    text = "".join(part.get("content") or part.get("text") or "" for part in parts)
    return text, choices[-1]["finish_reason"]


def test_a_server_gives_the_texts_of_mlx(models):
    prompt = {"prompt": "import os"}
    messages = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "def add(a, b):"}]}
    texts = []
    with serving(TREADLE, models / "llama") as ours, serving(MLX, models / "llama") as theirs:
        for path, body in (("/v1/completions", prompt), ("/v1/chat/completions", messages)):
            for stream in (False, True):
                text, reason = answer(ours, path, stream=stream, **body)
                assert (text, reason) == answer(theirs, path, stream=stream, **body)
                assert text and reason == "length"
                texts.append(text)
    assert texts[0] == texts[1] != texts[2] == texts[3]


def test_a_chat_through_a_pipe_is_that_of_mlx(models):
    command = ["-m", "mlx_lm", "chat", "--model", models / "llama", "--max-tokens", "8"]
    # A question, one that follows it, the first one again after a reset, and the end.
    typed = "import os\nand sys\nr\nimport os\nq\n"
    processes = [start(*python, *command, stdin=subprocess.PIPE) for python in (TREADLE, MLX)]
    outputs = []
    for process in processes:
        out, errors = process.communicate(typed, timeout=120)
        assert process.returncode == 0, errors
        assert out.count("tok/s") >= 3
        outputs.append(re.sub(r"[\d.]+ (tok/s|GB)", "", out))
    assert outputs[0] == outputs[1]


def test_quantized_paths_say_that_they_are_not_there_yet(models, tmp_path):
    code = """
import sys, mlx.core as mx
from mlx_lm import load
from mlx_lm.convert import convert
from mlx_lm.generate import generate_step

model, _ = load(sys.argv[1])
for call in (
    lambda: convert(sys.argv[1], sys.argv[2], quantize=True),
    lambda: list(generate_step(mx.array([5, 6]), model, kv_bits=4, quantized_kv_start=0, max_tokens=2)),
):
    try:
        call()
    except NotImplementedError as error:
        print(error)
"""
    printed = run(*TREADLE, "-c", code, models / "llama", tmp_path / "quantized").splitlines()
    missing = "[treadle.{}] is not in this version of Treadle yet."
    assert printed[-2:] == [missing.format("nn.layers.quantized.quantize"), missing.format("core.quantize")]
