"""Attention and the transformer (Vaswani et al. 2017)."""

import treadle.core as mx
from treadle._core import _nn
from treadle.nn.layers.activations import check_function, relu
from treadle.nn.layers.base import Module
from treadle.nn.layers.dropout import Dropout
from treadle.nn.layers.linear import Linear
from treadle.nn.layers.normalization import LayerNorm
from treadle.nn.utils import checkpoint as _checkpoint


class MultiHeadAttention(Module):
    """Projections of queries, keys and values, attention between them in several heads, and a last projection.

    Args:
        dims (int): Features of queries and keys, over all heads.
        num_heads (int): The number of heads, which divides ``dims``.
        query_input_dims (int, optional): Features of the queries that come in. Default: ``dims``.
        key_input_dims (int, optional): Of the keys. Default: ``dims``.
        value_input_dims (int, optional): Of the values. Default: those of the keys.
        value_dims (int, optional): Features of values, over all heads. Default: ``dims``.
        value_output_dims (int, optional): Features of the result. Default: ``dims``.
        bias (bool): Whether the projections have a bias. Default: ``False``.
    """

    def __init__(
        self,
        dims,
        num_heads,
        query_input_dims=None,
        key_input_dims=None,
        value_input_dims=None,
        value_dims=None,
        value_output_dims=None,
        bias=False,
    ):
        super().__init__()
        if num_heads <= 0 or dims % num_heads:
            raise ValueError(f"[MultiHeadAttention] got {dims} features for {num_heads} heads; expected a multiple.")
        key_input_dims = key_input_dims or dims
        value_dims = value_dims or dims
        self.num_heads = num_heads
        self.query_proj = Linear(query_input_dims or dims, dims, bias=bias)
        self.key_proj = Linear(key_input_dims, dims, bias=bias)
        self.value_proj = Linear(value_input_dims or key_input_dims, value_dims, bias=bias)
        self.out_proj = Linear(value_dims, value_output_dims or dims, bias=bias)

    def __call__(self, queries, keys, values, mask=None):
        """``(B, T, C)``, ``(B, S, C)``, ``(B, S, C)`` to ``(B, T, C)``.

        ``mask`` is ``"causal"``, or an array that broadcasts to ``(B, H, T, S)``: true for a key that is seen, or a
        number that is added to its score.
        """
        heads = _nn.multi_head_attention(
            self.query_proj(queries), self.key_proj(keys), self.value_proj(values), self.num_heads, mask
        )
        return self.out_proj(heads)

    @staticmethod
    def create_additive_causal_mask(N, dtype=mx.float32):
        """``(N, N)``: 0 where a key is seen, the lowest finite number where it lies ahead."""
        return _nn.additive_causal_mask(N, dtype)


def _block(x, norm, norm_first, f):
    """``x + f(norm(x))``, or ``norm(x + f(x))``."""
    return x + f(norm(x)) if norm_first else norm(x + f(x))


class TransformerEncoderLayer(Module):
    """Self-attention and a network of two layers, each added to its input.

    Args:
        dims (int): Features.
        num_heads (int): Heads of the attention.
        mlp_dims (int, optional): Features inside the network. Default: ``4 * dims``.
        dropout (float): Default: ``0``.
        activation (callable): Default: :func:`relu`.
        norm_first (bool): Normalize before each part, else after it. Default: ``True``.
        attention_bias (bool): Whether the projections of the attention have biases, as PyTorch's. Default: ``False``.
    """

    def __init__(
        self,
        dims,
        num_heads,
        mlp_dims=None,
        dropout=0.0,
        activation=relu,
        norm_first=True,
        attention_bias=False,
    ):
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.attention = MultiHeadAttention(dims, num_heads, bias=attention_bias)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = check_function(activation, "[TransformerEncoderLayer] activation")
        self.norm_first = norm_first

    def _mlp(self, x):
        return self.linear2(self.dropout2(self.activation(self.linear1(x))))

    def __call__(self, x, mask=None):
        x = _block(x, self.ln1, self.norm_first, lambda y: self.dropout1(self.attention(y, y, y, mask)))
        return _block(x, self.ln2, self.norm_first, self._mlp)


