"""Memory shared with NumPy and DLPack, donation, the interpreter's lock, memory counters, devices and streams."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from oracle import DTYPES, check

import treadle.core as mx

SHARED = [d for d in DTYPES if d != "bfloat16"] + ["float64"]


@pytest.mark.parametrize("dtype", SHARED)
def test_numpy_and_back(dtype):
    x = mx.array([[1, 0, 1], [0, 1, 1]], getattr(mx, dtype))
    for y in (np.array(x), np.asarray(x), np.from_dlpack(x), np.array(memoryview(x)), x.__array__()):
        assert y.dtype.name == dtype.rstrip("_") and y.tolist() == x.tolist()
    assert np.asarray(x.T).tolist() == x.T.tolist()
    assert np.asarray(x[:, ::-1]).tolist() == x[:, ::-1].tolist()
    back = mx.array(np.array(x), x.dtype)
    assert back.dtype == x.dtype and back.tolist() == x.tolist()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,)])
def test_numpy_of_small_shapes(shape):
    x = mx.ones(shape)
    for y in (np.array(x), np.from_dlpack(x)):
        assert y.shape == shape and y.tolist() == x.tolist()
    assert mx.array(np.ones(shape)).shape == shape
    assert mx.from_dlpack(np.ones(shape)).shape == shape


def test_bfloat16_has_no_place_in_numpy():
    x = mx.array([1.5, 2], mx.bfloat16)
    with pytest.raises(TypeError, match="bfloat16"):
        np.array(x)
    with pytest.raises(BufferError):
        memoryview(x)
    again = mx.from_dlpack(x)
    assert again.dtype == mx.bfloat16 and again.tolist() == [1.5, 2]


def test_conversions_of_array():
    x = mx.array([1, 2])
    assert x.__array__(dtype=np.float64).dtype == np.float64
    assert np.array(x, dtype=np.float32).tolist() == [1, 2]
    assert np.shares_memory(np.asarray(x), x.__array__())
    assert not np.shares_memory(x.__array__(copy=True), np.asarray(x))


def test_array_of_numpy_copies():
    a = np.array([1.0, 2.0], np.float32)
    x = mx.array(a)
    y = mx.asarray(a)
    a[0] = 9
    assert x.tolist() == y.tolist() == [1, 2]


def test_from_dlpack_shares_and_is_never_written():
    a = np.arange(4, dtype=np.float32)
    for share in (mx.from_dlpack, lambda a: mx.asarray(a, copy=False), lambda a: mx.from_dlpack(a, copy=False)):
        a[:] = [0, 1, 2, 3]
        x = share(a)
        a[0] = 7
        assert x.tolist() == [7, 1, 2, 3]
        x += 1
        x[1] = 50
        mx.eval(x)
        assert a.tolist() == [7, 1, 2, 3]
    copied = mx.from_dlpack(a, copy=True)
    a[0] = 9
    assert copied[0].item() == 7


def test_sharing_needs_memory_that_can_be_shared():
    for value in ([1, 2], 3.0, np.arange(3)[::-1]):
        with pytest.raises((ValueError, TypeError)):
            mx.asarray(value, copy=False)
    with pytest.raises(ValueError, match="copy"):
        mx.asarray(np.arange(3), mx.float32, copy=False)
    assert mx.from_dlpack(np.arange(3)[::-1]).tolist() == [2, 1, 0]
    strided = np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2].T
    assert mx.from_dlpack(strided).tolist() == strided.tolist()
    x = mx.array([1, 2])
    assert mx.asarray(x, copy=False).tolist() == [1, 2]
    with pytest.raises(ValueError):
        mx.asarray(x, mx.float32, copy=False)
    assert mx.asarray(x, mx.float32).dtype == mx.float32
    assert mx.asarray([1, 2]).tolist() == [1, 2]


def test_unaligned_memory_is_copied_or_refused():
    raw = np.zeros(17, np.uint8)
    a = raw[1:].view(np.float32)
    a[:] = [1, 2, 3, 4]
    assert mx.from_dlpack(a).tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="copy=True"):
        mx.from_dlpack(a, copy=False)


def test_shared_memory_lives_as_long_as_an_array_in_it():
    class Owner(np.ndarray):
        pass

    a = np.arange(6, dtype=np.float32).view(Owner)
    alive = weakref.ref(a)
    x = mx.from_dlpack(a)
    view = x[2:]
    del a, x
    gc.collect()
    assert alive() is not None and view.tolist() == [2, 3, 4, 5]
    del view
    for _ in range(100):  # the interpreter takes memory back when it comes by
        gc.collect()
        if alive() is None:
            break
        time.sleep(0.01)
    assert alive() is None


def test_a_thread_without_the_lock_may_drop_the_last_array():
    a = np.arange(100_000, dtype=np.float32)
    x = mx.from_dlpack(a)
    y = mx.exp(x)
    del x
    mx.async_eval(y)
    mx.eval(y)
    before = sys.getrefcount(a)
    for _ in range(100):
        if sys.getrefcount(a) < before or before == 2:
            break
        time.sleep(0.01)
    assert sys.getrefcount(a) == 2


@pytest.mark.parametrize("view", [np.asarray, np.from_dlpack, memoryview, lambda x: x.__dlpack__()])
def test_views_block_donation(view):
    x = mx.arange(64, dtype=mx.float32) + 0
    mx.eval(x)
    seen = view(x)
    x += 1
    mx.eval(x)
    x[0] = 99
    mx.eval(x)
    if isinstance(seen, np.ndarray | memoryview):
        assert np.asarray(seen)[:3].tolist() == [0, 1, 2]
    else:
        assert mx.from_dlpack(seen)[:3].tolist() == [0, 1, 2]
    assert x[:3].tolist() == [99, 2, 3]


def test_updates_happen_in_place_when_nothing_else_looks():
    x = mx.zeros((1 << 16,)) + 1
    mx.eval(x)
    address = np.asarray(x).ctypes.data
    for i in range(4):
        x[i] = 5
        mx.eval(x)
    assert np.asarray(x).ctypes.data == address


def test_writable_views_of_numpy_write_into_the_array():
    def call(m):
        x = m.array([1, 2, 3])
        np.asarray(x)[0] = 9
        return [x, np.asarray(x).flags.writeable, np.from_dlpack(x).flags.writeable]

    check(call)


def test_a_capsule_that_nobody_takes_is_freed():
    gc.collect()
    before = mx.get_active_memory()
    x = mx.ones((1 << 16,)) + 0
    mx.eval(x)
    capsule = x.__dlpack__(max_version=(1, 0))
    assert "dltensor_versioned" in repr(capsule)
    del x
    assert mx.get_active_memory() >= before + (1 << 18)
    del capsule
    assert mx.get_active_memory() <= before + 64


def test_what_dlpack_asks_for():
    x = mx.array([1, 2])
    check(lambda m: m.array([1, 2]).__dlpack_device__())
    assert "dltensor_versioned" not in repr(x.__dlpack__())
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError):
        x.__dlpack__(stream=1)
    assert not np.shares_memory(np.from_dlpack(x, copy=True), np.asarray(x))


def test_buffers_for_readers_with_other_wishes():
    import io

    x = mx.array([[1, 2], [3, 4]], mx.uint8)
    assert bytes(memoryview(x)) == b"\1\2\3\4"
    assert memoryview(x.T).strides == (1, 2)
    assert io.BytesIO(x).read() == b"\1\2\3\4"
    with pytest.raises(BufferError):
        io.BytesIO(x.T)


def test_waits_leave_the_lock_to_other_threads():
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    x = mx.random.normal((800, 800))
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.3:
        y = x
        for _ in range(4):
            y = y @ x
        mx.eval(y)
    end = time.perf_counter()
    stop.set()
    thread.join()
    assert sum(begin < t < end for t in ticks) > 20


def test_threads_compute_at_once():
    wrong = []

    def work(seed):
        for i in range(100):
            x = mx.arange(1000) + seed
            if (x * 2 - x).sum().item() != 499500 + 1000 * seed:
                wrong.append((seed, i))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert wrong == [] and not any(t.is_alive() for t in threads)


def test_async_eval_and_trees():
    tree = {"a": [mx.array(1) + 1], "b": (mx.array(2) * 3, None, 4, "x")}
    mx.async_eval(tree, mx.array(1))
    assert tree["a"][0].item() == 2
    assert mx.eval(tree, [tree], None, 5) is None
    assert mx.eval() is None
    mx.synchronize()
    mx.synchronize(mx.cpu)


@pytest.mark.parametrize("compiled", [False, True])
def test_losses_that_are_kept_keep_no_weights(compiled):
    import treadle.nn as nn
    import treadle.optimizers as optim

    model, opt = nn.Linear(256, 256), optim.AdamW(1e-3)
    state = [model.state, opt.state]
    x = mx.random.normal((8, 256))
    opt.init(model.trainable_parameters())
    mx.eval(state, x)
    grad = nn.value_and_grad(model, lambda m, x: m(x).square().mean())

    def step(x):
        loss, grads = grad(model, x)
        opt.update(model, grads)
        return loss

    step = mx.compile(step, inputs=state, outputs=state) if compiled else step
    losses, sizes = [], []
    for _ in range(8):
        losses.append(step(x))
        mx.eval(losses[-1], state)
        sizes.append(mx.get_active_memory())
    assert max(sizes[2:]) - sizes[1] < 65536, sizes
    assert losses[-1].item() < losses[0].item()


def test_ten_thousand_steps_do_not_grow():
    import resource

    x = mx.zeros((256,))

    def steps(n):
        nonlocal x
        for _ in range(n):
            x = x * 0.5 + 1
            mx.eval(x)

    steps(2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    active = mx.get_active_memory()
    steps(10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert mx.get_active_memory() <= active + 4096


@pytest.mark.parametrize("compiled", [False, True])
def test_training_steps_do_not_grow(compiled):
    import treadle.nn as nn
    import treadle.optimizers as optim

    model = nn.Sequential(nn.Linear(2, 32), nn.GELU(), nn.Dropout(0.1), nn.Linear(32, 2))
    optimizer = optim.AdamW(1e-3)
    x, y = mx.random.normal((32, 2)), mx.random.randint(0, 2, (32,))
    grad = nn.value_and_grad(model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean"))

    def step(x, y):
        loss, grads = grad(x, y)
        optimizer.update(model, grads)
        return loss

    state = [model.state, optimizer.state]
    if compiled:
        step = mx.compile(step, inputs=state, outputs=state)

    def steps(n):
        for _ in range(n):
            mx.eval(step(x, y), state)

    def resident():  # KB
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4

    steps(500)
    before, active = resident(), mx.get_active_memory()
    steps(3000)
    # One node that each step left behind would be a megabyte.
    assert resident() - before < 600
    assert mx.get_active_memory() <= active


def test_memory_counters():
    mx.clear_cache()
    base = mx.get_active_memory()
    x = mx.ones((1 << 18,)) + 1
    mx.eval(x)
    assert mx.get_active_memory() >= base + (1 << 20)
    assert mx.get_peak_memory() >= mx.get_active_memory()
    del x
    assert mx.get_active_memory() < base + (1 << 20)
    mx.reset_peak_memory()
    assert mx.get_peak_memory() < base + (1 << 20)
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    for get_set in (mx.set_cache_limit, mx.set_memory_limit):
        former = get_set(1 << 30)
        assert get_set(former) == 1 << 30
    former = mx.set_memory_limit(1 << 31)
    assert mx.get_memory_limit() == 1 << 31
    mx.set_memory_limit(former)
    assert mx.metal.get_peak_memory() == mx.get_peak_memory()
    assert mx.set_wired_limit(1000) == 0


def test_memory_beyond_the_limit_is_refused_and_nothing_changes():
    x = mx.ones((1000,))
    former = mx.set_memory_limit(mx.get_active_memory() + (1 << 22))
    try:
        big = mx.zeros((1 << 24,)) + x[0]
        with pytest.raises((RuntimeError, MemoryError), match="memory"):
            mx.eval(big)
        assert (x + 1).sum().item() == 2000
    finally:
        mx.set_memory_limit(former)


def test_devices():
    check(lambda m: [repr(m.cpu), repr(m.Device(m.cpu)), m.Device(m.cpu) == m.cpu, m.cpu == m.Device(m.cpu)])
    check(lambda m: [m.cpu == m.gpu, m.cpu != m.gpu, m.Device(m.gpu, 1) == m.gpu, repr(m.Device(m.gpu)), m.cpu == 3])
    check(lambda m: [m.is_available(m.cpu), m.metal.is_available(), m.device_count(m.cpu), repr(m.default_device())])
    check(
        lambda m: [
            m.Device(m.cpu).type == m.cpu,
            repr(m.default_stream(m.cpu)),
            m.default_stream(m.cpu).device == m.cpu,
        ]
    )
    assert {mx.Device(mx.cpu): 1}[mx.Device(mx.cpu)] == 1
    assert {"architecture", "device_name"} <= set(mx.device_info())
    if not mx.is_available(mx.gpu):
        with pytest.raises(ValueError):
            mx.set_default_device(mx.gpu)
    for call in (mx.set_default_device, mx.new_stream, mx.stream, mx.is_available):
        with pytest.raises(TypeError):
            call("cpu")


def test_streams():
    s = mx.new_stream(mx.cpu)
    assert s != mx.default_stream(mx.cpu) and s == s and s.device == mx.cpu
    for where in (s, mx.cpu, mx.Device(mx.cpu), mx.default_stream(mx.cpu), mx.new_thread_local_stream(mx.cpu)):
        x = mx.add(mx.array(1), 2, stream=where)
        with mx.stream(where):
            y = x + 1
        assert (x.item(), y.item()) == (3, 4)
        mx.synchronize(where)
    former = mx.default_stream(mx.cpu)
    mx.set_default_stream(s)
    assert mx.default_stream(mx.cpu) == s
    mx.set_default_stream(former)
    local = mx.new_thread_local_stream(mx.cpu)
    assert local == local and local != mx.new_thread_local_stream(mx.cpu)
    with pytest.raises(TypeError):
        mx.exp(mx.array(1.0), stream="cpu")


def test_a_context_ends_with_an_error():
    device = mx.default_device()
    with pytest.raises(KeyError), mx.stream(mx.new_stream(mx.cpu)):
        raise KeyError
    assert mx.default_device() == device


def test_the_interpreter_ends_with_work_in_flight():
    code = """
