"""Arrays, their operations, function transforms, devices and memory.

The names, arguments and results are those of ``mlx.core``. What MLX has and Treadle does not have yet can be named, and
raises ``NotImplementedError`` when it is called.
"""

import sys
import types

from treadle import _core, _distributed, _platforms
from treadle._core import *  # noqa: F403
from treadle._core import __version__ as __version__
from treadle._custom import custom_function as custom_function
from treadle._files import load as load
from treadle._files import save as save
from treadle._files import save_gguf as save_gguf
from treadle._files import save_safetensors as save_safetensors
from treadle._files import savez as savez
from treadle._files import savez_compressed as savez_compressed
from treadle._functions import FunctionExporter as FunctionExporter
from treadle._functions import export_function as export_function
from treadle._functions import exporter as exporter
from treadle._functions import import_function as import_function
from treadle._missing import module_getattr
from treadle._platforms import ArrayLike as ArrayLike

# Names that are not there yet, of each module.
_MISSING = {
    "": """
        dequantize gather_qmm gather_qqmm qqmm quantize
        quantized_matmul
    """,
    "random": "",
    "fast": "",
    "fft": "",
    "linalg": "",
    "distributed": "",
    "metal": "",
    "cuda": "",
}
# ``import treadle.core.random`` works, as for files in a package.
__path__ = []


def _submodule(name):
    module = getattr(_core, name, None) or types.ModuleType(f"{__name__}.{name}")
    full = f"{__name__}.{name}"
    module.__getattr__ = module_getattr(full, functions=_MISSING[name])
    sys.modules[full] = module
    return module


for _name in filter(None, _MISSING):
    globals()[_name] = _submodule(_name)
for _name in (
    "get_active_memory",
    "get_peak_memory",
    "reset_peak_memory",
    "get_cache_memory",
    "clear_cache",
    "set_memory_limit",
    "set_cache_limit",
    "set_wired_limit",
):
    setattr(metal, _name, globals()[_name])  # noqa: F405
for _name in ("device_info", "start_capture", "stop_capture"):
    setattr(metal, _name, getattr(_platforms, _name))  # noqa: F405
for _name in ("metal_kernel", "cuda_kernel", "precompiled_cuda_kernel"):
    setattr(fast, _name, getattr(_platforms, _name))  # noqa: F405
for _name in ("Group", "init", "is_available", "all_gather", "all_max", "all_min", "all_sum", "sum_scatter"):
    setattr(distributed, _name, getattr(_distributed, _name))  # noqa: F405, F821
for _name in ("recv", "recv_like", "send"):
    setattr(distributed, _name, getattr(_distributed, _name))  # noqa: F405, F821
del _name

__getattr__ = module_getattr(__name__, functions=_MISSING[""])


def _as_mlx():
    """Lets str() of a dtype read ``mlx.core.float32``, for programs that run under the alias."""
    _core._set_module_name("mlx.core")
