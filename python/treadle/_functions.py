"""Functions in files: traced with example arguments, called from Python or C++."""

import os

from treadle import _core


class FunctionExporter:
    """Writes traces of a function to a file; :func:`exporter` makes one.

    A context: the file appears when the block ends, or when :meth:`close` is called.
    """

    def __init__(self, file, fun, shapeless=False, metadata=None):
        if not callable(fun):
            raise TypeError(f"[exporter] a {type(fun).__name__} cannot be called; expected a function.")
        self._fun = fun
        self._exporter = _core._Exporter(os.fspath(file), shapeless, metadata or "")

    def __call__(self, *args, **kwargs):
        """Traces the function with arguments like these."""
        self._exporter.add(self._fun, args, kwargs)

    def close(self):
        """Writes the file, once."""
        self._exporter.close()

    def __enter__(self):
        return self

    def __exit__(self, exc_type=None, exc_value=None, traceback=None):
        self.close()


def exporter(file, fun, *, shapeless=False, metadata=None):
    """A :class:`FunctionExporter`: each call adds a trace of ``fun`` for another number, dtypes or shapes of arrays.

    Args:
        file (str or PathLike): The file to write.
        fun (callable): From arrays to an array, or a tuple or list of arrays.
        shapeless (bool): Lengths may differ between calls, in axes that are longer than 1 and that captured arrays do
            not determine. Lengths that must agree are told from the example: give different lengths to axes that are
            independent of each other. ``fun`` is called several times. Default: ``False``.
        metadata (str, optional): A text to keep with the function.
    """
    return FunctionExporter(file, fun, shapeless, metadata)


def export_function(file_or_callback, fun, *args, shapeless=False, metadata=None, **kwargs):
    """Traces a function and writes it to a file, with the arrays it captures.

    Random numbers that it draws without a key are the same in each call of what is imported. Derivatives of what is
    imported are those of its operations; checkpoints and custom rules are not kept.

    Args:
        file_or_callback (str, PathLike or callable): The file to write; or a function that is called with a dict for
            the inputs, the keyword inputs, the outputs, the constants, and each operation, in this order.
        fun (callable): From arrays to an array, or a tuple or list of arrays.
        args (array): Examples of its arguments; or one tuple or list, one dict, or both.
        shapeless (bool): See :func:`exporter`. Default: ``False``.
        metadata (str, optional): A text to keep with the function.
        kwargs (array): Examples of its arguments by name.
    """
    if callable(file_or_callback):
        if metadata is not None:
            raise ValueError("[export_function] metadata is kept in a file; a callback has none.")
        if shapeless:
            raise ValueError("[export_function] shapeless: a callback gets the shapes of the example.")
        for event in _core._list_function(fun, args, kwargs):
            file_or_callback(event)
        return
    made = FunctionExporter(file_or_callback, fun, shapeless, metadata)
    made(*args, **kwargs)
    made.close()


def import_function(file, return_metadata=False):
    """The function of a file, from arrays to a tuple of arrays.

    It is called as :func:`export_function` calls the exported one, or with one tuple or list of arrays, one dict, or
    both. The file must not be changed in place while the function or its results live.

    Args:
        file (str or PathLike): A file that :func:`export_function` or :func:`exporter` has written.
        return_metadata (bool): Return a pair with the text that was kept with it. Default: ``False``.
    """
    function = _core._import_function(os.fspath(file))
    return (function, function._metadata) if return_metadata else function
