"""custom_function: a function with derivatives and batching of its own."""

from functools import update_wrapper

from treadle import _core


class custom_function:
    """Decorates a function whose rules are written by hand.

    A rule that is not given follows from what the function computes::

        @mx.custom_function
        def f(x, y):
            return mx.sin(x) * y

        @f.vjp
        def f_vjp(primals, cotangent, output):
            x, y = primals
            return cotangent * mx.cos(x) * y, cotangent * mx.sin(x)

    The positional arguments are the primals: trees of arrays, and not a tuple when there is only one. Keyword arguments
    are constants, which every rule gets too. Captured arrays get no gradient where ``vjp`` is given.
    """

    def __init__(self, f):
        if not callable(f):
            raise TypeError(f"[custom_function] expected a function; got a {type(f).__name__}.")
        update_wrapper(self, f)
        self._rules = {"vjp": None, "jvp": None, "vmap": None}

    def _set(self, name, rule):
        if not callable(rule):
            raise TypeError(f"[custom_function] {name} expected a function; got a {type(rule).__name__}.")
        self._rules[name] = rule
        return self

    def vjp(self, f):
        """``f(primals, cotangent, output)`` gives the gradients of the primals, in their form."""
        return self._set("vjp", f)

    def jvp(self, f):
        """``f(primals, tangents)`` gives the tangents of the output; a primal without tangent has None."""
        return self._set("jvp", f)

    def vmap(self, f):
        """``f(inputs, axes)`` gives the output over a batch and its axes; None for what is not mapped."""
        return self._set("vmap", f)

    def __call__(self, *args, **kwargs):
        return _core._call_custom(self.__wrapped__, *self._rules.values(), args, kwargs)
