"""Module: the base of all layers and models."""

import os

import treadle.core as mx
from treadle._core import _nn
from treadle.utils import tree_flatten, tree_map_with_path, tree_unflatten


class Module(dict):
    """Base of layers and models: a dict of what it is made of.

    Attributes that are arrays, dicts, lists or tuples are entries of the dict; all others (numbers, functions, names)
    are ordinary attributes. Modules are dicts, so a module set as attribute, or in a list or dict, is part of the
    model. An array is a parameter wherever it is, unless a name on the way to it starts with ``_``.

    A call is the forward pass::

        class Mlp(nn.Module):
            def __init__(self, dims, classes):
                super().__init__()
                self.layers = [nn.Linear(dims, 64), nn.Linear(64, classes)]

            def __call__(self, x):
                return self.layers[1](nn.relu(self.layers[0](x)))

    Parameters are trainable until they are frozen (:meth:`freeze`).
    """

    # Entries that unfreeze() leaves alone, such as running statistics.
    _always_frozen = frozenset()

    def __init__(self):
        self._no_grad = set()
        self._training = True

    @property
    def training(self):
        """Whether the module is in training mode; see :meth:`train`."""
        return self._training

    @property
    def state(self):
        """The module itself, as the live dict of all its arrays: what ``compile(inputs=..., outputs=...)`` takes."""
        return self

    # --- attributes --------------------------------------------------------------------------------------------------

    def __getattr__(self, key):
        # Only called when the usual way failed; going it again raises its error, which may come from a property.
        value = self.get(key)
        return super().__getattribute__(key) if value is None else value

    def __setattr__(self, key, value):
        if not isinstance(value, (mx.array, dict, list, tuple)):
            if hasattr(value, "__array__") and isinstance(self.get(key), mx.array):
                raise TypeError(
                    f"[{type(self).__name__}] '{key}' is an array and was given a {type(value).__name__}; expected "
                    "mx.array(...) of it."
                )
            super().__setattr__(key, value)
            self.pop(key, None)
            return
        if key not in self:
            if key in self.__dict__:
                super().__delattr__(key)
            elif hasattr(type(self), key):
                raise AttributeError(
                    f"[{type(self).__name__}] '{key}' is an attribute of the class, which would hide the value set "
                    "here; choose another name, or remove it from the class."
                )
        self[key] = value

    def __delattr__(self, key):
        if key in self:
            del self[key]
        else:
            super().__delattr__(key)

    # --- printing ----------------------------------------------------------------------------------------------------

    def _extra_repr(self):
        """What a layer says about itself between the parentheses: ``"input_dims=2, output_dims=3"``."""
        return ""

    def _brief(self):
        """The same in a word, for errors: ``"2->3"``."""
        return ""

    def __repr__(self):
        lines = [
            "  " + line
            for path, module in tree_flatten(self.children(), is_leaf=self.is_module)
            for line in f"({path}): {module!r}".split("\n")
        ]
        head = f"{type(self).__name__}({self._extra_repr()}"
        return "\n".join([head, *lines, ")"]) if lines else head + ")"

    # --- selecting ---------------------------------------------------------------------------------------------------

    @staticmethod
    def is_module(value):
        return isinstance(value, Module)

    @staticmethod
    def valid_child_filter(module, key, value):
        return isinstance(value, (dict, list))

    @staticmethod
    def valid_parameter_filter(module, key, value):
        return isinstance(value, (dict, list, mx.array)) and not key.startswith("_")

    @staticmethod
    def trainable_parameter_filter(module, key, value):
        return Module.valid_parameter_filter(module, key, value) and key not in module._no_grad

    def filter_and_map(self, filter_fn, map_fn=None, is_leaf_fn=None):
        """The entries of the module and all below it that pass a filter, as a tree of dicts and lists.

        Args:
            filter_fn (callable): ``filter_fn(module, key, value)`` says whether to keep an entry of ``module``. Items
                of lists and dicts have keys such as ``"layers.0"``, and become ``{}`` when they are not kept.
            map_fn (callable, optional): Is applied to the leaves.
            is_leaf_fn (callable, optional): ``is_leaf_fn(module, key, value)`` says whether to stop at a value.
                Default: at all that are not modules, dicts or lists.

        Raises:
            RuntimeError: A value that ``is_leaf_fn`` does not call a leaf is none of these.
        """

        def select(module, key, value):
            if not isinstance(value, (dict, list)) if is_leaf_fn is None else is_leaf_fn(module, key, value):
                return value if map_fn is None else map_fn(value)
            if isinstance(value, Module):
                return {k: select(value, k, v) for k, v in value.items() if filter_fn(value, k, v)}
            if isinstance(value, dict):
                items = {k: (f"{key}.{k}", v) for k, v in value.items()}
                return {
                    k: select(module, name, v) if filter_fn(module, name, v) else {} for k, (name, v) in items.items()
                }
            if isinstance(value, list):
                items = [(f"{key}.{i}", v) for i, v in enumerate(value)]
                return [select(module, name, v) if filter_fn(module, name, v) else {} for name, v in items]
            raise RuntimeError(
                f"[filter_and_map] '{key}' is a {type(value).__name__} and not a leaf; expected a module, dict or list."
            )

        return {k: select(self, k, v) for k, v in self.items() if filter_fn(self, k, v)}

    def parameters(self):
        """All parameters, as a tree of dicts and lists."""
        return _nn.parameters(self, False)

    def trainable_parameters(self):
        """The parameters that are not frozen. Frozen entries are absent; modules of which all is frozen are ``{}``."""
        return _nn.parameters(self, True)

    def children(self):
        """The modules directly inside this one, as a tree of dicts and lists."""
        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=lambda m, k, v: isinstance(v, Module))

    def leaf_modules(self):
        """The modules below that contain no other, as a tree of dicts and lists."""

        def is_leaf(module, key, value):
            return isinstance(value, Module) and not tree_flatten(value.children(), is_leaf=self.is_module)

        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=is_leaf)

    def apply_to_modules(self, apply_fn):
        """Calls ``apply_fn(path, module)`` for this module, whose path is ``""``, and all below it. Returns self.

        The order is that of a stack: of the modules inside one, the last comes first.
        """
        stack = [("", self)]
        while stack:
            path, module = stack.pop()
            apply_fn(path, module)
            prefix = "." + path if path else ""
            stack.extend(tree_flatten(module.children(), prefix=prefix, is_leaf=self.is_module))
        return self

    def modules(self):
        """This module and all below it."""
        return [module for _, module in self.named_modules()]

    def named_modules(self):
        """Pairs of path and module, for this module (``""``) and all below it."""
        pairs = []
        self.apply_to_modules(lambda path, module: pairs.append((path, module)))
        return pairs

    # --- changing parameters -----------------------------------------------------------------------------------------

    def update(self, parameters, strict=True):
        """Replaces the arrays at the places of the tree ``parameters``. Returns self.

        Args:
            parameters (dict): A tree like that of :meth:`parameters`; it may have a part of the places only.
            strict (bool): Places that the module does not have, or where it has no array, are an error; otherwise they
                are ignored. Default: ``True``.

        Raises:
            ValueError: As said under ``strict``; the message has the path.
        """
        _nn.update(self, parameters, strict)
        return self

    def apply(self, map_fn, filter_fn=None):
        """Replaces every parameter by ``map_fn`` of it. Returns self.

        Args:
            map_fn (callable): From an array to an array.
            filter_fn (callable, optional): Selects the parameters, as in :meth:`filter_and_map`. Default: all.
        """

        def mapped(path, value):
            try:
                return map_fn(value)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error

        selected = self.filter_and_map(filter_fn or Module.valid_parameter_filter)
        return self.update(tree_map_with_path(mapped, selected, is_leaf=lambda v: not isinstance(v, (dict, list))))

    def set_dtype(self, dtype, predicate=lambda dtype: mx.issubdtype(dtype, mx.floating)):
        """Converts the parameters. Returns self.

        Args:
            dtype (Dtype): The new dtype.
            predicate (callable, optional): ``predicate(dtype)`` says which parameters to convert. Default: those of
                floating dtypes, so that packed integers stay what they are. None converts all.
        """
        return self.apply(lambda x: x.astype(dtype) if predicate is None or predicate(x.dtype) else x)

    def update_modules(self, modules, strict=True):
        """Replaces modules inside this one by those of a tree, as :meth:`update` does arrays. Returns self.

        Args:
            modules (dict): A tree like that of :meth:`children` or :meth:`leaf_modules`, or a part of it.
            strict (bool): Places where there is no module are an error; otherwise they are ignored. Default: ``True``.
        """
        _update_modules(self, modules, strict, "")
        return self

    # --- frozen parameters -------------------------------------------------------------------------------------------

    def _validate_keys(self, keys, strict):
        keys = [keys] if isinstance(keys, str) else list(keys)
        if strict:
            for key in keys:
                if key not in self:
                    raise KeyError(f"Module doesn't contain member {key}.")
        return keys

    def _validate_keys_recursive(self, keys):
        modules = self.modules()
        for key in [keys] if isinstance(keys, str) else keys:
            if not any(key in m for m in modules):
                raise KeyError(f"Module doesn't contain member {key}.")

    def _for_keys(self, change, recurse, keys, strict):
        # With recurse a key must be somewhere in the model, not in every module.
        if not recurse:
            change("", self, strict)
        else:
            if strict and keys is not None:
                self._validate_keys_recursive(keys)
            self.apply_to_modules(lambda path, module: change(path, module, False))
        return self

    def freeze(self, *, recurse=True, keys=None, strict=False):
        """Makes parameters not trainable: no gradients for them, and no updates. Returns self.

        Args:
            recurse (bool): Those of all modules below too. Default: ``True``.
            keys (str or list[str], optional): Only entries of these names (``"bias"``). Default: all.
            strict (bool): A key that no module has is an error. Default: ``False``.
        """

        def freeze_one(_, module, strict):
            if keys is None:
                own = module.filter_and_map(
                    lambda m, k, v: not isinstance(v, Module) and m.valid_parameter_filter(m, k, v)
                )
                module._no_grad.update(path for path, _ in tree_flatten(own))
            else:
                module._no_grad.update(module._validate_keys(keys, strict))

        return self._for_keys(freeze_one, recurse, keys, strict)

    def unfreeze(self, *, recurse=True, keys=None, strict=False):
        """Makes parameters trainable again; the inverse of :meth:`freeze`, with the same arguments. Returns self.

        Running statistics stay frozen.
        """

        def unfreeze_one(_, module, strict):
            if keys is None:
                module._no_grad.intersection_update(module._always_frozen)
            else:
                given = module._validate_keys(keys, strict)
                module._no_grad.difference_update(set(given) - module._always_frozen)

        return self._for_keys(unfreeze_one, recurse, keys, strict)

    # --- modes -------------------------------------------------------------------------------------------------------

    def _set_training_mode(self, mode):
        self._training = mode

    def train(self, mode=True):
        """Sets training mode, in which layers such as Dropout act differently, for all modules. Returns self."""
        return self.apply_to_modules(lambda _, module: module._set_training_mode(mode))

    def eval(self):
        """Sets evaluation mode: ``train(False)``."""
        return self.train(False)

    # --- looking inside ----------------------------------------------------------------------------------------------

    def summary(self, *args, **kwargs):
        """A table of the module and all below it: output shapes, parameters, memory and arithmetic of a call.

        The call is recorded, not computed, in evaluation mode; the module and the random state stay as they are. The
        result prints as text; it has ``rows`` (dicts), ``parameters``, ``trainable``, ``nbytes`` and ``flops``, the
        multiplications and additions of matrix products, convolutions and attention.

        Args:
            args, kwargs: What the module is called with.
        """
        from treadle.nn.observe import summarize

        return summarize(self, args, kwargs)

    # --- saving and loading ------------------------------------------------------------------------------------------

    def state_dict(self):
        """A flat dict from paths to all parameters and all public attributes that are numbers, booleans or strings."""
        out = tree_flatten(self.parameters(), destination={})
        for path, module in self.named_modules():
            for key, value in vars(module).items():
                if isinstance(value, (bool, int, float, str)) and not key.startswith("_"):
                    out[f"{path}.{key}" if path else key] = value
        return out

    def load_weights(self, file_or_weights, strict=True):
        """Replaces parameters by those of a file, or of a list or dict. Returns self.

        Args:
            file_or_weights (str, PathLike, file, list or dict): A file of arrays (``.safetensors``, ``.npz``), given by
                name or open for reading; or pairs of path and array; or a dict from paths to arrays.
            strict (bool): The paths must be exactly those of the model and the shapes must agree. Otherwise unknown
                paths are ignored and any shape is taken. Default: ``True``.

        Raises:
            ValueError: As said under ``strict``; the message lists all extra, missing and misshapen names.
        """
        weights = file_or_weights
        if isinstance(weights, (str, os.PathLike)):
            weights = mx.load(os.fspath(weights))
        elif hasattr(weights, "read"):
            weights = mx.load(weights)
        weights = dict(weights)
        if strict:
            _check_weights(weights, tree_flatten(self.parameters(), destination={}))
        if weights:
            self.update(tree_unflatten(weights), strict=False)
        return self

    def load_torch_state_dict(self, state_dict, strict=True):
        """Replaces parameters by those of a PyTorch model of the same layers. Returns self.

        Layouts are changed as the layers need it (kernels of convolutions, biases of recurrent layers, joined attention
        projections), and so are names where they differ (``running_mean``, ``layers`` of Sequential, norms of
        transformers).

        Args:
            state_dict (dict): From names to tensors, or to anything that NumPy makes an array of.
            strict (bool): Whether other names, and missing ones, are an error. Default: ``True``.

        Raises:
            ValueError: As said under ``strict``, or shapes differ; the message lists all names.
        """
        from treadle.nn.torch_weights import from_torch

        return self.load_weights(from_torch(self, state_dict, strict), strict)

    def save_weights(self, file):
        """Writes all parameters to a file.

        Args:
            file (str or PathLike): Its ending says the format: ``.safetensors`` or ``.npz``.
        """
        file = os.fspath(file)
        weights = tree_flatten(self.parameters(), destination={})
        if file.endswith(".npz"):
            mx.savez(file, **weights)
        elif file.endswith(".safetensors"):
            mx.save_safetensors(file, weights)
        else:
            raise ValueError(f"[save_weights] the file is '{file}'; expected a name that ends in .safetensors or .npz.")


