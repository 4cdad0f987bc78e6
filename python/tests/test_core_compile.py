"""compile: trees, constants, captured state, randomness, threads."""

import threading
from functools import partial

import pytest
from oracle import check, expressions

import treadle.core as mx

CALLS = """
m.compile(lambda x: x * 2)(x); m.compile(lambda x, k: x * k)(x, 3); m.compile(lambda x, k: x * k)(x, k=3)
m.compile(lambda x, k: x * 2 if k is None else x)(x, None); m.compile(lambda x, k: x * 2 if k == "a" else x)(x, "a")
m.compile(lambda x: (x, {"a": x * 2}, None, 3, "s"))(x); m.compile(lambda x: None)(x)
m.compile(lambda x, k: x)(x, object()); m.compile(lambda d: d["a"][0] + d["b"])({"a": (x, 2), "b": x}); m.compile(3)
m.compile(lambda *a, **k: a[0] + k["b"])(x, b=x); m.compile(lambda x: x.item())(x[0])
m.compile(lambda x: float(x))(x[0]); m.compile(lambda x: str(x))(x); m.compile(lambda x: bool(x))(x[0])
m.compile(lambda x: [x.shape, x.dtype == m.float32, x.ndim])(x); m.compile(lambda: m.ones((2,)))()
m.compile(lambda x: x)(x); m.compile(lambda x: m.grad(lambda y: (y * y).sum())(x))(x)
m.grad(m.compile(lambda x: (x * x).sum()))(x); m.vmap(m.compile(lambda x: x * 2))(x)
m.compile(m.compile(lambda x: x + 1))(x); m.compile(m.vmap(lambda x: x * 2))(x)
m.compile(lambda x, t=True: x if t else -x)(x, False); m.compile(lambda x: {"a": [x, (x, x)]}, shapeless=True)(x)
"""


@pytest.mark.parametrize("expression", expressions(CALLS))
def test_calls(expression):
    check(lambda m: eval(expression, {"m": m, "x": m.array([1.0, 2.0])}))


class Counted:
    """A function that counts how often it is run, that is, traced."""

    def __init__(self, f):
        self.f, self.runs = f, 0

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.f(*args, **kwargs)


def test_a_function_is_traced_once_for_each_signature():
    f = Counted(lambda x, k=None, *, t=False: x + (k or 0))
    g = mx.compile(f)
    x = mx.array([1.0, 2.0])
    calls = [
        (((x,), {}), 1),
        (((x + 1,), {}), 1),
        (((x.astype(mx.float16),), {}), 2),
        (((mx.ones((3,)),), {}), 3),
        (((mx.ones((1, 2)),), {}), 4),
        (((x, 1), {}), 5),
        (((x, 2), {}), 6),
        (((x, 1), {}), 6),
        (((x, 1.0), {}), 7),
        (((x, True), {}), 8),
        (((x, None), {}), 9),
        (((x, 3), {"t": True}), 10),
        (((x, 3), {"t": False}), 11),
    ]
    for (args, kwargs), runs in calls:
        y = g(*args, **kwargs)
        assert f.runs == runs
        k = args[1] if len(args) > 1 and args[1] else 0
        assert y.tolist() == (args[0] + k).tolist()


def test_trees_of_other_forms_are_traced_again():
    f = Counted(lambda d: d["a"] + d.get("b", 0))
    g = mx.compile(f)
    x = mx.array(1.0)
    assert [g({"a": x}).item(), g({"a": x, "b": x}).item(), g({"a": x, "b": 5}).item(), g({"a": x}).item()] == [
        1,
        2,
        6,
        1,
    ]
    assert f.runs == 3


def test_shapeless_functions_serve_all_sizes():
    f = mx.softmax
    g = mx.compile(lambda x: x.mean(keepdims=True) + x.reshape(-1) * x.shape[0], shapeless=True)
    for n in (2, 3, 7, 2):
        x = mx.arange(n, dtype=mx.float32)
        assert g(x).tolist() == pytest.approx([(n - 1) / 2 + i * n for i in range(n)])
        assert mx.compile(f, shapeless=True)(x).tolist() == pytest.approx(f(x).tolist())


