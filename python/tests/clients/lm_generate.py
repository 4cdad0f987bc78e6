"""What mlx-lm generates, as one line of JSON: python lm_generate.py FOLDER_OF_MODELS

The same on MLX and on Treadle (python -m treadle.mlx lm_generate.py ...).
"""

import json
import pathlib
import sys
import tempfile

import mlx.core as mx
from mlx_lm import batch_generate, generate, load, stream_generate
from mlx_lm.generate import generate_step, speculative_generate_step
from mlx_lm.models.cache import (
    KVCache,
    RotatingKVCache,
    load_prompt_cache,
    make_prompt_cache,
    save_prompt_cache,
    trim_prompt_cache,
)
from mlx_lm.sample_utils import make_logits_processors, make_sampler

TEXT = "def read(path):\n    with open(path) as f:\n        return"
LENGTH = 24
results = {}


def tokens_of(steps):
    """Token numbers, and how likely each was."""
    pairs = [(int(token), logprobs[int(token)].item()) for token, logprobs, *_ in steps]
    return {"tokens": [t for t, _ in pairs], "values": [v for _, v in pairs]}


def margins_of(steps):
    """Token numbers, and how far each was from the next likely one, as a part of the whole range."""
    found = {"tokens": [], "margins": []}
    for token, logprobs in steps:
        lowest, *_, second, first = mx.sort(logprobs.astype(mx.float32)).tolist()
        found["tokens"].append(int(token))
        found["margins"].append((first - second) / (first - lowest))
    return found


def greedy(root, name):
    model, tokenizer = load(str(root / name))
    prompt = mx.array(tokenizer.encode(TEXT))

    def step(**options):
        return tokens_of(generate_step(options.pop("prompt", prompt), model, max_tokens=LENGTH, **options))

    if name.endswith("bf16"):
        results[f"{name}: greedy"] = margins_of(generate_step(prompt, model, max_tokens=LENGTH))
        return
    results[f"{name}: greedy"] = step()
    results[f"{name}: text"] = generate(model, tokenizer, TEXT, max_tokens=LENGTH)
    results[f"{name}: prompt in pieces"] = step(prefill_step_size=5)
    results[f"{name}: rotating cache"] = step(max_kv_size=12)

    # A long prompt, beyond the cache's first allocation, and past the window of rotating ones.
    long = mx.array((tokenizer.encode(TEXT) * 20)[:300])
    results[f"{name}: long prompt"] = step(prompt=long)
    results[f"{name}: long prompt, rotating cache"] = step(prompt=long, max_kv_size=64, prefill_step_size=50)

    # A prompt cache, saved, loaded, used and trimmed.
    cache = make_prompt_cache(model)
    step(prompt_cache=cache)
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder) / "cache.safetensors")
        save_prompt_cache(file, cache, {"made": "here"})
        cache, metadata = load_prompt_cache(file, return_metadata=True)
    results[f"{name}: metadata of the cache"] = metadata
    results[f"{name}: kinds of caches"] = [type(c).__name__ for c in cache]
    results[f"{name}: continued from a loaded cache"] = step(prompt=mx.array([5, 6, 7]), prompt_cache=cache)
    results[f"{name}: trimmed"] = trim_prompt_cache(cache, 4)
    results[f"{name}: after trimming"] = step(prompt=mx.array([9, 10]), prompt_cache=cache)

    # Several prompts of different lengths at once.
    prompts = [tokenizer.encode(t) for t in (TEXT, "import os\n", "class A:\n    def f(self):\n        pass\n")]
    batch = batch_generate(model, tokenizer, prompts, max_tokens=[LENGTH, 8, 16], return_token_ids=True)
    results[f"{name}: batch"] = {"texts": batch.texts, "tokens": batch.token_ids}
    again = batch_generate(
        model, tokenizer, prompts, max_tokens=8, return_token_ids=True, return_prompt_caches=True, return_logprobs=True
    )
    results[f"{name}: batch with caches"] = {"tokens": again.token_ids, "values": sum(again.logprobs, [])}
    more = batch_generate(
        model, tokenizer, [[7, 8], [9], [11, 12, 13]], again.caches, max_tokens=8, return_token_ids=True
    )
    results[f"{name}: batch continued"] = more.token_ids


def processed(root):
    """Processors and samplers that leave one token, or are told the random numbers' seed."""
    model, tokenizer = load(str(root / "llama"))
    processors = make_logits_processors({3: 5.0, 17: -2.0}, repetition_penalty=1.3, repetition_context_size=8)
    for name, options in {
        "processors": {"logits_processors": processors},
        "top_k": {"sampler": make_sampler(temp=0.7, top_k=1)},
        "top_p": {"sampler": make_sampler(temp=0.7, top_p=1e-6)},
        "min_p": {"sampler": make_sampler(temp=0.7, min_p=1.0)},
        "xtc": {"sampler": make_sampler(temp=1e-4, xtc_probability=1.0, xtc_threshold=0.4)},
    }.items():
        prompt = mx.array(tokenizer.encode(TEXT))
        results[f"llama: {name}"] = tokens_of(generate_step(prompt, model, max_tokens=LENGTH, **options))
    chat = tokenizer.apply_chat_template([{"role": "user", "content": TEXT}], add_generation_prompt=True)
    mx.random.seed(3)
    drawn = [r.token for r in stream_generate(model, tokenizer, chat, max_tokens=LENGTH, sampler=make_sampler(1.0))]
    mx.random.seed(3)
    again = [r.token for r in stream_generate(model, tokenizer, chat, max_tokens=LENGTH, sampler=make_sampler(1.0))]
    results["llama: a seed gives the same draws"] = drawn == again and len(set(drawn)) > LENGTH // 3


def speculative(root):
    model, tokenizer = load(str(root / "llama"))
    draft, _ = load(str(root / "draft"))
    prompt = mx.array(tokenizer.encode(TEXT))
    steps = list(speculative_generate_step(prompt, model, draft, num_draft_tokens=3, max_tokens=LENGTH))
    results["llama: speculative"] = tokens_of(steps)
    results["llama: from the draft"] = [bool(from_draft) for *_, from_draft in steps]
    same = list(speculative_generate_step(prompt, model, model, num_draft_tokens=2, max_tokens=LENGTH))
    results["llama: its own draft"] = tokens_of(same)
    assert results["llama: its own draft"]["tokens"] == results["llama: greedy"]["tokens"]
    assert results["llama: speculative"]["tokens"] == results["llama: greedy"]["tokens"]
    text = generate(model, tokenizer, TEXT, max_tokens=LENGTH, draft_model=draft)
    assert text == results["llama: text"]


def caches():
    """The caches themselves: what they return and hold, step by step."""
    mx.random.seed(0)
    for name, make in {"plain": KVCache, "rotating": lambda: RotatingKVCache(max_size=8, keep=2)}.items():
        cache, seen = make(), []
        for t, n in enumerate((5, 1, 1, 3, 1, 1, 1, 1)):
            k = mx.arange(n * 4).reshape(1, 2, n, 2) + 100 * t
            keys, values = cache.update_and_fetch(k.astype(mx.float32), -k.astype(mx.float32))
            seen.append([keys.tolist(), values.tolist(), cache.offset])
        results[f"caches: {name}"] = seen


def main():
    root = pathlib.Path(sys.argv[1])
    for name in ("llama", "qwen", "gemma", "llama_bf16", "qwen_bf16", "gemma_bf16"):
        greedy(root, name)
    processed(root)
    speculative(root)
    caches()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
