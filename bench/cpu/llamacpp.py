"""llama.cpp (llama-cpp-python, gguf from PyPI) on the model of w_llm.py with random weights:
python llamacpp.py f32|bf16|q4_0|q4_1 ...  512 tokens of prompt, then single-token decode."""

import os
import statistics
import sys
import tempfile
import time

import gguf
import numpy as np
from common import THREADS
from w_llm import FF, HD, KV, D, H, L, S, V, make


def write(path, kind):
    w, _, _ = make()
    g = gguf.GGUFWriter(path, "llama")
    g.add_context_length(1024), g.add_embedding_length(D), g.add_block_count(L), g.add_feed_forward_length(FF)
    g.add_head_count(H), g.add_head_count_kv(KV), g.add_layer_norm_rms_eps(1e-5), g.add_rope_freq_base(10000.0)
    g.add_vocab_size(V), g.add_rope_dimension_count(HD), g.add_tokenizer_model("no_vocab")
    qt = getattr(gguf.GGMLQuantizationType, kind.upper())
    names = {"emb": "token_embd", "norm": "output_norm", "head": "output"}
    part = {
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
    for k, v in w.items():
        n = names[k] if k in names else f"blk.{k.split('.')[0]}.{part[k.split('.')[1]]}"
        if v.ndim == 2 and kind != "f32":
            g.add_tensor(n + ".weight", gguf.quants.quantize(v, qt), raw_dtype=qt)
        else:
            g.add_tensor(n + ".weight", v)
    g.write_header_to_file(), g.write_kv_data_to_file(), g.write_tensors_to_file(), g.close()


for kind in sys.argv[1:] or ["f32", "bf16", "q4_0"]:
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "m.gguf")
        write(path, kind)
        from llama_cpp import Llama

        m = Llama(path, n_ctx=1024, n_threads=THREADS, n_threads_batch=THREADS, verbose=False, n_batch=512)
        ids = np.random.default_rng(0).integers(0, V, S + 200).tolist()
        m.eval(ids[:S])
        ts = []
        for t in ids[S : S + 120]:
            t0 = time.perf_counter()
            m.eval([t])
            ts.append(time.perf_counter() - t0)
        size = os.path.getsize(path)
        md = statistics.median(ts[8:])
        print(f"llama.cpp {kind}: {md * 1e3:.2f} ms/token, {1 / md:.1f} tok/s, file {size / 1e6:.0f} MB", flush=True)
        m.close()
