"""treadle.utils against mlx.utils, on trees of plain numbers."""

from collections import namedtuple

import mlx.utils as peer
import pytest
from hypothesis import given
from hypothesis import strategies as st

import treadle.utils as utils

Pair = namedtuple("Pair", "left right")

names = st.text("abcxyz_", min_size=1, max_size=3)
leaves = st.integers(-5, 5)


def grown(children):
    return (
        st.lists(children, max_size=3)
        | st.dictionaries(names, children, max_size=3)
        | st.tuples(children, children)
        | st.builds(Pair, children, children)
    )


trees = st.recursive(leaves, grown, max_leaves=12)
# What tree_unflatten can bring back: no tuples, no empty subtrees, no bare leaf.
round_trees = st.recursive(
    leaves,
    lambda c: st.lists(c, min_size=1, max_size=3) | st.dictionaries(names, c, min_size=1, max_size=3),
    max_leaves=12,
)


def same(ours, theirs):
    """Equal in values, types and order of keys."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        return all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        return all(map(same, ours, theirs))
    assert ours == theirs
    return True


def is_pair(tree):
    return isinstance(tree, Pair)


@given(trees)
@pytest.mark.parametrize("is_leaf", [None, is_pair])
def test_tree_flatten_gives_mlx_paths(is_leaf, tree):
    assert same(utils.tree_flatten(tree, is_leaf=is_leaf), peer.tree_flatten(tree, is_leaf=is_leaf))
    assert same(utils.tree_flatten(tree, ".a"), peer.tree_flatten(tree, ".a"))
    assert same(utils.tree_flatten(tree, destination={}), peer.tree_flatten(tree, destination={}))


@given(round_trees)
def test_tree_unflatten_inverts_tree_flatten(tree):
    assert same(utils.tree_unflatten(utils.tree_flatten(tree)), tree)
    assert same(utils.tree_unflatten(utils.tree_flatten(tree, destination={})), tree)


@given(st.dictionaries(st.sampled_from(["0", "1", "3", "01", "a", "0.b", "0.c", "2.0", "2.1", "-1"]), leaves))
def test_tree_unflatten_takes_numbers_for_list_indices_as_mlx_does(flat):
    roots = {k.split(".")[0] for k in flat}
    if any(r in flat and any(k.startswith(r + ".") for k in flat) for r in roots):
        return  # a place that is a leaf and a subtree: no tree has it
    assert same(utils.tree_unflatten(flat), peer.tree_unflatten(flat))


@given(trees)
@pytest.mark.parametrize("is_leaf", [None, is_pair])
def test_tree_map_keeps_the_form(is_leaf, tree):
    def f(*values):
        return values

    assert same(utils.tree_map(f, tree, tree, is_leaf=is_leaf), peer.tree_map(f, tree, tree, is_leaf=is_leaf))
    assert same(
        utils.tree_map_with_path(f, tree, tree, is_leaf=is_leaf, path="p"),
        peer.tree_map_with_path(f, tree, tree, is_leaf=is_leaf, path="p"),
    )
    assert same(utils.tree_map_with_path(f, tree), peer.tree_map_with_path(f, tree))


def test_tree_map_reads_only_the_places_of_the_first_tree():
    assert utils.tree_map(lambda a, b: (a, b), {"x": 1}, {"x": {"deep": 2}, "y": 3}) == {"x": (1, {"deep": 2})}


@given(trees, st.none() | st.integers(-5, 5))
def test_tree_reduce_goes_over_the_leaves_in_order(tree, initializer):
    def f(a, b):
        return 2 * a - b

    assert same(utils.tree_reduce(f, tree, initializer), peer.tree_reduce(f, tree, initializer))


@given(trees, trees)
def test_tree_merge_merges_as_mlx_does(a, b):
    def run(module):
        try:
            return module.tree_merge(a, b, lambda x, y: (x, y))
        except ValueError:
            return "error"

    # MLX merges dicts in the order of a set; only the order of ours is fixed.
    assert run(utils) == run(peer)


def test_tree_merge_keeps_the_order_of_keys():
    assert list(utils.tree_merge({"b": 1, "a": 2}, {"c": 3, "a": {}})) == ["b", "a", "c"]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: utils.tree_flatten({}, destination=()), "destination is a tuple"),
        (lambda: utils.tree_merge({"a": 1}, {"a": 1}), "no merge_fn"),
        (lambda: utils.tree_merge({"a": []}, {"a": {}}), "empty list and an empty dict"),
    ],
)
def test_errors_say_what_was_got(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_clipped_gradients_are_a_pair_and_a_tree():
    clipped = utils.ClippedGrads(({"w": [1, 2]}, 5))
    grads, norm = clipped
    assert grads is clipped.grads is clipped[0] and norm == clipped.norm == 5
    assert clipped["w"] == [1, 2] and list(clipped.items()) == [("w", [1, 2])]
    assert list(clipped.keys()) == ["w"] and list(clipped.values()) == [[1, 2]]
    assert utils.tree_flatten(clipped) == [("w.0", 1), ("w.1", 2)]
    assert utils.tree_map(lambda a, b: a + b, clipped, clipped) == {"w": [2, 4]}
    assert utils.tree_map_with_path(lambda p, a: p, clipped) == {"w": ["w.0", "w.1"]}
    assert utils.tree_reduce(lambda a, b: a + b, clipped) == 3
    assert utils.tree_merge(clipped, {"v": 0}) == {"w": [1, 2], "v": 0}
