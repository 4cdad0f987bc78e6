"""einsum against MLX and NumPy: every form of subscripts, random contractions, paths, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import as_numpy, assert_same, mlx, mx, outcome

r = np.random.default_rng(4)


def operands(shapes):
    return [r.normal(size=s).astype(np.float32) for s in shapes]


FORMS = {
    "ij,jk->ik": [(2, 3), (3, 4)], "ij,jk": [(2, 3), (3, 4)], "ii": [(3, 3)], "ii->i": [(3, 3)], "ij->": [(2, 3)],
    "ij->ji": [(2, 3)], "ji": [(2, 3)], "...i,i": [(2, 3, 4), (4,)], "i...,i->...": [(3, 2), (3,)],
    "...ij,...jk->...ik": [(2, 1, 3, 4), (5, 4, 2)], "...,...": [(2,), (3, 2)], "i,j->ij": [(2,), (3,)],
    "i,i->": [(1,), (3,)], "ij,j->i": [(2, 1), (3,)], "ij->ii": [(2, 3)], "ij,jk->iz": [(2, 3), (3, 4)],
    "ij": [(2, 3, 4)], " i j , j k -> i k ": [(2, 3), (3, 4)], "ij,jk->ik->": [(2, 3), (3, 4)], "iI->I": [(2, 3)],
    "i1": [(2, 3)], "ij,jk,kl": [(2, 3), (3, 4), (4, 5)], "i...j->...": [(2, 3, 4)], "...ii->...i": [(2, 3, 3)],
    "...": [(2, 3)], "i..": [(2, 3)], "ij...,ji": [(2, 3, 4), (3, 2)], "iii->i": [(3, 3, 3)], "iii": [(3, 3, 3)],
    "ii,ij->j": [(3, 3), (3, 2)], "ij,ik->i...": [(2, 3), (2, 4)], "bij,bjk->bik": [(4, 2, 3), (4, 3, 2)],
    "ij,jk->": [(2, 3), (4, 4)], "ij->ij...": [(2, 3)], "zj,az": [(2, 3), (4, 2)], "...i->i": [(2, 3)],
    "i...->...i": [(2, 3, 4)], "ij,...->i...": [(2, 3), (4,)], "bhqd,bhkd->bhqk": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "bqhd,bkhd->bhqk": [(2, 4, 3, 5), (2, 6, 3, 5)], "nchw,oc->nohw": [(2, 3, 4, 5), (6, 3)],
    "ij,kl->": [(2, 3), (2, 2)],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    x = operands(FORMS[form])

    def call(m):
        return m.einsum(form, *map(m.array, x))

    assert_same(outcome(call, mx), outcome(call, mlx), scale=4)


def test_wrong_arguments():
    x = mx.ones((2, 3))
    for arguments, error in [
        (("ij,jk", x), "got 1 operands for 2"),
        (("ij",), "got 0 operands for 1"),
        (("ijk", x), "3 subscripts for operand 0, float32"),
        (("ij,jk", x, x), "'j' has length 2 in operand 1, but 3 before"),
        (("ij->k", x), "the result has 'k', which no operand has"),
        (("ij->ii", x), "the result has 'i' twice"),
        (("i?", x), "got '\\?'"),
        (("......", x), "occurs twice"),
    ]:
        for f in (mx.einsum, mx.einsum_path):
            with pytest.raises(ValueError, match=error):
                f(*arguments)
    with pytest.raises(TypeError, match="operand 0"):
        mx.einsum("i", "no")


def test_scalars_numbers_and_dtypes():
    x = mx.arange(3)
    assert mx.einsum(",i->i", 2, x).tolist() == [0, 2, 4]
    assert mx.einsum("", mx.array(3.0)).item() == 3
    assert mx.einsum("i,i", x, x).item() == 5 and mx.einsum("i,i", x, x).dtype == mx.int32
    assert mx.einsum("ij,jk->ik", mx.ones((2, 3), mx.float16), mx.ones((3, 2))).dtype == mx.float32
    c = mx.array([1j, 2])
    assert mx.einsum("i,i", c, c).item() == 3
    assert mx.einsum("ij,jk->ik", mx.ones((2, 3), mx.float64), mx.ones((3, 2))).dtype == mx.float64


def test_paths_have_the_form_of_mlx():
    for form, shapes in FORMS.items():
        if len(shapes) > 2:
            continue
        ours = outcome(lambda m, f=form, s=shapes: m.einsum_path(f, *[m.zeros(x) for x in s])[0], mx)
        theirs = outcome(lambda m, f=form, s=shapes: m.einsum_path(f, *[m.zeros(x) for x in s])[0], mlx)
        if not isinstance(ours, type):
            assert ours == theirs
            texts = [m.einsum_path(form, *[m.zeros(x) for x in shapes])[1] for m in (mx, mlx)]
            assert texts[0] == texts[1]
    path, text = mx.einsum_path("ij,jk,kl", mx.zeros((2, 3)), mx.zeros((3, 4)), mx.zeros((4, 5)))
    assert path == [(0, 1), (0, 1)] and "Optimized FLOP count:  128\n" in text


@st.composite
def contractions(draw):
    """Operands of up to three axes over five subscripts, some of length 1, and a result."""
    length = {s: draw(st.integers(1, 4)) for s in "abcde"}
    terms = draw(st.lists(st.text("abcde", min_size=1, max_size=3), min_size=1, max_size=4))
    used = sorted(set("".join(terms)))
    result = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    ones = draw(st.lists(st.booleans(), min_size=12, max_size=12))
    shapes, k = [], 0
    for t in terms:
        shape = []
        for s in t:
            # A diagonal has equal lengths.
            shape.append(1 if ones[k] and t.count(s) == 1 else length[s])
            k += 1
        shapes.append(tuple(shape))
    return ",".join(terms) + "->" + result, shapes


@given(contractions())
def test_random_contractions_are_those_of_numpy(case):
    subscripts, shapes = case
    x = operands(shapes)
    lengths = {}
    for term, a in zip(subscripts.split("->")[0].split(","), x, strict=True):
        for s, n in zip(term, a.shape, strict=True):
            lengths[s] = max(n, lengths.get(s, 1))
    # NumPy too stretches axes of length 1, but not those of the result.
    terms = subscripts.split("->")[0].split(",")
    wide = [
        np.broadcast_to(a, [lengths[s] for s in t]) if len(set(t)) == len(t) else a
        for t, a in zip(terms, x, strict=True)
    ]
    if any(n != lengths[s] for t, a in zip(terms, wide, strict=True) for s, n in zip(t, a.shape, strict=True)):
        return  # a diagonal of length 1 beside longer ones
    want = np.einsum(subscripts, *[a.astype(np.float64) for a in wide])
    got = as_numpy(mx.einsum(subscripts, *map(mx.array, x)))
    assert got.shape == want.shape
    bound = np.einsum(subscripts, *[np.abs(a.astype(np.float64)) for a in wide])
    assert (np.abs(got - want) <= 1e-6 * bound).all()


def test_gradients_and_vmap():
    a, b = operands([(2, 3, 4), (4, 3)])

    def loss(m):
        return lambda x, y: (m.einsum("bij,ji->bj", x, y) ** 2).sum()

    ours = mx.grad(loss(mx), argnums=(0, 1))(mx.array(a), mx.array(b))
    theirs = mlx.grad(loss(mlx), argnums=(0, 1))(mlx.array(a), mlx.array(b))
    assert_same(ours, theirs, scale=8)
    got = mx.vmap(lambda x, y: mx.einsum("ij,ji->j", x, y), in_axes=(0, None))(mx.array(a), mx.array(b))
    np.testing.assert_allclose(as_numpy(got), np.einsum("bij,ji->bj", a, b), rtol=1e-5)