class TransformerEncoder(Module):
    """Several :class:`TransformerEncoderLayer`, and a normalization.

    Args:
        num_layers (int): Their number.
        dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias: As those of the layer.
        checkpoint (bool): Whether layers keep no intermediate values for the backward pass. Default: ``False``.
    """

    def __init__(
        self,
        num_layers,
        dims,
        num_heads,
        mlp_dims=None,
        dropout=0.0,
        activation=relu,
        norm_first=True,
        checkpoint=False,
        attention_bias=False,
    ):
        super().__init__()
        self.layers = [
            TransformerEncoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(self, x, mask=None):
        for layer in self.layers:
            x = (_checkpoint(layer) if self.checkpoint else layer)(x, mask)
        return self.ln(x)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to a memory, and a network of two layers, each added to its input.

    Args:
        dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias: As those of
            :class:`TransformerEncoderLayer`.
    """

    def __init__(
        self,
        dims,
        num_heads,
        mlp_dims=None,
        dropout=0.0,
        activation=relu,
        norm_first=True,
        attention_bias=False,
    ):
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.self_attention = MultiHeadAttention(dims, num_heads, bias=attention_bias)
        self.cross_attention = MultiHeadAttention(dims, num_heads, bias=attention_bias)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.ln3 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = check_function(activation, "[TransformerDecoderLayer] activation")
        self.norm_first = norm_first

    def _mlp(self, x):
        return self.linear2(self.dropout3(self.activation(self.linear1(x))))

    def __call__(self, x, memory, x_mask=None, memory_mask=None):
        x = _block(x, self.ln1, self.norm_first, lambda y: self.dropout1(self.self_attention(y, y, y, x_mask)))
        x = _block(
            x,
            self.ln2,
            self.norm_first,
            lambda y: self.dropout2(self.cross_attention(y, memory, memory, memory_mask)),
        )
        return _block(x, self.ln3, self.norm_first, self._mlp)


class TransformerDecoder(Module):
    """Several :class:`TransformerDecoderLayer`, and a normalization.

    Args:
        num_layers (int): Their number.
        dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias: As those of the layer.
        checkpoint (bool): Whether layers keep no intermediate values for the backward pass. Default: ``False``.
    """

    def __init__(
        self,
        num_layers,
        dims,
        num_heads,
        mlp_dims=None,
        dropout=0.0,
        activation=relu,
        norm_first=True,
        checkpoint=False,
        attention_bias=False,
    ):
        super().__init__()
        self.layers = [
            TransformerDecoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(self, x, memory, x_mask=None, memory_mask=None):
        for layer in self.layers:
            x = (_checkpoint(layer) if self.checkpoint else layer)(x, memory, x_mask, memory_mask)
        return self.ln(x)


class Transformer(Module):
    """An encoder, and a decoder that attends to what it makes of the source.

    Args:
        dims, num_heads, mlp_dims, dropout, activation, norm_first, attention_bias: As those of
            :class:`TransformerEncoderLayer`.
        num_encoder_layers (int): Default: ``6``.
        num_decoder_layers (int): Default: ``6``.
        custom_encoder (Module, optional): Instead of the encoder.
        custom_decoder (Module, optional): Instead of the decoder.
        checkpoint (bool): Whether layers keep no intermediate values for the backward pass. Default: ``False``.
    """

    def __init__(
        self,
        dims=512,
        num_heads=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        mlp_dims=None,
        dropout=0.0,
        activation=relu,
        custom_encoder=None,
        custom_decoder=None,
        norm_first=True,
        checkpoint=False,
        attention_bias=False,
    ):
        super().__init__()
        options = (dims, num_heads, mlp_dims, dropout, activation, norm_first, checkpoint, attention_bias)
        self.encoder = TransformerEncoder(num_encoder_layers, *options) if custom_encoder is None else custom_encoder
        self.decoder = TransformerDecoder(num_decoder_layers, *options) if custom_decoder is None else custom_decoder

    def __call__(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None):
        return self.decoder(tgt, self.encoder(src, src_mask), tgt_mask, memory_mask)