import numpy as np, threading, treadle.core as mx
a = np.ones((512, 512), np.float32)
x = mx.from_dlpack(a)
for _ in range(8):
    x = x @ x * 1e-3
mx.async_eval(x)
kept = [mx.compile(lambda x: x + 1), mx.grad(lambda x: x.sum()), mx.random.state, x, mx.from_dlpack(a)]
kept.append(kept)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_contiguous_shares_memory_in_row_order_but_keeps_no_more_than_it_needs():
    x = mx.random.normal((1024, 1024))
    mx.eval(x)
    before = mx.get_active_memory()
    same = mx.contiguous(x)
    mx.eval(same)
    assert mx.get_active_memory() == before
    turned = mx.contiguous(x.T)
    part = mx.contiguous(x[:2])
    mx.eval(turned, part)
    assert mx.get_active_memory() >= before + x.nbytes
    expected = np.array(x)
    np.testing.assert_array_equal(np.array(same), expected)
    np.testing.assert_array_equal(np.array(turned), expected.T)
    np.testing.assert_array_equal(np.array(part), expected[:2])
    del x, same, turned
    assert mx.get_active_memory() < before - 3_000_000  # the part does not hold the whole
    copy = np.array(part, copy=True)
    copy[:] = 0
    np.testing.assert_array_equal(np.array(part), expected[:2])
