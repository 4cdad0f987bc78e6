"""Functions over trees: nested dicts, lists and tuples, as parameters, gradients and optimizer states are.

A path names a leaf by the keys and indices that lead to it, joined by dots: ``"layers.0.weight"``. Everything that is
not a dict, list or tuple is a leaf, so a :class:`treadle.nn.Module` is a tree too.
"""

from itertools import zip_longest


class ClippedGrads(tuple):
    """What :func:`treadle.optimizers.clip_grad_norm` returns: a pair that is also taken for the gradients.

    ``grads, norm = clip_grad_norm(...)`` works as with any pair, and so does handing the whole to
    ``optimizer.update`` or to the functions of this module, which see the gradients alone.
    """

    @property
    def grads(self):
        """The clipped gradients."""
        return self[0]

    @property
    def norm(self):
        """The norm before clipping, over all gradients."""
        return self[1]

    def __getitem__(self, key):
        return super().__getitem__(0)[key] if isinstance(key, str) else super().__getitem__(key)

    def items(self):
        return self[0].items()

    def keys(self):
        return self[0].keys()

    def values(self):
        return self[0].values()


def _like(sequence, items):
    """A list, tuple or named tuple of `items`, of the type of `sequence`."""
    kind = type(sequence)
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def tree_map(fn, tree, *rest, is_leaf=None):
    """The tree with ``fn(leaf, *leaves_of_rest)`` in place of every leaf.

    Args:
        fn (callable): Called with a leaf of ``tree`` and, for each tree of ``rest``, what it has at the same place.
        tree: A tree.
        rest: Trees that have all places of ``tree``; they may have more, and more below its leaves.
        is_leaf (callable, optional): Says that a subtree is to be treated as a leaf.
    """
    if is_leaf is not None and is_leaf(tree):
        return fn(tree, *rest)
    if isinstance(tree, dict):
        return {k: tree_map(fn, v, *(r[k] for r in rest), is_leaf=is_leaf) for k, v in tree.items()}
    if isinstance(tree, ClippedGrads):
        return tree_map(fn, tree.grads, *rest, is_leaf=is_leaf)
    if isinstance(tree, (list, tuple)):
        return _like(tree, [tree_map(fn, v, *(r[i] for r in rest), is_leaf=is_leaf) for i, v in enumerate(tree)])
    return fn(tree, *rest)


def tree_map_with_path(fn, tree, *rest, is_leaf=None, path=None):
    """As :func:`tree_map`, with the leaf's path as first argument of ``fn``.

    Args:
        path (str, optional): Where ``tree`` itself is; all paths start with it.
    """
    if is_leaf is not None and is_leaf(tree):
        return fn(path, tree, *rest)
    prefix = f"{path}." if path else ""
    if isinstance(tree, dict):
        return {
            k: tree_map_with_path(fn, v, *(r[k] for r in rest), is_leaf=is_leaf, path=f"{prefix}{k}")
            for k, v in tree.items()
        }
    if isinstance(tree, ClippedGrads):
        return tree_map_with_path(fn, tree.grads, *rest, is_leaf=is_leaf, path=path)
    if isinstance(tree, (list, tuple)):
        return _like(
            tree,
            [
                tree_map_with_path(fn, v, *(r[i] for r in rest), is_leaf=is_leaf, path=f"{prefix}{i}")
                for i, v in enumerate(tree)
            ],
        )
    return fn(path, tree, *rest)


def tree_flatten(tree, prefix="", is_leaf=None, destination=None):
    """The leaves of a tree with their paths: a list of pairs, or a dict.

    ``tree_flatten({"a": [1, 2]})`` is ``[("a.0", 1), ("a.1", 2)]``.

    Args:
        tree: A tree.
        prefix (str): A dot and the path of ``tree`` itself, ``".model"``. The first character is dropped.
        is_leaf (callable, optional): Says that a subtree is to be treated as a leaf.
        destination (list or dict, optional): Is extended and returned. Default: a new list.
    """
    if destination is None:
        destination = []
    if isinstance(destination, list):
        add = destination.append
    elif isinstance(destination, dict):

        def add(pair):
            destination[pair[0]] = pair[1]
    else:
        raise ValueError(
            f"[tree_flatten] destination is a {type(destination).__name__}; expected a list, a dict or None."
        )

    def walk(tree, path):
        if is_leaf is not None and is_leaf(tree):
            add((path[1:], tree))
        elif isinstance(tree, dict):
            for k, v in tree.items():
                walk(v, f"{path}.{k}")
        elif isinstance(tree, ClippedGrads):
            walk(tree.grads, path)
        elif isinstance(tree, (list, tuple)):
            for i, v in enumerate(tree):
                walk(v, f"{path}.{i}")
        else:
            add((path[1:], tree))

    walk(tree, prefix)
    return destination


