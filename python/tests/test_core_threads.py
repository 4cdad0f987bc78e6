"""Streams and devices that are absent, several threads that build and evaluate, and who took the memory."""

import threading

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn


def in_threads(work, count=4):
    """work(i) on several threads at once; raises what one of them raised."""
    errors, results = [], [None] * count
    start = threading.Barrier(count)

    def run(i):
        try:
            start.wait()
            results[i] = work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_an_error_where_it_is_used():
    x = mx.ones((2,))
    for call in (
        lambda: mx.set_default_device(mx.gpu),
        lambda: mx.device_info(mx.gpu),
        lambda: mx.new_stream(mx.gpu),
        lambda: mx.default_stream(mx.gpu),
        lambda: mx.new_thread_local_stream(mx.gpu),
        lambda: mx.eval(mx.add(x, x, stream=mx.gpu)),
        lambda: mx.eval(mx.zeros((2,), stream=mx.gpu) + 1),
        lambda: mx.stream(mx.gpu).__enter__(),
    ):
        with pytest.raises((ValueError, RuntimeError), match=r"(?i)gpu"):
            call()
    assert mx.default_device() == mx.cpu and (x + 1).tolist() == [2, 2]


def test_threads_build_on_shared_arrays_and_evaluate():
    shared = mx.random.normal((64, 64), key=mx.random.key(0))
    pending = mx.tanh(shared @ shared)  # evaluated by whoever comes first
    expected = np.array(mx.tanh(shared @ shared))

    def work(i):
        total = pending * 1
        for k in range(30):
            y = mx.sin(pending + k) * i
            total = total + y
            if k % 7 == i:
                mx.eval(total)
        return total, np.array(pending)

    def alone(i):
        x = expected.astype(np.float64)
        return x + i * sum(np.sin(x + k) for k in range(30))

    for i, (got, seen) in enumerate(in_threads(work)):
        np.testing.assert_allclose(np.array(got), alone(i), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(seen, expected)


def test_threads_differentiate_map_and_compile_at_once():
    compiled = mx.compile(lambda x, k: mx.exp(-x * x) * k)

    def work(i):
        x = mx.arange(5.0) / 5 + i
        out = []
        for _ in range(20):
            g = mx.grad(lambda v: (compiled(v, 2) * v).sum())(x)
            m = mx.vmap(lambda v: mx.softmax(v * x))(mx.stack([x, x + 1]))
            out.append((g.tolist(), m.tolist(), compiled(x, i).tolist()))
        return out

    results = in_threads(work)
    for i, out in enumerate(results):
        x = np.arange(5) / 5 + i
        for g, _, c in out:
            np.testing.assert_allclose(g, 2 * np.exp(-x * x) * (1 - 2 * x * x), rtol=2e-5, atol=1e-6)
            np.testing.assert_allclose(c, np.exp(-x * x) * i, rtol=1e-5)
        assert all(m == out[0][1] for _, m, _ in out)


def test_each_thread_has_its_stream():
    local = mx.new_thread_local_stream(mx.cpu)
    own = mx.new_stream(mx.cpu)

    def work(i):
        with mx.stream(local if i % 2 else own):
            x = mx.full((100,), i)
            for _ in range(50):
                x = x + 1
            mx.async_eval(x)
            mx.synchronize(local if i % 2 else own)
            return x.sum().item()

    assert in_threads(work) == [100 * (i + 50) for i in range(4)]
    assert mx.default_stream(mx.cpu) not in (own, local)


def test_what_takes_the_memory_is_listed_when_there_is_no_more():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(512, 2048), nn.Linear(2048, 512)]

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
                mx.eval(x)
                self.kept = x if layer is self.layers[0] else self.kept
            return x

    model = Model()
    model(mx.ones((1024, 512)))
    former = mx.set_memory_limit(mx.get_active_memory() + (1 << 20))
    try:
        with pytest.raises(RuntimeError, match="largest arrays") as caught:
            mx.eval(mx.ones((4096, 2048)) + model.kept[0])
    finally:
        mx.set_memory_limit(former)
    assert "largest arrays: 8.4 MB float32 (1024, 2048) of " in str(caught.value)
    assert " in layers.0 (Linear 512->2048)" in str(caught.value)
