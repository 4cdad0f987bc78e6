"""Layers whose weights are spread over several processes: names only, they are not in this version."""

from treadle._missing import module_getattr

__getattr__ = module_getattr(
    "treadle.nn.layers.distributed",
    classes="""AllToShardedLinear ShardedToAllLinear QuantizedAllToShardedLinear QuantizedShardedToAllLinear
        FullyShardedModule""",
    functions="fully_shard shard_linear shard_inplace sum_gradients",
)
