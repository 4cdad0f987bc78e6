"""grad, value_and_grad, vjp, jvp and vmap, against MLX."""

import gc
import weakref
from collections import namedtuple

import pytest
from oracle import assert_same, check, expressions, outcome

import treadle.core as mx

GRADS = """
m.grad(lambda x: x.sum())(x); m.grad(lambda x: x)(x); m.grad(lambda x: 1.0)(x); m.grad(lambda x: None)(x)
m.grad(lambda x: (x.sum(), 3))(x); m.grad(lambda x: x.sum())(1.0); m.grad(lambda x: (x * x).sum())(h)
m.value_and_grad(lambda x: (x.sum(), 3, {"a": x}))(x); m.value_and_grad(lambda x: [x.sum(), 3])(x)
m.value_and_grad(lambda x, y: (x * y).sum())(x, x); m.value_and_grad(f, argnums=1)(x, x); m.value_and_grad(f, 1)(x, x)
m.value_and_grad(f, argnums=(0, 1))(x, x); m.value_and_grad(f, argnums=[0])(x, x)
m.value_and_grad(f, argnums=[1, 0])(x, x); m.value_and_grad(f, argnames="y")(x, y=x)
m.value_and_grad(f, argnames=["y"])(x, y=x); m.grad(f, argnames="y")(x, y=x)
m.value_and_grad(f, argnums=0, argnames="y")(x, y=x); m.value_and_grad(f, argnums=0, argnames=["x", "y"])(x, y=x)
m.value_and_grad(f, argnums=[0], argnames=["y"])(x, y=x); m.value_and_grad(f, argnums=-1)(x, x)
m.grad(f, argnums=2)(x, x); m.value_and_grad(f, argnums=[0, 0])(x, x); m.value_and_grad(f, argnames="z")(x, y=x)
m.grad(f, argnums=0)(x, y=2.0); m.grad(lambda p: (p["a"][0] * p["b"]).sum())({"a": [x], "b": x})
m.grad(lambda p, y: (p[0] * y).sum(), argnums=(0, 1))((x,), x); m.grad(lambda p: p["a"].sum())({"a": x, "b": 3})
m.grad(lambda p: p["a"].sum())({"a": x, "b": None}); m.grad(lambda p: p["a"].sum())({"a": x, "b": [], "c": {}})
m.grad(lambda p: p["a"].sum())({"a": x, "b": h}); m.grad(3); m.grad(lambda x: (x * x).sum(), argnums=0)(x.T)
m.grad(m.grad(lambda x: x**3))(m.array(2.0)); m.grad(lambda x: x.sum())(); m.grad(lambda x, n: (x**n).sum())(x, 3)
m.grad(lambda x: m.stop_gradient(x * x).sum() + x.sum())(x); m.grad(lambda x: x[0] * x[1])(x)
m.grad(lambda x: m.where(x > 1, x * 2, x).sum())(x); m.grad(lambda x: m.softmax(x)[0])(x)
m.grad(lambda x: m.logsumexp(x))(x); m.grad(lambda x: (x @ x.T).sum())(w)
m.grad(lambda x: m.concatenate([x, x * 2]).sum())(x); m.grad(lambda x: m.abs(x).sum())(c)
m.grad(lambda *a: sum(a).sum(), 1)(x, x)
"""


def names(m):
    return {
        "m": m,
        "x": m.array([1.0, 2.0]),
        "h": m.array([1.0, 2.0], m.float16),
        "w": m.array([[1.0, 2.0], [3.0, -1.0]]),
        "c": m.array([1 + 2j, 3 - 1j]),
        "f": lambda x, y: (x * y).sum(),
    }


@pytest.mark.parametrize("expression", expressions(GRADS))
def test_gradients(expression):
    check(lambda m: eval(expression, names(m)), scale=4)


def test_integers_have_no_gradient_and_the_error_says_where():
    tree = {"layers": [{"w": mx.array([1.0])}, {"w": mx.array([1])}]}
    with pytest.raises(ValueError, match=r"argument 0, leaf 'layers\.1\.w'"):
        mx.grad(lambda p: p["layers"][0]["w"].sum())(tree)
    with pytest.raises(ValueError, match="argument 'y' is no floating"):
        mx.grad(lambda x, y: x.sum(), argnames="y")(mx.array(1.0), y=3)


def test_a_loss_of_integers_is_refused():
    with pytest.raises(ValueError, match="int32"):
        mx.grad(lambda x: x.astype(mx.int32).sum())(mx.array([1.0]))


