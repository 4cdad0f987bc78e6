"""Fine-tuning, fusing and converting with mlx-lm, as one line of JSON: python lm_tune.py FOLDER_OF_MODELS

The same on MLX and on Treadle (python -m treadle.mlx lm_tune.py ...).
"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import types

import mlx.core as mx
import numpy as np
from make_models import library_text
from mlx.utils import tree_flatten
from mlx_lm import lora
from mlx_lm.convert import main as convert
from mlx_lm.fuse import main as fuse
from mlx_lm.generate import generate_step
from mlx_lm.tuner.datasets import CacheDataset, load_dataset
from mlx_lm.tuner.trainer import evaluate
from mlx_lm.utils import load

results = {}


def run_program(main, *arguments):
    """What a console program of mlx-lm prints."""
    before, printed = sys.argv, io.StringIO()
    sys.argv = [main.__module__, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(printed):
            main()
    finally:
        sys.argv = before
    return printed.getvalue()


def write_data(folder):
    lines = [line.strip() for text in library_text(6) for line in text.splitlines() if 30 < len(line) < 90]
    rows = {
        "text": [{"text": line} for line in lines],
        "chat": [
            {"messages": [{"role": "user", "content": line[:15]}, {"role": "assistant", "content": line[15:]}]}
            for line in lines
        ],
    }
    for kind, kind_rows in rows.items():
        (folder / kind).mkdir()
        for name, (begin, end) in {"train": (0, 64), "valid": (64, 72), "test": (72, 80)}.items():
            text = "".join(json.dumps(row) + "\n" for row in kind_rows[begin:end])
            (folder / kind / f"{name}.jsonl").write_text(text)


class Losses:
    def __init__(self):
        self.train, self.valid = [], []

    def on_train_loss_report(self, info):
        self.train.append(info["train_loss"])

    def on_val_loss_report(self, info):
        self.valid.append(info["val_loss"])


def tune(name, model_folder, data, out, **options):
    """Trains as mlx_lm.lora does; the losses go into the results."""
    options = {
        "model": str(model_folder),
        "train": True,
        "data": str(data),
        "batch_size": 4,
        "iters": 12,
        "num_layers": 2,
        "val_batches": 2,
        "steps_per_report": 2,
        "steps_per_eval": 100,
        "learning_rate": 2e-3,
        "adapter_path": str(out),
        "lora_parameters": {"rank": 4, "dropout": 0.0, "scale": 4.0},
    } | options
    arguments = types.SimpleNamespace(**(lora.CONFIG_DEFAULTS | options))
    np.random.seed(arguments.seed)
    model, tokenizer = load(arguments.model)
    train_set, valid_set, test_set = load_dataset(arguments, tokenizer)
    losses = Losses()
    with contextlib.redirect_stdout(io.StringIO()):
        lora.train_model(arguments, model, train_set, valid_set, losses)
    test = evaluate(model, CacheDataset(test_set), batch_size=4, num_batches=2)
    results[name] = {"train": losses.train, "valid": losses.valid, "test": test}
    prompt = mx.array(tokenizer.encode("import os"))
    return [int(t) for t, _ in generate_step(prompt, model, max_tokens=12)]


def tokens_from(folder, adapters=None):
    model, tokenizer = load(str(folder), adapter_path=adapters and str(adapters))
    prompt = mx.array(tokenizer.encode("import os"))
    return [int(t) for t, _ in generate_step(prompt, model, max_tokens=12)]


def tunings(root, data, out):
    text, chat = data / "text", data / "chat"
    for kind in ("lora", "dora", "full"):
        tuned = tune(kind, root / "llama", text, out / kind, fine_tune_type=kind)
        results[f"{kind}: tokens"] = tuned
        results[f"{kind}: adapters give the same tokens"] = tokens_from(root / "llama", out / kind) == tuned
    adapters = out / "lora" / "adapters.safetensors"
    results["names of adapters"] = sorted((k, list(v.shape)) for k, v in mx.load(str(adapters)).items())
    tune("resumed", root / "llama", text, out / "resumed", resume_adapter_file=str(adapters), iters=6)

    tune("qwen, checkpointed", root / "qwen", text, out / "a", grad_checkpoint=True, iters=6)
    tune("gemma, accumulated", root / "gemma", text, out / "b", grad_accumulation_steps=2, num_layers=4, iters=8)
    tune("prompts masked", root / "llama", chat, out / "c", mask_prompt=True, iters=6)
    for optimizer, rate in {"adamw": 2e-3, "sgd": 0.1, "muon": 1e-2, "adafactor": 2e-3}.items():
        settings = {} if optimizer != "adafactor" else {"relative_step": False}
        options = {"optimizer": optimizer, "learning_rate": rate, "optimizer_config": {optimizer: settings}}
        tune(f"optimizer {optimizer}", root / "llama", text, out / optimizer, iters=6, **options)
    schedule = {"name": "cosine_decay", "warmup": 3, "warmup_init": 1e-5, "arguments": [2e-3, 8, 1e-4]}
    tune("schedule", root / "llama", text, out / "d", lr_schedule=schedule)
    dropout = {"rank": 4, "dropout": 0.3, "scale": 4.0}
    tune("dropout", root / "llama", text, out / "e", lora_parameters=dropout, iters=6)


def programs(root, out):
    llama, text = root / "llama", out.parent / "data" / "text"
    arguments = ["--train", "--model", llama, "--data", text, "--iters", 6, "--batch-size", 4, "--num-layers", 2]
    arguments += ["--steps-per-report", 2, "--adapter-path", out / "cli", "--learning-rate", 1e-3]
    run_program(lora.main, *arguments, "--val-batches", 1)
    printed = run_program(lora.main, "--test", "--model", llama, "--data", text, "--adapter-path", out / "cli")
    results["what mlx_lm.lora --test prints"] = printed.splitlines()[-1]

    for kind in ("lora", "dora"):
        fused = out / f"fused_{kind}"
        gguf = ["--export-gguf"] if kind == "lora" else []
        run_program(fuse, "--model", llama, "--adapter-path", out / kind, "--save-path", fused, *gguf)
        results[f"fused {kind}"] = tokens_from(fused)
        assert results[f"fused {kind}"] == results[f"{kind}: tokens"]
    arrays, metadata = mx.load(str(out / "fused_lora" / "ggml-model-f16.gguf"), return_metadata=True)
    results["GGUF: arrays"] = sorted(
        (k, list(v.shape), str(v.dtype), v.astype(mx.float32).sum().item()) for k, v in arrays.items()
    )
    results["GGUF: metadata"] = {
        k: v.tolist() if isinstance(v, mx.array) else v for k, v in metadata.items() if "tokenizer" not in k
    }
    results["GGUF: vocabulary"] = metadata["tokenizer.ggml.tokens"]

    run_program(convert, "--hf-path", llama, "--mlx-path", out / "half", "--dtype", "float16")
    model, _ = load(str(out / "half"))
    dtypes = {str(v.dtype) for _, v in tree_flatten(model.parameters())}
    results["converted"] = [sorted(dtypes), sorted(p.name for p in (out / "half").iterdir())]


def main():
    root = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        data, out = pathlib.Path(folder) / "data", pathlib.Path(folder) / "out"
        data.mkdir()
        write_data(data)
        tunings(root, data, out)
        programs(root, out)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
