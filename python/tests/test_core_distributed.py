"""distributed: one process is a group of its own, and a process that is one of several is told so."""

import pytest
from oracle import check, mlx

import treadle.core as mx
import treadle.nn as nn

COLLECTIVES = ["all_sum", "all_max", "all_min", "all_gather", "sum_scatter"]


def test_one_process_is_a_group():
    group = mx.distributed.init()
    assert isinstance(group, mx.distributed.Group)
    assert (group.size(), group.rank()) == (1, 0)
    assert mx.distributed.init() is group
    with pytest.raises(RuntimeError, match="cannot be split"):
        group.split(0)
    with pytest.raises(TypeError, match="init"):
        mx.distributed.Group()


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives_of_one_process_return_its_array(name):
    for x in ([1.5, 2.0], [[1, 2]], 3, True):
        check(lambda m, x=x: getattr(m.distributed, name)(m.array(x)))
        check(lambda m, x=x: getattr(m.distributed, name)(x if not isinstance(x, list) else m.array(x), stream=m.cpu))
    x = mx.array([1.0])
    assert getattr(mx.distributed, name)(x, group=mx.distributed.init()) is x
    with pytest.raises(TypeError, match=name):
        getattr(mx.distributed, name)(x, group=mlx.distributed.init())


def test_there_is_nobody_to_send_to():
    x = mx.array([1.0])
    for call in (
        lambda m: m.distributed.send(m.array([1.0]), 0),
        lambda m: m.distributed.recv((1,), m.float32, 0),
        lambda m: m.distributed.recv_like(m.array([1.0]), 0),
    ):
        check(call)
    with pytest.raises(ValueError, match="one process"):
        mx.distributed.send(x, 0)


def test_gradients_are_averaged_over_one_process():
    gradients = {"a": [mx.array([1.0]), {"b": mx.array([2.0])}]}
    assert nn.average_gradients(gradients) is gradients


def test_no_backend_connects_processes_yet():
    assert not any(mx.distributed.is_available(b) for b in ("any", "mpi", "ring", "nccl", "jaccl"))
    with pytest.raises(RuntimeError, match="strict"):
        mx.distributed.init(strict=True)
    for call in (mx.distributed.init, mx.distributed.is_available):
        with pytest.raises(ValueError, match="unknown backend 'foo'"):
            call(backend="foo")


@pytest.mark.parametrize("variable", ["MLX_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE"])
def test_one_of_several_processes_does_not_run_alone(monkeypatch, variable):
    monkeypatch.setenv(variable, "2")
    for call in (mx.distributed.init, lambda: mx.distributed.all_sum(mx.array(1.0))):
        with pytest.raises(NotImplementedError, match=variable):
            call()
    if variable != "MLX_RANK":
        monkeypatch.setenv(variable, "1")
        assert mx.distributed.init().size() == 1
