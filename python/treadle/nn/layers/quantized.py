"""Layers with quantized weights: names only, they are not in this version."""

from treadle._missing import module_getattr

__getattr__ = module_getattr(
    "treadle.nn.layers.quantized", classes="QuantizedLinear QuantizedEmbedding QQLinear", functions="quantize"
)
