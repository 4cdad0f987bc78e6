"""Random functions against MLX: the same keys give the same numbers."""

import numpy as np
import pytest
from oracle import check, expressions

import treadle.core as mx

DRAWS = """
r.key(0); r.key(7); r.key(2**40 + 3); r.split(r.key(0)); r.split(r.key(0), 3); r.split(key=r.key(1), num=4)
r.uniform(key=k); r.uniform(shape=(3,), key=k); r.uniform(-1, 1, (3,), m.float16, k)
r.uniform(high=5, shape=[2, 2], key=k); r.uniform(m.array([0.0, 10.0]), m.array([1.0, 20.0]), (3, 2), key=k)
r.uniform(shape=(4,), dtype=m.bfloat16, key=k); r.uniform(shape=(3,), dtype=None, key=k)
r.uniform(shape=(3,), dtype=m.int32, key=k); r.uniform(0, 1, (2, 3), key=k, stream=m.cpu); r.normal((3,), key=k)
r.normal((3,), loc=1, scale=2, key=k); r.normal((3,), m.float16, 0.5, 2.0, k)
r.normal((3,), loc=m.array([1.0, 2, 3]), key=k); r.normal((2,), scale=m.array([1.0, 2.0]), key=k); r.normal(key=k)
r.normal((2, 3), dtype=m.bfloat16, key=k); r.normal((2,), m.int32, key=k); r.normal((4,), m.complex64, key=k)
r.bernoulli(0.3, (3,), k); r.bernoulli(m.array([0.1, 0.9]), key=k); r.bernoulli(key=k)
r.bernoulli(p=0.5, shape=[4], key=k); r.bernoulli(m.array([0.1, 0.9]), (3, 2), k); r.randint(0, 10, (3,), key=k)
r.randint(-5, 5, [2, 2], m.int64, k); r.randint(low=m.array([0, 100]), high=m.array([10, 200]), shape=(3, 2), key=k)
r.randint(0, 200, (4,), m.uint8, k); r.randint(0, 2, (3,), m.float32, k); r.gumbel((3,), key=k)
r.gumbel((2,), m.float16, k); r.gumbel(key=k); r.laplace((3,), key=k); r.laplace((3,), m.float16, 1.0, 2.0, k)
r.laplace((2,), loc=3, key=k); r.truncated_normal(-1, 1, (4,), key=k)
r.truncated_normal(m.array([-1.0, 0.0]), 2.0, key=k)
r.truncated_normal(lower=-0.5, upper=m.array([1.0, 2.0]), shape=(2, 2), dtype=m.float16, key=k)
r.categorical(x, key=k); r.categorical(x, 0, key=k); r.categorical(x, num_samples=5, key=k)
r.categorical(x, -1, (4, 2), key=k); r.categorical(x, shape=(4, 2), num_samples=3, key=k)
r.categorical(x, axis=4, key=k); r.categorical(logits=x, key=k); r.uniform(shape="a"); r.bernoulli(shape=2.0)
r.split(3); r.key("a"); r.seed("a"); r.uniform(key=m.array([1, 2]))
"""


@pytest.mark.parametrize("expression", expressions(DRAWS))
def test_draws_from_a_key(expression):
    def call(m):
        x = m.array([[0.1, 2.0, -1.0], [0.0, 0.0, 0.0]])
        return eval(expression, {"m": m, "r": m.random, "k": m.random.key(1), "x": x})

    check(call, scale=8)


def test_the_default_key_runs_as_that_of_mlx():
    def call(m):
        m.random.seed(42)
        a = [m.random.uniform(shape=(2,)), m.random.normal((3,)), m.random.bernoulli(0.5, (4,)), m.random.state[0]]
        m.random.seed(42)
        return [*a, m.random.uniform(shape=(2,))]

    check(call, scale=8)


def test_state_is_a_list_of_the_key():
    state = mx.random.state
    assert len(state) == 1 and len(list(state)) == 1
    mx.random.seed(3)
    assert state[0].tolist() == state[-1].tolist() == mx.random.key(3).tolist()
    first = mx.random.uniform().item()
    state[0] = mx.random.key(3)
    assert mx.random.uniform().item() == first
    with pytest.raises(IndexError):
        state[1]
    with pytest.raises(ValueError):
        state[0] = mx.array([1.0])
    assert repr(state).startswith("[array([")


def test_unseeded_draws_differ():
    draws = {tuple(mx.random.uniform(shape=(4,)).tolist()) for _ in range(4)}
    assert len(draws) == 4


def test_moments():
    x = np.array(mx.random.normal((100_000,), key=mx.random.key(5)))
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    check(lambda m: m.random.normal((1000,), key=m.random.key(5)), scale=8)