def test_state_is_read_at_every_call():
    state = {"w": mx.array(2.0)}

    @partial(mx.compile, inputs=state)
    def f(x):
        return x * state["w"]

    assert f(mx.array(3.0)).item() == 6
    state["w"] = mx.array(5.0)
    assert f(mx.array(3.0)).item() == 15


def test_state_in_lists_and_tuples():
    inner, w = [mx.array(2.0)], mx.array(10.0)
    f = mx.compile(lambda x: x * inner[0] + w, inputs=((inner,), w))
    assert f(mx.array(3.0)).item() == 16
    inner[0] = mx.array(4.0)
    w += 1
    assert f(mx.array(3.0)).item() == 23


def test_state_is_written_after_every_call():
    state = {"n": mx.array(0)}

    @partial(mx.compile, inputs=state, outputs=state)
    def count(x):
        state["n"] = state["n"] + x
        return state["n"] * 10

    assert [count(mx.array(i)).item() for i in (1, 2, 3)] == [10, 30, 60]
    assert state["n"].item() == 6


def test_state_that_the_function_adds():
    def run(m):
        state = {}

        @partial(m.compile, inputs=state, outputs=state)
        def f(x):
            y = state.get("y", m.array(0))
            state["y"] = x + y
            state.setdefault("deep", {})["list"] = [x, x * 2]
            return x + 2 * y

        return [f(m.array(1)), f(m.array(1)), f(m.array(1)), state]

    check(run)


def test_empty_containers_that_the_function_adds():
    def run(m):
        state = {}

        @partial(m.compile, inputs=state, outputs=state)
        def f(x):
            for name in ("frozen", "layers"):
                assert (name in state) == ("y" in state), "a later trace finds what an earlier one added"
            state.update(frozen={}, layers=[{}, {"w": {}}], y=x)
            return x + 1

        return [f(m.array(1)), f(m.array([1, 2])), state]

    check(run)


def test_a_state_that_starts_over():
    state = {}

    @partial(mx.compile, inputs=state, outputs=state)
    def step(g):
        state.setdefault("m", mx.zeros((2,)))
        state["m"] = state["m"] + g
        return state["m"]

    g = mx.array([1.0, 2.0])
    assert [step(g).tolist(), step(g).tolist()] == [[1, 2], [2, 4]]
    state.clear()
    assert [step(g).tolist(), step(g).tolist(), step(g).tolist()] == [[1, 2], [2, 4], [3, 6]]
    assert state["m"].tolist() == [3, 6]


def test_outputs_alone_and_lists_that_grow():
    out, log = {}, []

    @partial(mx.compile, outputs=[out, log])
    def f(x):
        out["y"] = x + 3
        log.append(x * 2)
        return mx.abs(x)

    assert f(mx.array(-1)).item() == 1
    assert out["y"].item() == 2 and [v.item() for v in log] == [-2]


def test_in_place_operators_on_state():
    state = [mx.array([1.0, 2.0]), mx.zeros((3,))]

    @partial(mx.compile, inputs=state, outputs=state)
    def f(x):
        state[0] += x
        state[1][1] = x
        return state[0].sum()

    first = state[0]
    assert [f(mx.array(1.0)).item(), f(mx.array(2.0)).item()] == [5, 9]
    assert state[0].tolist() == [4, 5] and state[1].tolist() == [0, 2, 0]
    assert first.tolist() == [1, 2]


def test_an_error_while_tracing_leaves_the_state_as_it_was():
    state = {"w": mx.array([1.0]), "deep": [mx.array(2.0)]}
    originals = (state["w"], state["deep"][0])

    @partial(mx.compile, inputs=state, outputs=state)
    def f(x, fail):
        state["w"] = state["w"] + x
        state["new"] = x
        state["deep"].append(x)
        if fail:
            raise RuntimeError("mine")
        return x

    with pytest.raises(RuntimeError, match="mine"):
        f(mx.array(1.0), True)
    assert list(state) == ["w", "deep"] and len(state["deep"]) == 1
    assert state["w"] is originals[0] and state["deep"][0] is originals[1]
    assert state["w"].item() == 1
    f(mx.array(1.0), False)
    assert state["w"].item() == 2 and state["new"].item() == 1