def tree_unflatten(tree):
    """The tree of a list of pairs of path and leaf, or of a dict from paths: the inverse of :func:`tree_flatten`.

    Where all keys of one place are numbers they become a list, with ``{}`` at the numbers that are missing. What
    :func:`tree_flatten` forgets does not come back: empty subtrees, and tuples, which become lists.
    """
    items = list(tree.items() if isinstance(tree, dict) else tree)
    if len(items) == 1 and items[0][0] == "":
        return items[0][1]

    children = {}
    for path, leaf in items:
        key, _, below = path.partition(".")
        children.setdefault(key, []).append((below, leaf))

    numbers = _numbers(children)
    if numbers is None:
        return {key: tree_unflatten(below) for key, below in children.items()}
    out = []
    for number in sorted(numbers):
        out.extend({} for _ in range(number - len(out)))
        out.append(tree_unflatten(children[numbers[number]]))
    return out


def _numbers(keys):
    """{0: "0", ...} if all keys are different numbers, else None."""
    try:
        numbers = {int(k): k for k in keys}
    except ValueError:
        return None
    return numbers if len(numbers) == len(keys) else None


def tree_reduce(fn, tree, initializer=None, is_leaf=None):
    """``fn(... fn(fn(initializer, leaf_0), leaf_1) ..., leaf_n)`` over the leaves in order.

    Args:
        fn (callable): Takes the value so far and a leaf, and returns the next value.
        tree: A tree.
        initializer (optional): The first value; without it, the first leaf is.
        is_leaf (callable, optional): Says that a subtree is to be treated as a leaf.
    """
    if is_leaf is not None and is_leaf(tree):
        below = None
    elif isinstance(tree, dict):
        below = tree.values()
    elif isinstance(tree, ClippedGrads):
        return tree_reduce(fn, tree.grads, initializer, is_leaf)
    elif isinstance(tree, (list, tuple)):
        below = tree
    else:
        below = None
    if below is None:
        return tree if initializer is None else fn(initializer, tree)
    for child in below:
        initializer = tree_reduce(fn, child, initializer, is_leaf)
    return initializer


def tree_merge(tree_a, tree_b, merge_fn=None):
    """One tree with the leaves of both; where only one has a subtree, that subtree.

    Keys come in the order of ``tree_a``, then those that only ``tree_b`` has. None and empty containers stand for
    nothing.

    Args:
        merge_fn (callable, optional): ``merge_fn(a, b)`` is used where both trees have a leaf.

    Raises:
        ValueError: Both have a leaf at a place and there is no ``merge_fn``, or both are empty and of different types.
    """
    if isinstance(tree_a, ClippedGrads):
        tree_a = tree_a.grads
    if isinstance(tree_b, ClippedGrads):
        tree_b = tree_b.grads
    empty_a, empty_b = _is_empty(tree_a), _is_empty(tree_b)
    if empty_a and empty_b:
        if type(tree_a) is not type(tree_b):
            raise ValueError(
                f"[tree_merge] the trees have an empty {type(tree_a).__name__} and an empty "
                f"{type(tree_b).__name__} at the same place; expected the same type."
            )
        return type(tree_a)()
    tree_a = None if empty_a else tree_a
    tree_b = None if empty_b else tree_b
    if (tree_a is None) != (tree_b is None):
        return tree_b if tree_a is None else tree_a

    if isinstance(tree_a, dict) and isinstance(tree_b, dict):
        keys = dict.fromkeys((*tree_a, *tree_b))
        return {k: tree_merge(tree_a.get(k), tree_b.get(k), merge_fn) for k in keys}
    if isinstance(tree_a, (list, tuple)) and isinstance(tree_b, (list, tuple)):
        return _like(tree_a, [tree_merge(a, b, merge_fn) for a, b in zip_longest(tree_a, tree_b)])
    if merge_fn is None:
        raise ValueError("[tree_merge] both trees have a leaf at the same place and there is no merge_fn.")
    return merge_fn(tree_a, tree_b)


def _is_empty(tree):
    return isinstance(tree, (dict, list, tuple)) and not tree
