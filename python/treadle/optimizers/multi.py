"""MultiOptimizer: several optimizers, each for a part of the parameters."""

from treadle._core import _optimizers as _rules
from treadle.optimizers.base import Optimizer, parameter_paths
from treadle.utils import ClippedGrads, tree_flatten, tree_map_with_path, tree_unflatten


def _anything(path, gradient):
    return True


def _plain(gradients):
    return gradients.grads if isinstance(gradients, ClippedGrads) else gradients


class MultiOptimizer(Optimizer):
    """Gives each parameter to one of several optimizers.

    ``MultiOptimizer([muon, adamw], [is_matrix])`` goes by filters, ``MultiOptimizer({"encoder": a, "*": b}, model)`` by
    paths: the key that is the path or a beginning of it (``"layers.0"``) and the longest wins; a key may hold ``*`` and
    ``?``, and ``"*"`` or ``"default"`` takes the rest.

    Args:
        optimizers (list or dict): The optimizers, or paths with an optimizer for each.
        filters (list[callable] or Module): For a list: functions of a path and a gradient, one less than optimizers.
            The first that returns true decides; the last optimizer takes the rest. For a dict: the model, all of whose
            trainable parameters must match a key, and each key a parameter.
    """

    def __init__(self, optimizers, filters=()):
        super().__init__()
        self._state = {}
        if isinstance(optimizers, dict):
            self.names = list(optimizers)
            self.optimizers = list(optimizers.values())
            self.filters = None
            if not self.optimizers:
                raise ValueError("[MultiOptimizer] got no optimizers; expected at least one.")
            if filters:
                self._check_covered(filters.trainable_parameters())
                _rules.check_keys("MultiOptimizer", self.names, parameter_paths(filters))
            return
        if len(filters) != len(optimizers) - 1:
            raise ValueError(
                f"[MultiOptimizer] got {len(optimizers)} optimizers and {len(filters)} filters; expected a filter for "
                "each optimizer but the last."
            )
        self.names = [str(i) for i in range(len(optimizers))]
        self.optimizers = list(optimizers)
        self.filters = [*filters, _anything]

    def _check_covered(self, parameters):
        lost = [path for path, _ in tree_flatten(parameters) if _rules.key_of(self.names, path) is None]
        if lost:
            raise ValueError(
                f"[MultiOptimizer] no optimizer takes {', '.join(lost)}; the keys are {', '.join(self.names)}. Add a "
                'key, or "*" for the rest.'
            )

    def add_group(self, paths, learning_rate=None, weight_decay=None):
        """Raises ValueError: groups belong to the optimizers."""
        raise ValueError(f"[MultiOptimizer] '{paths}' cannot be a group; add groups to the optimizers.")

    def _owner(self, path, value):
        if self.filters is not None:
            return next(i for i, accepts in enumerate(self.filters) if accepts(path, value))
        owner = _rules.key_of(self.names, path)
        if owner is None:
            raise ValueError(f"[MultiOptimizer] no optimizer takes '{path}'.")
        return owner

    def _parts(self, tree):
        """The tree cut into one for each optimizer."""
        tree = _plain(tree)
        if len(self.optimizers) == 1 and self.filters is not None:
            return [tree]
        parts = [[] for _ in self.optimizers]
        for path, value in tree_flatten(tree):
            parts[self._owner(path, value)].append((path, value))
        return [tree_unflatten(part) if part else {} for part in parts]

    def init(self, parameters):
        for optimizer, part in zip(self.optimizers, self._parts(parameters), strict=True):
            optimizer.init(part)

    def apply_gradients(self, gradients, parameters):
        new = {}
        for optimizer, part in zip(self.optimizers, self._parts(gradients), strict=True):
            tree_flatten(optimizer.apply_gradients(part, parameters), destination=new)
        # In the order of the gradients, which is that of the model.
        return tree_map_with_path(lambda path, _: new[path], _plain(gradients))

    @property
    def state(self):
        """``{"states": [...]}``: the states of the optimizers; may be set."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, state):
        if "states" not in state or len(state["states"]) != len(self.optimizers):
            raise ValueError(f"[MultiOptimizer] the state needs a list 'states' of {len(self.optimizers)} entries.")
        for optimizer, own in zip(self.optimizers, state["states"], strict=True):
            optimizer.state = own

    @property
    def step(self):
        """The number of steps that the first optimizer has taken."""
        return self.optimizers[0].step

    @property
    def learning_rate(self):
        """The learning rate of the first optimizer; setting it sets it for all."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        for optimizer in self.optimizers:
            optimizer.learning_rate = learning_rate
