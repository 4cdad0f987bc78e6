"""Arrays in files that are open already: ``load`` and ``save_safetensors`` of the library take names."""

import os

from treadle import _core


def load(file, /, format=None, return_metadata=False, *, stream=None):
    """The arrays of a file, as a dict from names to arrays in the order of the file.

    Arrays are read when they are used, from a mapping of the file, which must not be changed in place before.

    Args:
        file (str, PathLike or file): A safetensors file, by name or open for reading in binary mode.
        format (str, optional): ``"safetensors"``. Default: what the name ends in, if there is one.
        return_metadata (bool): Return a pair with the dict of metadata. Default: ``False``.
        stream (optional): Accepted as MLX does; the host reads.
    """
    if not hasattr(file, "read"):
        return _core.load(file, format, return_metadata, stream=stream)
    name = getattr(file, "name", None)
    ending = os.path.splitext(name)[1][1:] if isinstance(name, (str, os.PathLike)) else ""
    import shutil  # these two cost more than all of treadle.nn, and few need them
    import tempfile

    # The mapping keeps the copy alive after its name is gone.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "arrays")
        with open(path, "wb") as copy:
            shutil.copyfileobj(file, copy)
        return _core.load(path, format or ending or "safetensors", return_metadata, stream=stream)


def save_safetensors(file, arrays, metadata=None):
    """Writes arrays to a file in the safetensors format.

    A file given by name is replaced when all is written: an interrupted save leaves the old one.

    Args:
        file (str, PathLike or file): Its name, to which ``.safetensors`` is added when it is missing; or a file that is
            open for writing in binary mode.
        arrays (dict): From names to arrays.
        metadata (dict, optional): From texts to texts.
    """
    if not hasattr(file, "write"):
        return _core.save_safetensors(file, arrays, metadata)
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "arrays.safetensors")
        _core.save_safetensors(path, arrays, metadata)
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)
