"""Layers made of other layers."""

from treadle.nn.layers.base import Module


class Sequential(Module):
    """Calls modules or functions one after the other.

    Args:
        modules: The first is called with the input, each other with what the one before returned.
    """

    def __init__(self, *modules):
        super().__init__()
        self.layers = list(modules)

    def __call__(self, x):
        for module in self.layers:
            x = module(x)
        return x
