"""Small model folders with random weights, as mlx-lm loads them: python make_models.py FOLDER

Run on MLX. FOLDER/KIND gets config.json, model.safetensors, and a tokenizer trained on Python's own library.
"""

import json
import pathlib
import sys
import sysconfig

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.utils import _get_classes
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 512
COMMON = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "head_dim": 16,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
KINDS = {
    "llama": {"model_type": "llama", "rope_theta": 10000.0, "tie_word_embeddings": False},
    "qwen": {"model_type": "qwen3", "rope_theta": 10000.0, "tie_word_embeddings": True},
    # Every second layer attends to the last 8 positions only: a rotating cache.
    "gemma": {"model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 2, "num_hidden_layers": 4},
}
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"


def library_text(files=40):
    """Source text that is on every machine."""
    folder = pathlib.Path(sysconfig.get_path("stdlib"))
    return [p.read_text(errors="replace")[:20000] for p in sorted(folder.glob("*.py"))[:files]]


def write_tokenizer(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        library_text(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin|>",
        "eos_token": "<|end|>",
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def random_weight(random, name, shape):
    """Weights large enough that the likeliest token is clearly so."""
    if len(shape) == 1:
        return 1 + 0.1 * random.standard_normal(shape)
    return random.standard_normal(shape) * (1.0 if "embed" in name else 1.5 / np.sqrt(shape[-1]))


def write_model(folder, config, seed, dtype=mx.float32):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    model_class, arguments = _get_classes(config)
    model = model_class(arguments.from_dict(config))
    random = np.random.default_rng(seed)
    weights = [
        (name, mx.array(random_weight(random, name, w.shape).astype(np.float32)).astype(dtype))
        for name, w in tree_flatten(model.parameters())
    ]
    model.update(tree_unflatten(weights))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"})


def main():
    root = pathlib.Path(sys.argv[1])
    for seed, (name, config) in enumerate(KINDS.items()):
        write_model(root / name, COMMON | config, seed)
        write_tokenizer(root / name)
        write_model(root / f"{name}_bf16", COMMON | config, seed, mx.bfloat16)
        for file in root.joinpath(name).glob("tokenizer*"):
            (root / f"{name}_bf16" / file.name).write_text(file.read_text())
    # A smaller model that proposes tokens for llama's.
    write_model(root / "draft", COMMON | KINDS["llama"] | {"num_hidden_layers": 1}, 0)
    for file in root.joinpath("llama").glob("tokenizer*"):
        (root / "draft" / file.name).write_text(file.read_text())


if __name__ == "__main__":
    main()
