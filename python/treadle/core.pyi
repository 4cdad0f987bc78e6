from typing import Any

from treadle._core import *  # noqa: F403
from treadle._core import __version__ as __version__
from treadle._core import cuda as cuda
from treadle._core import fast as fast
from treadle._core import fft as fft
from treadle._core import linalg as linalg
from treadle._core import metal as metal
from treadle._core import random as random
from treadle._files import load as load
from treadle._files import save as save
from treadle._files import save_safetensors as save_safetensors
from treadle._files import savez as savez
from treadle._files import savez_compressed as savez_compressed

# What MLX has and Treadle does not have yet can be named.
def __getattr__(name: str) -> Any: ...