def test_an_empty_tree_has_an_empty_gradient():
    assert mx.value_and_grad(lambda p: (mx.array(1.0), 2))({"a": []}) == ((mx.array(1.0), 2), {"a": []})


def test_axes_in_the_form_of_the_arguments():
    w = mx.array([[1.0, 2.0], [3.0, -1.0]])
    assert mx.vmap(lambda x: x["q"], in_axes=({"q": 1},))({"q": w}).tolist() == w.T.tolist()


def test_named_tuples_keep_their_type():
    Pair = namedtuple("Pair", "a b")
    g = mx.grad(lambda p: (p.a * p.b).sum())(Pair(mx.array([2.0]), mx.array([3.0])))
    assert type(g) is Pair and (g.a.item(), g.b.item()) == (3, 2)


def test_values_can_be_read_while_grad_runs_the_function():
    seen = []

    def loss(x):
        seen.append(x.sum().item())
        return (x * x.item() if x.size == 1 else x).sum()

    assert mx.grad(loss)(mx.array(3.0)).item() == 3
    assert seen == [3]


def test_an_array_that_escapes_from_grad_stays_valid():
    kept = []

    def loss(x):
        kept.append(x * 2)
        return x.sum()

    mx.eval(mx.grad(loss)(mx.array([1.0, 2.0])))
    assert kept[0].tolist() == [2, 4]


def test_an_error_in_the_function_comes_through():
    def loss(x):
        raise KeyError("mine")

    for transform in (mx.grad, mx.value_and_grad, mx.vmap, mx.compile):
        with pytest.raises(KeyError, match="mine"):
            transform(loss)(mx.array([1.0]))
    assert mx.grad(lambda x: x.sum())(mx.array([1.0])).item() == 1


PRODUCTS = """
m.vjp(lambda x: (x * 2,), [x], [x]); m.vjp(lambda x: x * 2, [x], [x]); m.vjp(lambda x: x * 2, (x,), (x,))
m.vjp(lambda x, y: [x * y, x + y], [x, x], [x, x]); m.vjp(lambda x: {"a": x}, [x], [x])
m.vjp(lambda x: x, [x], [1.0]); m.vjp(lambda x: x[:1], [x], [x])
m.vjp(fun=lambda x: x * x, primals=[x], cotangents=[x]); m.vjp(3, [x], [x]); m.jvp(lambda x: x * 2, [x], [x])
m.jvp(lambda x: x * x, (x,), (x,)); m.jvp(lambda x: [x * 2, x], (x,), (x,)); m.jvp(lambda x, y: x * y, [x, x], [x, x])
m.jvp(lambda x: m.sin(x), [x], [x[:1]]); m.jvp(lambda x: m.exp(x), primals=[x], tangents=[x])
"""


@pytest.mark.parametrize("expression", expressions(PRODUCTS))
def test_products_with_the_jacobian(expression):
    check(lambda m: eval(expression, names(m)), scale=4)


VMAPS = """
m.vmap(lambda x, y: x + y)(x, x); m.vmap(lambda x, y: x + y, in_axes=(0, None))(x, m.array(1.0)); m.vmap(f)(w, w)
m.vmap(lambda x, y: x + y, in_axes=(0, None), out_axes=1)(m.zeros((2, 3)), m.array(1.0))
m.vmap(lambda x: m.array(1.0))(x); m.vmap(lambda x: {"a": x, "b": [x * 2]})(x); m.vmap(lambda x: x, -1)(w)
m.vmap(lambda x: x, 0, -1)(w); m.vmap(lambda p, y: p[0] * y, in_axes=((0,), 1))((w,), w); m.vmap(lambda x: x, 5)(w)
m.vmap(lambda x, k=1: x * k)(x, k=3); m.vmap(lambda x: (x, 1))(x); m.vmap(lambda x, y: x + y)(x, m.zeros((3,)))
m.vmap(lambda x: x)(3); m.vmap(lambda x, y: x + y, in_axes=(None, None))(x, x)
m.vmap(lambda x, y: x + y, in_axes=(0,))(x, x); m.vmap(4); m.vmap(m.grad(lambda x: (x * x).sum()))(w)
m.vmap(m.vmap(lambda x: x * 2))(w); m.grad(lambda x: m.vmap(lambda r: r.sum())(x).sum())(w)
m.vmap(lambda x: (x, {"b": x}), out_axes=(0, {"b": 1}))(w); m.vmap(lambda a, b: a @ b, (0, 1))(w, w)
"""