def test_an_array_that_escapes_from_the_trace_names_it():
    kept = []

    def leaky(x):
        kept.append(x)
        kept.append(x * 2)
        return x

    mx.compile(leaky)(mx.array(1.0))
    for escaped in kept:
        with pytest.raises(ValueError, match=r"compile\(leaky\)"):
            (escaped + 1).item()


def test_the_default_key_runs_on_in_compiled_functions():
    f = mx.compile(lambda x: x + mx.random.uniform(shape=(2,)))
    g = mx.compile(lambda x: x + mx.random.uniform(shape=(2,)), inputs=[mx.random.state], outputs=[mx.random.state])
    for draw in (f, g):
        mx.random.seed(0)
        a, b = draw(mx.array(0.0)).tolist(), draw(mx.array(0.0)).tolist()
        assert a != b
        mx.random.seed(0)
        assert draw(mx.array(0.0)).tolist() == a
        mx.random.seed(0)
        assert mx.random.uniform(shape=(2,)).tolist() == a


def test_compiled_training_equals_eager_training():
    def train(compiled):
        mx.random.seed(1)
        params = {"w": mx.random.normal((4, 3)), "b": mx.zeros((3,))}
        opt = {"m": {"w": mx.zeros((4, 3)), "b": mx.zeros((3,))}, "step": mx.array(0)}
        state = [params, opt, mx.random.state]

        def loss(p, x, y):
            return mx.square(x @ p["w"] + p["b"] - y).mean(), x.shape[0]

        def step(x, y):
            (value, n), grads = mx.value_and_grad(loss)(params, x, y)
            for k in params:
                opt["m"][k] = 0.9 * opt["m"][k] + grads[k]
                params[k] = params[k] - 0.1 * opt["m"][k]
            opt["step"] = opt["step"] + 1
            return value, n

        run = mx.compile(step, inputs=state, outputs=state) if compiled else step
        losses = []
        for i in range(10):
            x = mx.random.normal((8, 4), key=mx.random.key(i))
            value, n = run(x, x[:, :3])
            assert n == 8
            mx.eval(value, state)
            losses.append(value.item())
        assert opt["step"].item() == 10
        return losses

    eager, compiled = train(False), train(True)
    assert eager == pytest.approx(compiled, rel=1e-5)
    assert eager[-1] < eager[0]


def test_compile_can_be_switched_off():
    f = Counted(lambda x, k: (x * k, k))
    state = {"n": mx.array(0)}

    def count(x):
        state["n"] = state["n"] + x
        return x

    g, h = mx.compile(f), mx.compile(count, inputs=state, outputs=state)
    mx.disable_compile()
    try:
        for i in range(3):
            y, k = g(mx.array(2.0), 3)
            assert (y.item(), k, f.runs) == (6, 3, i + 1)
            h(mx.array(1))
        assert state["n"].item() == 3
        assert mx.compile(lambda x: x.item())(mx.array(4.0)) == 4
    finally:
        mx.enable_compile()
    g(mx.array(2.0), 3), g(mx.array(2.0), 3)
    assert f.runs == 4


def test_threads_share_a_compiled_function():
    f = Counted(lambda x, k: mx.exp(x) * k)
    g = mx.compile(f)
    wrong = []

    def work(k):
        for i in range(50):
            x = mx.array([float(i % 5), 1.0])
            if mx.max(mx.abs(g(x, k % 3) - mx.exp(x) * (k % 3))).item() > 1e-3:
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert wrong == [] and f.runs == 3


def test_a_function_that_calls_its_compiled_self():
    def fact(n, x):
        return x if n <= 1 else n * g(n - 1, x)

    g = mx.compile(fact)
    assert g(5, mx.array(1.0)).item() == 120
