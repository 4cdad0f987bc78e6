"""Embeddings: rows of a learned table, looked up by number."""

from treadle._core import _nn
from treadle.nn.layers.base import Module


class Embedding(Module):
    r"""Looks up rows: integers ``(...)`` to ``(..., dims)``.

    ``weight`` ``(num_embeddings, dims)`` starts normal with deviation :math:`1 / \sqrt{\text{dims}}`.

    Args:
        num_embeddings (int): The number of rows.
        dims (int): Their size.
    """

    def __init__(self, num_embeddings, dims):
        super().__init__()
        dict.update(self, _nn.embedding_init(num_embeddings, dims))

    def __call__(self, x):
        return _nn.embedding(x, self["weight"])

    def as_linear(self, x):
        """``x @ weight.T``, for a last layer that shares the table: ``(..., dims)`` to ``(..., num_embeddings)``."""
        return _nn.linear(x, self["weight"])

    def _extra_repr(self):
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"

    def _brief(self):
        return f"{self.weight.shape[0]}->{self.weight.shape[1]}"