@pytest.mark.parametrize("expression", expressions(VMAPS))
def test_vmap(expression):
    check(lambda m: eval(expression, names(m)), scale=4)


def test_axes_that_do_not_match_the_arguments():
    x = mx.ones((2, 2))
    for axes in (({"q": 0},), ((0, 0),), "a"):
        with pytest.raises(ValueError):
            mx.vmap(lambda x: x, in_axes=axes)(x)


def test_the_value_of_a_batch_is_refused():
    with pytest.raises(ValueError, match="vmap"):
        mx.vmap(lambda x: x * x.item())(mx.array([1.0, 2.0]))


def test_transformed_functions_wear_the_name_of_theirs():
    def loss(x):
        "A doc."
        return x.sum()

    for f in (mx.grad(loss), mx.value_and_grad(loss), mx.vmap(loss), mx.compile(loss)):
        assert (f.__name__, f.__doc__, f.__wrapped__) == ("loss", "A doc.", loss)


def test_functions_that_refer_to_themselves_are_collected():
    class Holder:
        pass

    for transform in (mx.grad, mx.vmap, mx.compile):
        holder = Holder()
        holder.f = transform(lambda x, h=holder: x.sum())
        holder.f(mx.array([1.0]))
        alive = weakref.ref(holder)
        del holder
        gc.collect()
        assert alive() is None


def test_gradient_descent_reaches_the_solution():
    def solve(m):
        a = m.array([[2.0, 1.0], [1.0, 3.0]])
        b = m.array([1.0, 2.0])
        step = m.value_and_grad(lambda x: m.square(a @ x - b).sum())
        x = m.zeros((2,))
        for _ in range(200):
            loss, g = step(x)
            x = x - 0.03 * g
            m.eval(loss, x)
        return [loss, x]

    import mlx.core as mlx

    assert_same(outcome(solve, mx), outcome(solve, mlx), 4)
    assert outcome(solve, mx)[0].item() < 1e-5


AXES = """
m.vmap(lambda d: d["a"] + d["b"], in_axes=0)({"a": a, "b": a})
m.vmap(lambda d, x: d["a"] + x, in_axes=(None, 0))({"a": a[0]}, a)
m.vmap(lambda d, x: d["a"] * x, in_axes=({"a": 1}, None))({"a": a.T}, m.array(2.0))
m.vmap(lambda x: {"a": x * 2, "b": [x + 1]}, out_axes={"a": 1, "b": [0]})(a)
m.vmap(lambda x: (x, x * 2), out_axes=1)(a); m.vmap(lambda x: x.sum(), in_axes=-1)(a)
m.vmap(m.vmap(lambda x, y: x * y, in_axes=(None, 0)), in_axes=(0, None))(a[:, 0], a[:, 1])
m.grad(lambda x, y: (x * x * y).sum(), argnums=(1, 0))(a, a + 1); m.grad(lambda x: x.sum(), argnums=[])(a)
m.grad(lambda x, y, z: (x * y * z).sum(), argnames=["z", "y"])(a, y=a + 1, z=a)
m.value_and_grad(lambda x, y, z: (x * y * z).sum(), argnums=[2, 0])(a, a + 1, a * 2)
m.grad(lambda x, y: (x * y).sum(), argnums=0, argnames="y")(a, y=a + 1)
"""


@pytest.mark.parametrize("expression", expressions(AXES))
def test_trees_of_axes_and_orders_of_arguments(expression):
    check(lambda m: eval(expression, {"m": m, "a": m.array([[1.0, 2], [3, 4], [5, 6]])}))


def test_axes_of_more_kinds_than_mlx_takes():
    a = mx.array([[1.0, 2], [3, 4], [5, 6]])
    got = mx.vmap(lambda d: d["a"] + d["b"][0], in_axes=({"a": 0, "b": [None]},))({"a": a, "b": [a[0]]})
    assert got.tolist() == (a + a[0]).tolist()
    # What does not depend on the batch may come once.
    both = mx.vmap(lambda x, y: (x + y, {"y": y * 2}), in_axes=(0, None), out_axes=(-1, None))(a, a[0])
    assert both[0].tolist() == (a + a[0]).T.tolist() and both[1]["y"].tolist() == [2, 4]
    with pytest.raises(ValueError, match="depends on the batch"):
        mx.vmap(lambda x: x, out_axes=None)(a)
