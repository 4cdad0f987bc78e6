"""Attention and position layers against MLX, beyond what the parity table says."""

import mlx.core
import mlx.nn
import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten

RNG = np.random.default_rng(5)
X = RNG.normal(size=(2, 8, 6, 4)).astype(np.float32)


def same(call, rtol=2e-5, atol=2e-6):
    ours, theirs = call(mx, nn), call(mlx.core, mlx.nn)
    assert ours.shape == theirs.shape and str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
    np.testing.assert_allclose(np.array(ours.astype(mx.float32)), np.array(theirs.astype(mlx.core.float32)), rtol, atol)


@pytest.mark.parametrize("offset", [0, 3])
def test_positions_count_from_an_offset(offset):
    same(lambda mx, nn: nn.RoPE(4)(mx.array(X), offset=offset))
    scores = X.transpose(0, 1, 3, 2).copy()
    same(lambda mx, nn: nn.ALiBi()(mx.array(scores), offset, mx.array(scores[:, :1])))


@pytest.mark.parametrize("heads", [1, 2, 6, 8, 12])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_alibi_slopes_are_those_of_mlx(heads, dtype):
    same(lambda mx, nn: nn.ALiBi.create_alibi_slope(heads, getattr(mx, dtype)))
    same(lambda mx, nn: nn.ALiBi.create_alibi_matrix(7, 5, heads, 2, getattr(mx, dtype)), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_causal_masks_are_those_of_mlx(dtype):
    same(lambda mx, nn: nn.MultiHeadAttention.create_additive_causal_mask(5, getattr(mx, dtype)), rtol=0)


def test_masks_may_be_words_or_arrays_of_bools():
    layer = nn.MultiHeadAttention(8, 2)
    x = mx.array(X.reshape(2, 24, 8))
    expected = layer(x, x, x, layer.create_additive_causal_mask(24))
    for mask in ("causal", mx.arange(24)[:, None] >= mx.arange(24)):
        np.testing.assert_allclose(np.array(layer(x, x, x, mask)), np.array(expected), rtol=2e-5, atol=2e-6)


def test_transformer_parameters_have_the_names_of_mlx():
    def names(nn):
        model = nn.Transformer(8, 2, 2, 2, 12)
        return [(p, tuple(a.shape)) for p, a in tree_flatten(model.parameters())]

    assert names(nn) == names(mlx.nn)


def test_frequencies_of_positions_are_no_parameters():
    assert nn.SinusoidalPositionalEncoding(4).parameters() == {}


def test_checkpointed_layers_have_the_same_gradients():
    x = mx.array(X.reshape(2, 24, 8))
    plain, checkpointed = (nn.TransformerEncoder(2, 8, 2, 16, checkpoint=c) for c in (False, True))
    checkpointed.update(plain.parameters())

    def gradients(model):
        return nn.value_and_grad(model, lambda x: model(x, "causal").square().mean())(x)

    (a, ga), (b, gb) = gradients(plain), gradients(checkpointed)
    np.testing.assert_allclose(a.item(), b.item(), rtol=1e-6)
    for (p, u), (q, v) in zip(tree_flatten(ga), tree_flatten(gb), strict=True):
        assert p == q
        np.testing.assert_allclose(np.array(u), np.array(v), rtol=1e-4, atol=1e-6, err_msg=p)


def test_dropout_draws_another_mask_at_each_compiled_call():
    layers = [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Dropout3d(0.5)]
    x = mx.ones((2, 3, 3, 3, 64))[:, 0]
    step = mx.compile(lambda x: [layers[0](x), layers[1](x), layers[2](x[None])])
    for a, b in zip(step(x), step(x), strict=True):
        assert not mx.array_equal(a, b).item()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.MultiHeadAttention(8, 3), r"8 features for 3 heads"),
        (lambda: nn.MultiHeadAttention(8, 2)(*[mx.zeros((1, 2, 8))] * 3, "upper"), "'upper'"),
        (lambda: nn.MultiHeadAttention(8, 2)(*[mx.zeros((2, 8))] * 3), r"\(2, 8\)"),
        (
            lambda: nn.TransformerEncoder(1, 8, 2, activation=nn.GELU),
            r"\[TransformerEncoderLayer\] activation is the class GELU; .* GELU\(\)",
        ),
        (lambda: nn.TransformerDecoderLayer(8, 2, activation="relu"), r"\[TransformerDecoderLayer\] .* 'relu'"),
        (lambda: nn.LayerNorm(4, eps=0), r"\[LayerNorm\]"),
        (lambda: nn.RMSNorm(4, eps=-1), r"\[RMSNorm\]"),
        (lambda: nn.GroupNorm(4, 6), "divisible"),
        (lambda: nn.GroupNorm(2, 6)(mx.zeros((2, 5))), r"\(2, 5\)"),
        (lambda: nn.InstanceNorm(3)(mx.zeros((2, 3))), "3 axes"),
        (lambda: nn.LayerNorm(4)(mx.zeros((2, 3))), r"LayerNorm"),
        (lambda: nn.Bilinear(2, 3, 4)(mx.zeros((1, 2)), mx.zeros((1, 2))), r"\[bilinear\]"),
        (lambda: nn.SinusoidalPositionalEncoding(5), "dims is 5"),
        (lambda: nn.ALiBi()(mx.zeros((2, 3))), r"\[ALiBi\]"),
    ],
)
def test_wrong_arguments_are_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
