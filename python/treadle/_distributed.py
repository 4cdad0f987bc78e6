"""Groups of processes: in this version a process is a group of its own, of size 1.

Programs that ask for the group, average over it or print on rank 0 only run as they stand. A process that was started
as one of several is told so, instead of training alone.
"""

import os

from treadle import _core as mx

BACKENDS = ("any", "mpi", "nccl", "jaccl", "ring")
# What launchers tell each process: its number among several, or how many there are.
_RANKS = ("MLX_RANK",)
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE", "MLX_WORLD_SIZE")


class Group:
    """Processes that work together: :func:`init` returns the group of all."""

    def __init__(self, *args, **kwargs):
        raise TypeError("[distributed.Group] groups are made by distributed.init().")

    def size(self):
        """The number of processes."""
        return 1

    def rank(self):
        """The number of this process, from 0."""
        return 0

    def split(self, color, key=-1):
        """Raises ``RuntimeError``: a group of one process has no parts."""
        raise RuntimeError("[distributed.Group.split] a group of one process cannot be split.")


_world = object.__new__(Group)


def is_available(backend="any"):
    """Whether processes can be connected by this backend (``any``, ``mpi``, ``nccl``, ``jaccl``, ``ring``): not yet."""
    _check_backend("is_available", backend)
    return False


def init(strict=False, backend="any", *, all_gather_factory=None):
    """The group of all processes, which in this version is this process alone.

    Args:
        strict (bool): Raise when no backend connects processes, instead of returning the group of one.
        backend (str): ``any``, ``mpi``, ``nccl``, ``jaccl`` or ``ring``.
        all_gather_factory: Not used, since nothing is connected.

    Raises:
        RuntimeError: ``strict``.
        NotImplementedError: The environment says that this process is one of several.
    """
    _check_backend("init", backend)
    if strict:
        raise RuntimeError(f"[distributed.init] no backend connects processes yet; got backend '{backend}', strict.")
    for name in _RANKS + _SIZES:
        value = os.environ.get(name, "")
        if value and (name in _RANKS or value != "1"):
            raise NotImplementedError(
                f"[distributed.init] this is one of several processes ({name}={value}), which Treadle cannot connect "
                "yet. Start one process, or unset the variable."
            )
    return _world


def _check_backend(op, backend):
    if backend not in BACKENDS:
        raise ValueError(f"[distributed.{op}] unknown backend '{backend}'; expected one of {', '.join(BACKENDS)}.")


def _same(name, what):
    def collective(x, *, group=None, stream=None):
        if group is not None and not isinstance(group, Group):
            raise TypeError(f"[distributed.{name}] expected a Group; got a {type(group).__name__}.")
        init()  # raises where this process is one of several
        return x if isinstance(x, mx.array) else mx.array(x)

    collective.__name__ = collective.__qualname__ = name
    collective.__doc__ = f"{what} the processes' arrays ``x``; among one process, ``x`` itself."
    return collective


all_sum = _same("all_sum", "The sum of")
all_max = _same("all_max", "The maximum of")
all_min = _same("all_min", "The minimum of")
all_gather = _same("all_gather", "The concatenation, along the first axis, of")
sum_scatter = _same("sum_scatter", "This process's part, along the first axis, of the sum of")


def _alone(name):
    raise ValueError(f"[distributed.{name}] a group of one process has nobody to exchange arrays with.")


def send(x, dst, *, group=None, stream=None):
    """Raises ``ValueError``: there is no other process."""
    _alone("send")


def recv(shape, dtype, src, *, group=None, stream=None):
    """Raises ``ValueError``: there is no other process."""
    _alone("recv")


def recv_like(x, src, *, group=None, stream=None):
    """Raises ``ValueError``: there is no other process."""
    _alone("recv_like")
