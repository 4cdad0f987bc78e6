"""llama.cpp (llama-cpp-python, gguf) on the model of w_llm.py: the peer `llamacpp` of bench.py.

  bench/run llamacpp            builds it into .venv-bench (requirements/llamacpp.txt; ten minutes on two cores)

A step decodes the token after a prompt of 512, always the same one: the cache is cut back to 512 before each. The
prompt's keys and values stand in the cache where the other peers have random ones, so results are not compared.
"""

import os
import tempfile

import gguf
import numpy as np
from common import THREADS
from llama_cpp import Llama
from w_llm import BASE, EPS, FF, HD, KV, D, H, L, S, V, make

KINDS = {"llm_f32": "f32", "llm_bf16": "bf16", "llm_q4": "q4_0", "llm_q4_f32": "q4_1"}
NAMES = {"emb": "token_embd", "norm": "output_norm", "head": "output"}
PARTS = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "n1": "attn_norm",
    "n2": "ffn_norm",
}


def write(path, kind):
    weights, _, _ = make()
    g = gguf.GGUFWriter(path, "llama")
    g.add_context_length(1024)
    g.add_embedding_length(D)
    g.add_block_count(L)
    g.add_feed_forward_length(FF)
    g.add_head_count(H)
    g.add_head_count_kv(KV)
    g.add_layer_norm_rms_eps(EPS)
    g.add_rope_freq_base(BASE)
    g.add_vocab_size(V)
    g.add_rope_dimension_count(HD)
    g.add_tokenizer_model("no_vocab")
    to = getattr(gguf.GGMLQuantizationType, kind.upper())
    for key, w in weights.items():
        block, _, part = key.rpartition(".")
        name = f"blk.{block}.{PARTS[part]}" if block else NAMES[key]
        if w.ndim == 2 and kind != "f32":
            g.add_tensor(name + ".weight", gguf.quants.quantize(w, to), raw_dtype=to)
        else:
            g.add_tensor(name + ".weight", w)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def build(workload):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        write(path, KINDS[workload])
        # A copy in memory, not a mapped file, which is about to be removed.
        threads = {"n_threads": THREADS, "n_threads_batch": THREADS}
        model = Llama(path, n_ctx=1024, n_batch=512, use_mmap=False, verbose=False, **threads)
    ids = np.random.default_rng(0).integers(0, V, S + 1).tolist()
    model.eval(ids[:S])

    def step():
        model.n_tokens = S
        model.eval(ids[S:])
        return model

    return step, lambda model: []
