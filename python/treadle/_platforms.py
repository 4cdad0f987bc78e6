"""What only a GPU's own toolchain can do: these functions exist, and say that it is not here."""

_CUSTOM = "write the function in array operations, or as a kernel in C++ (docs/adding-an-op.md)"


def _refuse(op, what):
    raise RuntimeError(f"[{op}] {what}")


def metal_kernel(
    name,
    input_names,
    output_names,
    source,
    header="",
    ensure_row_contiguous=True,
    atomic_outputs=False,
    compile_options=None,
):
    """A function that raises ``RuntimeError`` when it is called: there is no Metal here to compile the kernel.

    As in MLX, programs may name their kernels on any machine, and choose another way to compute where
    ``metal.is_available()`` is false.
    """

    def kernel(**arguments):
        _refuse("metal_kernel", f"'{name}' needs Metal, which is not on this machine; {_CUSTOM}.")

    return kernel


def cuda_kernel(
    name, input_names, output_names, source, header="", ensure_row_contiguous=True, shared_memory=0
):  # fmt: skip
    """Raises ``RuntimeError``: this build cannot run CUDA kernels."""
    _refuse("cuda_kernel", f"'{name}' needs a CUDA device and a build with CUDA; {_CUSTOM}.")


def precompiled_cuda_kernel(
    *,
    name,
    compiled_source,
    inputs,
    output_shapes,
    output_dtypes,
    scalars,
    grid,
    threadgroup,
    shared_memory=0,
    init_value=None,
    ensure_row_contiguous=False,
    stream=None,
):
    """Raises ``RuntimeError``: this build cannot run CUDA kernels."""
    _refuse("precompiled_cuda_kernel", f"'{name}' needs a CUDA device and a build with CUDA; {_CUSTOM}.")


def start_capture(path):
    """Raises ``RuntimeError``: there is no Metal here."""
    _refuse("metal.start_capture", "there is no Metal on this machine.")


def stop_capture():
    """Raises ``RuntimeError``: there is no Metal here."""
    _refuse("metal.stop_capture", "there is no Metal on this machine.")


def device_info():
    """Raises ``RuntimeError``: there is no Metal here; see ``treadle.core.device_info``."""
    _refuse("metal.device_info", "there is no Metal on this machine; device_info() tells about other devices.")


class ArrayLike:
    """An object with a method ``__mlx_array__`` that returns an array: every operation takes such objects.

    Args:
        arg: The object.
    """

    def __init__(self, arg, /):
        if not hasattr(arg, "__mlx_array__"):
            raise TypeError(f"[ArrayLike] a {type(arg).__name__} has no method __mlx_array__.")
        self._arg = arg

    def __mlx_array__(self):
        return self._arg.__mlx_array__()
