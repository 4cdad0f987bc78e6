"""Transforms of functions that use a model."""

from functools import wraps

import treadle.core as mx
from treadle._missing import module_getattr


def value_and_grad(model, fn):
    """A function with the arguments of ``fn`` that returns what ``fn`` returns, and gradients.

    The gradients are those of the first value of ``fn``, which must be a scalar, with respect to
    ``model.trainable_parameters()``, and a tree like that. The model need not be an argument of ``fn``. Its parameters
    are the same arrays afterwards, also when ``fn`` raises; what ``fn`` itself replaced (running statistics) stays
    replaced.

    Args:
        model (Module): The model whose trainable parameters are differentiated.
        fn (callable): Returns a scalar array, or a tuple or list whose first item is one.
    """

    if not hasattr(model, "trainable_parameters"):
        raise TypeError(
            f"[value_and_grad] the model is a {type(model).__name__}; expected a Module. Functions of arrays are "
            "differentiated by mx.value_and_grad."
        )

    def with_parameters(parameters, *args, **kwargs):
        model.update(parameters)
        return fn(*args, **kwargs)

    transformed = mx.value_and_grad(with_parameters)

    @wraps(fn)
    def value_and_grad_fn(*args, **kwargs):
        parameters = model.trainable_parameters()
        try:
            return transformed(parameters, *args, **kwargs)
        finally:
            model.update(parameters)

    return value_and_grad_fn


def checkpoint(module, fn=None):
    """A function like ``fn`` that keeps no intermediate values for the backward pass, which computes them again.

    Args:
        module (Module): The module whose trainable parameters get gradients, besides the arguments.
        fn (callable, optional): Uses ``module``. Default: the module itself.
    """
    fn = module if fn is None else fn

    def with_parameters(parameters, *args, **kwargs):
        module.update(parameters)
        return fn(*args, **kwargs)

    transformed = mx.checkpoint(with_parameters)

    @wraps(fn)
    def checkpointed(*args, **kwargs):
        parameters = module.trainable_parameters()
        try:
            return transformed(parameters, *args, **kwargs)
        finally:
            module.update(parameters)

    return checkpointed


def autocast(model, fn=None, dtype=mx.bfloat16):
    """A function like ``fn`` in mixed precision, as :func:`treadle.core.autocast` makes it.

    Matrix products, convolutions and attention read and give ``dtype``; norms, losses and reductions stay float32, and
    so do the parameters and their gradients. Running statistics that ``fn`` replaces in the model are rewritten too::

        loss_and_grads = nn.value_and_grad(model, nn.autocast(model, loss_fn, mx.bfloat16))

    Args:
        model (Module): The model that ``fn`` uses.
        fn (callable, optional): Default: the model itself.
        dtype (Dtype): ``bfloat16``, or ``float16``, whose gradients need :class:`treadle.optimizers.LossScale`.
    """
    return mx.autocast(model if fn is None else fn, dtype, model.state)


def average_gradients(gradients, group=None, all_reduce_size=32 * 1024**2, communication_stream=None):
    """The mean of the processes' gradients, a tree; in a group of one process, the tree itself.

    Args:
        gradients (tree): A tree of arrays, of one structure in all processes.
        group (distributed.Group, optional): Default: all processes.
        all_reduce_size (int): Arrays are sent together until they have this many bytes.
        communication_stream (Stream, optional): Where to communicate.
    """
    group = group or mx.distributed.init()
    assert group.size() == 1, "larger groups cannot be made"
    return gradients


__getattr__ = module_getattr("treadle.nn.utils", functions="clip_grad_norm_sharded")
