"""Arrays in files: ``.npz`` archives, and files that are open already. The library reads and writes the formats."""

import os

from treadle import _core


def load(file, /, format=None, return_metadata=False, *, stream=None):
    """The arrays of a file, as a dict from names to arrays in the order of the file; of an ``.npy`` file the array.

    Arrays of a safetensors, gguf or npy file, and those of an npz archive that are not compressed, are read when they
    are used, from a mapping of the file, which must not be changed in place before. Tensors of a gguf file in the block
    formats Q4_0, Q4_1 and Q8_0 become packed weights, scales and biases, as ``quantized_matmul`` takes them.

    Args:
        file (str, PathLike or file): A file, by name or open for reading in binary mode.
        format (str, optional): ``"safetensors"``, ``"gguf"``, ``"npz"`` or ``"npy"``. Default: what the name ends in.
        return_metadata (bool): Return a pair with the dict of metadata. Default: ``False``.
        stream (optional): Accepted as MLX does; the host reads.
    """
    opened = hasattr(file, "read")
    name = getattr(file, "name", None) if opened else os.fspath(file) if isinstance(file, os.PathLike) else file
    ending = os.path.splitext(name)[1][1:] if isinstance(name, (str, os.PathLike)) else ""
    kind = format or ending or "safetensors"
    if return_metadata and kind in ("npy", "npz"):
        raise ValueError(f"[load] an .{kind} file has no metadata.")
    if kind == "npy" and opened:
        return _core._npy_from_bytes(file.read(), str(name))
    if not opened:
        return _core.load(file, format, return_metadata, stream=stream)
    import shutil  # these two cost more than all of treadle.nn, and few need them
    import tempfile

    # The mapping keeps the copy alive after its name is gone.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "arrays")
        with open(path, "wb") as copy:
            shutil.copyfileobj(file, copy)
        return _core.load(path, kind, return_metadata, stream=stream)


def save_safetensors(file, arrays, metadata=None):
    """Writes arrays to a file in the safetensors format.

    A file given by name is replaced when all is written: an interrupted save leaves the old one.

    Args:
        file (str, PathLike or file): Its name, to which ``.safetensors`` is added when it is missing; or a file that is
            open for writing in binary mode.
        arrays (dict): From names to arrays.
        metadata (dict, optional): From texts to texts.
    """
    _write_native(file, ".safetensors", lambda path: _core.save_safetensors(path, arrays, metadata))


def save_gguf(file, arrays, metadata=None):
    """Writes arrays to a file in the GGUF format.

    A file given by name is replaced when all is written: an interrupted save leaves the old one.

    Args:
        file (str, PathLike or file): Its name, to which ``.gguf`` is added when it is missing; or a file that is open
            for writing in binary mode.
        arrays (dict): From names to arrays of float32, float16, bfloat16, float64, int8, int16, int32 or int64.
        metadata (dict, optional): From texts to texts, lists of texts, or arrays with at most one axis.
    """
    _write_native(file, ".gguf", lambda path: _core.save_gguf(path, arrays, metadata or {}))


def _write_native(file, ending, save):
    """save(path), or for an open file a copy of what that wrote."""
    if not hasattr(file, "write"):
        return save(file)
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "arrays" + ending)
        save(path)
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)


def save(file, arr):
    """Writes an array in the ``.npy`` format.

    Args:
        file (str, PathLike or file): Its name, to which ``.npy`` is added when it is missing; or an open file.
        arr (array): The array.
    """
    _write(file, ".npy", _core._npy_to_bytes(arr))


def savez(file, *args, **kwargs):
    """Writes arrays in the ``.npz`` format, uncompressed; unnamed ones are ``arr_0``, ``arr_1``, ...

    Args:
        file (str, PathLike or file): Its name, to which ``.npz`` is added when it is missing; or an open file.
        args (array): Arrays without names.
        kwargs (array): Arrays by name.
    """
    _savez(file, args, kwargs, "savez", compress=False)


def savez_compressed(file, *args, **kwargs):
    """:func:`savez` with compression."""
    _savez(file, args, kwargs, "savez_compressed", compress=True)


def _savez(file, args, kwargs, op, compress):
    import io
    import zipfile

    arrays = dict(kwargs)
    for i, value in enumerate(args):
        if f"arr_{i}" in arrays:
            raise ValueError(f"[{op}] an array without a name would be called 'arr_{i}', a name that is given.")
        arrays[f"arr_{i}"] = value
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            info = zipfile.ZipInfo(name + ".npy")
            # A field of no meaning moves the elements to a multiple of 64, so that they can be mapped.
            beside = -(archive.fp.tell() + 34 + len(info.filename.encode())) % 64
            info.extra = (0xD935).to_bytes(2, "little") + beside.to_bytes(2, "little") + bytes(beside)
            archive.writestr(info, _core._npy_to_bytes(value), archive.compression)
    _write(file, ".npz", whole.getbuffer())


def _write(file, ending, data):
    """Into an open file, or beside a file of a name that it then takes: an interrupted save leaves the old one."""
    if hasattr(file, "write"):
        file.write(data)
        return
    path = os.fspath(file)
    if not path.endswith(ending):
        path += ending
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "wb") as written:
            written.write(data)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.remove(beside)
        raise