def _check_weights(new, own):
    """Raises ValueError unless `new` has the names and shapes of `own`; lists all that is wrong."""
    extra = sorted(new.keys() - own.keys())
    missing = sorted(own.keys() - new.keys())
    common = [name for name in own if name in new]
    not_arrays = [name for name in common if not isinstance(new[name], mx.array)]
    misshapen = [n for n in common if n not in not_arrays and new[n].shape != own[n].shape]

    problems = []
    if extra:
        problems.append(f"Received {len(extra)} parameters not in model: \n" + ",\n".join(extra) + ".")
    if missing:
        problems.append(f"Missing {len(missing)} parameters: \n" + ",\n".join(missing) + ".")
    for name in not_arrays:
        problems.append(f"Expected mx.array but received {type(new[name])} for parameter {name}")
    for name in misshapen:
        problems.append(f"Expected shape {own[name].shape} but received shape {new[name].shape} for parameter {name}")
    if problems:
        raise ValueError("\n".join(problems))


def _joined(path, key):
    return f"{path}.{key}" if path else str(key)


def _update_modules(target, modules, strict, path):
    for key, old, new in _places(target, modules, strict, path):
        where = _joined(path, key)
        if isinstance(old, Module) and isinstance(new, Module):
            target[key] = new
        elif isinstance(old, (dict, list)):
            _update_modules(old, new, strict, where)
        elif strict and new != {}:
            raise ValueError(f"Received invalid type: {type(new).__name__} for '{where}', which is no module.")


def _places(target, tree, strict, path):
    """Yields key, present value and new value for the places of `tree`; those that `target` lacks are errors."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(target, dict) and key in target:
                yield key, target[key], value
            elif strict:
                raise ValueError(f'Module does not have sub-module named "{_joined(path, key)}".')
    elif isinstance(tree, list):
        size = len(target) if isinstance(target, list) else 0
        if strict and len(tree) > size:
            raise ValueError(
                f"List index {size} is out of bounds for destination of length {size}, '{path}'; "
                f"there are {len(tree)} values for it."
            )
        yield from zip(range(size), target, tree, strict=False)
    elif strict:
        raise ValueError(f"Received invalid type: {type(tree).__name__} for '{path}'.")


_nn.set_module_type(Module)
