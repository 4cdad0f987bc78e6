"""Weights of PyTorch models: which of its names and layouts are which of ours, layer by layer."""

import numpy as np

import treadle.core as mx
from treadle.nn.layers.base import Module
from treadle.nn.layers.containers import Sequential
from treadle.nn.layers.convolution import ConvBase
from treadle.nn.layers.convolution_transpose import _ConvTranspose
from treadle.nn.layers.linear import Bilinear
from treadle.nn.layers.recurrent import GRU, _Recurrent
from treadle.nn.layers.transformer import (
    MultiHeadAttention,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from treadle.utils import tree_flatten

# Names of children where PyTorch has others.
_CHILDREN = {
    TransformerEncoderLayer: {"attention": "self_attn", "ln1": "norm1", "ln2": "norm2"},
    TransformerDecoderLayer: {
        "self_attention": "self_attn",
        "cross_attention": "multihead_attn",
        "ln1": "norm1",
        "ln2": "norm2",
        "ln3": "norm3",
    },
    TransformerEncoder: {"ln": "norm"},
    TransformerDecoder: {"ln": "norm"},
}
# Names that PyTorch has and nobody needs.
_IGNORED = ("num_batches_tracked",)


def _numpy(value):
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()  # which NumPy does not know
        value = value.numpy()
    return np.asarray(value)


class _Source:
    """The tensors that are still to be used."""

    def __init__(self, state_dict):
        self.left = dict(state_dict)

    def take(self, name):
        return _numpy(self.left.pop(name)) if name in self.left else None


def _own(module, prefix, source):
    """Pairs of the names of a module's own arrays and values for them, or None where the source has none."""
    if isinstance(module, _Recurrent):
        yield from _recurrent(module, prefix, source)
        return
    names = [k for k, _ in tree_flatten({k: v for k, v in module.parameters().items() if k not in _modules(module)})]
    for name in names:
        value = source.take(prefix + name)
        if value is not None and name == "weight":
            value = _weight(module, value)
        yield name, value


def _modules(module):
    return {name.partition(".")[0] for name, _ in _children(module)}


def _weight(module, value):
    if isinstance(module, _ConvTranspose):
        return np.moveaxis(value, (0, 1), (-1, 0))  # (I, O, ...) to (O, ..., I)
    if isinstance(module, ConvBase):
        return np.moveaxis(value, 1, -1)  # (O, I, ...) to (O, ..., I)
    if isinstance(module, Bilinear):
        return np.swapaxes(value, 1, 2)  # (O, I1, I2) to (O, I2, I1)
    return value


def _recurrent(module, prefix, source):
    """Gates have the same order. PyTorch has a bias for each product: only the GRU's n tells them apart."""
    has_bias = module._names[2] in module
    for ending in module._endings():
        torch = ending or "_l0"
        for ours, theirs in zip(module._names, ("weight_ih", "weight_hh"), strict=False):
            yield ours + ending, source.take(f"{prefix}{theirs}{torch}")
        if not has_bias:
            continue
        inputs, state = (source.take(f"{prefix}bias_{side}{torch}") for side in ("ih", "hh"))
        both = inputs is not None and state is not None
        if isinstance(module, GRU):
            size = module.hidden_size
            rest = None
            if both:
                rest = state[2 * size :]
                state = np.concatenate([state[: 2 * size], np.zeros_like(rest)])
            yield "bhn" + ending, rest
        yield module._names[2] + ending, inputs + state if both else None


def _children(module):
    return [(k, v) for k, v in tree_flatten(module.children(), is_leaf=Module.is_module) if Module.is_module(v)]


def _attention(module, prefix, source):
    """PyTorch joins the three projections when the inputs have as many features as the result."""
    sides = [f"{side}_proj" for side in ("query", "key", "value")]
    for kind in ("weight", "bias"):
        if not any(kind in module[name] for name in (*sides, "out_proj")):
            continue  # it is found unused
        whole = source.take(f"{prefix}in_proj_{kind}")
        parts = [None] * 3 if whole is None else np.split(whole, 3)
        for side, part in zip(sides, parts, strict=True):
            if kind == "weight" and part is None:
                part = source.take(f"{prefix}{side[0]}_proj_weight")
            if kind in module[side]:
                yield f"{side}.{kind}", part
        if kind in module["out_proj"]:
            yield f"out_proj.{kind}", source.take(f"{prefix}out_proj.{kind}")


def _walk(module, path, prefix, source):
    if isinstance(module, MultiHeadAttention):
        yield from ((path + name, value) for name, value in _attention(module, prefix, source))
        return
    yield from ((path + name, value) for name, value in _own(module, prefix, source))
    renamed = next((names for kind, names in _CHILDREN.items() if isinstance(module, kind)), {})
    for name, child in _children(module):
        theirs = renamed.get(name, name)
        if isinstance(module, Sequential):
            theirs = theirs.removeprefix("layers.")
        yield from _walk(child, f"{path}{name}.", f"{prefix}{theirs}.", source)


def from_torch(model, state_dict, strict):
    """Pairs of our names and arrays, for :meth:`Module.load_weights`."""
    source, found = _Source(state_dict), {}
    for name, value in _walk(model, "", "", source):
        if value is not None:
            found[name] = mx.array(np.ascontiguousarray(value))
    extra = [name for name in source.left if not name.endswith(_IGNORED)]
    if strict and extra:
        raise ValueError(
            f"[load_torch_state_dict] {len(extra)} names have no place in the model: {', '.join(sorted(extra))}."
        )
    return list(found.items())
