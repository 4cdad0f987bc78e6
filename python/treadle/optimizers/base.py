"""What all optimizers share: the state they remember between steps, groups, and a step over a tree of parameters."""

import treadle.core as mx
from treadle._core import _optimizers as _rules
from treadle._core._nn import with_leaves, zip_leaves
from treadle.utils import ClippedGrads, tree_flatten, tree_map


class Optimizer:
    """Base of all optimizers.

    The state is a dict: ``"step"``, scheduled values such as ``"learning_rate"``, and a tree like the parameters with
    a dict for each of them. A new optimizer defines :meth:`init_single` and :meth:`apply_single`; a class derived from
    one of the optimizers here may define either anew.

    Args:
        schedulers (dict, optional): From names of state entries to functions of the step that give their values.
    """

    def __init__(self, schedulers=None):
        self._initialized = False
        self._state = {"step": mx.array(0, mx.uint64)}
        self._schedulers = dict(schedulers or {})
        self._groups = []  # (paths, learning rate or None, weight decay or None)
        self._checked_groups = 0  # of which parameters are known

    def update(self, model, gradients):
        """Applies gradients to a model and gives it the new parameters.

        Args:
            model (Module): The model.
            gradients (dict): A tree like a part of the model's parameters, as from :func:`treadle.nn.value_and_grad`,
                or the result of :func:`clip_grad_norm`.
        """
        model.update(self.apply_gradients(gradients, model))

    def init(self, parameters):
        """Adds the state of parameters that have none yet. The first step does so; a compiled step needs it before.

        Args:
            parameters (dict): A tree of parameters.
        """
        self._state = _grown(self._state, parameters)
        tree_map(self._init_if_empty, parameters, self._state)
        self._initialized = True

    def _init_if_empty(self, parameter, state):
        if not state:
            self.init_single(parameter, state)

    def init_single(self, parameter, state):
        """Puts the state of one parameter into the dict ``state``."""
        raise NotImplementedError(f"[{type(self).__name__}] an optimizer must define init_single(parameter, state).")

    def apply_gradients(self, gradients, parameters):
        """The new parameters, as a tree like ``gradients``.

        Args:
            gradients (dict): A tree of gradients.
            parameters (dict): A tree of parameters, which may have more than ``gradients`` has.
        """
        if isinstance(gradients, ClippedGrads):
            gradients = gradients.grads
        if not self._initialized:
            self._check_places(gradients, parameters)
            self.init(gradients)
        try:
            places = zip_leaves(gradients, parameters, self.state)
        except (KeyError, IndexError):
            self._check_places(gradients, parameters)
            self.init(gradients)  # of parameters that were frozen until now
            places = zip_leaves(gradients, parameters, self.state)
        if self._checked_groups < len(self._groups):
            self._check_groups(parameters)
        for name, schedule in self._schedulers.items():
            self.state[name] = schedule(self.step)
        if self._groups:
            self._schedule_group_rates()
        taken = self.step
        self.state["step"] = taken + 1
        try:
            new = self._apply_by_group(gradients, *places) if self._groups else self._apply_all(*places)
        except Exception as error:
            self.state["step"] = taken  # a step that fails is none
            if isinstance(error, (KeyError, ValueError)):
                self._check_places(gradients, parameters)
                self._check_states(gradients, places)
            raise
        return with_leaves(gradients, new)

    def add_group(self, paths, learning_rate=None, weight_decay=None):
        """Gives the parameters at some paths a learning rate or weight decay of their own.

        Where several groups name a parameter, each of its two values is that of the longest ``paths`` which gives it.
        The rates are in ``state["group_rates"]``, in the order in which they were given.

        Args:
            paths (str): A path, a beginning of it such as ``"encoder"`` or ``"layers.0"``, or one with ``*`` and ``?``
                in it, as ``"*.bias"``.
            learning_rate (float or callable, optional): The rate, or a schedule.
            weight_decay (float, optional): The weight decay, for an optimizer that has one.

        Returns:
            The optimizer.

        Raises:
            ValueError: For a value that the optimizer itself does not have; from the next step, when no parameter is
                at ``paths``.
        """
        name = type(self).__name__
        if learning_rate is None and weight_decay is None:
            raise ValueError(f"[{name}] the group '{paths}' is given neither a learning rate nor a weight decay.")
        if weight_decay is not None and not hasattr(self, "weight_decay"):
            raise ValueError(f"[{name}] the group '{paths}' is given a weight decay, which {name} does not have.")
        if learning_rate is not None and "learning_rate" not in self.state:
            raise ValueError(f"[{name}] the group '{paths}' is given a learning rate, but {name} chooses its own.")
        if learning_rate is not None:
            self.state.setdefault("group_rates", []).append(self._rate_now(learning_rate))
        self._groups.append((paths, learning_rate, weight_decay))
        return self

    def _check_groups(self, parameters):
        paths = parameter_paths(parameters)
        _rules.check_keys(type(self).__name__, [paths for paths, _, _ in self._groups], paths)
        self._checked_groups = len(self._groups)

    def _rate_now(self, rate):
        return rate(self.step) if callable(rate) else mx.array(rate)

    def _schedule_group_rates(self):
        given = [rate for _, rate, _ in self._groups if rate is not None]
        # A state that was made without groups may lack them.
        present = self.state.setdefault("group_rates", []) if given else []
        for i, rate in enumerate(given):
            if i == len(present):
                present.append(self._rate_now(rate))
            elif callable(rate):
                present[i] = rate(self.step)

    def _apply_by_group(self, gradients, *places):
        rated = [paths for paths, rate, _ in self._groups if rate is not None]
        decayed = [paths for paths, _, decay in self._groups if decay is not None]
        decays = [decay for _, _, decay in self._groups if decay is not None]
        parts = {}
        for i, (path, _) in enumerate(tree_flatten(gradients)):
            owner = _rules.key_of(rated, path), _rules.key_of(decayed, path)
            parts.setdefault(owner, []).append(i)
        new = [None] * len(places[0])
        for (rate, decay), members in parts.items():
            part = [[p[i] for i in members] for p in places]
            values = self._apply_as(rate, None if decay is None else decays[decay], part)
            for i, value in zip(members, values, strict=True):
                new[i] = value
        return new

    def _apply_as(self, rate, weight_decay, part):
        """_apply_all, with the values of a group as the optimizer's own: the number of its rate, and its decay."""
        own = self.state.get("learning_rate"), getattr(self, "weight_decay", None)
        if rate is not None:
            self.state["learning_rate"] = self.state["group_rates"][rate]
        if weight_decay is not None:
            self.weight_decay = weight_decay
        try:
            return self._apply_all(*part)
        finally:
            if rate is not None:
                self.state["learning_rate"] = own[0]
            if weight_decay is not None:
                self.weight_decay = own[1]

    def _apply_all(self, gradients, parameters, states):
        if type(self).apply_single is Optimizer.apply_single:
            return self._apply(gradients, parameters, states) if gradients else []
        return list(map(self.apply_single, gradients, parameters, states))

    def _check_states(self, gradients, places):
        """Raises ValueError for the first state that lacks an entry, or has one of another shape, as a new one has."""
        if type(self).apply_single is not Optimizer.apply_single:
            return
        for (path, _), _, parameter, state in zip(tree_flatten(gradients), *places, strict=True):
            expected = {}
            self.init_single(parameter, expected)
            for name, value in expected.items():
                found = state.get(name)
                if found is None or found.shape != value.shape:
                    has = f"no '{name}'" if found is None else f"a {found.shape} as '{name}'"
                    raise ValueError(
                        f"[{type(self).__name__}] the state of '{path}' has {has}; expected one of shape "
                        f"{value.shape}. Is it the state of another optimizer or model?"
                    )

    def _check_places(self, gradients, parameters, path=""):
        """Raises ValueError for the first gradient without a parameter, or of another shape than it."""
        name = type(self).__name__
        if not isinstance(gradients, (dict, list, tuple)):
            got, expected = (getattr(a, "shape", None) for a in (gradients, parameters))
            if got is None or expected is None:
                kinds = f"a {type(gradients).__name__} and its parameter a {type(parameters).__name__}"
                raise ValueError(f"[{name}] the gradient of '{path}' is {kinds}; expected arrays.")
            if got != expected:
                raise ValueError(
                    f"[{name}] the gradient of '{path}' has shape {got}; expected that of the parameter, {expected}."
                )
            return
        if isinstance(parameters, mx.array):
            kind = type(gradients).__name__
            raise ValueError(f"[{name}] the gradient of '{path}' is a {kind} and its parameter an array.")
        for key, value in gradients.items() if isinstance(gradients, dict) else enumerate(gradients):
            inner = f"{path}.{key}" if path else str(key)
            try:
                parameter = parameters[key]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(f"[{name}] there is a gradient for '{inner}' but no such parameter.") from None
            self._check_places(value, parameter, inner)

    def apply_single(self, gradient, parameter, state):
        """The new value of one parameter; changes the dict ``state``, which is its own."""
        return self._apply([gradient], [parameter], [state])[0]

    def _apply(self, gradients, parameters, states):
        """The new values of parameters; changes the dicts ``states``, one for each."""
        raise NotImplementedError(
            f"[{type(self).__name__}] an optimizer must define apply_single(gradient, parameter, state)."
        )

    @property
    def state(self):
        """The state; may be set, for instance to one that was saved."""
        return self._state

    @state.setter
    def state(self, state):
        self._initialized = False
        self._state = state

    @property
    def step(self):
        """The number of steps taken, an array."""
        return self.state["step"]

    @property
    def learning_rate(self):
        """The learning rate of the last step, an array; may be set to a number or a schedule.

        A schedule sets it at every step, so a number does not stay where there is one.
        """
        return self.state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self._maybe_schedule("learning_rate", learning_rate)

    def _maybe_schedule(self, name, value):
        """Puts a number, or the present value of a schedule, into the state."""
        if callable(value):
            self._schedulers[name] = value
            self.state[name] = value(self.step)
        else:
            self.state[name] = mx.array(value)


def parameter_paths(parameters):
    """The paths of all parameters of a model, also frozen ones, or of a tree."""
    tree = parameters.parameters() if hasattr(parameters, "parameters") else parameters
    return [path for path, _ in tree_flatten(tree)]


def _grown(state, parameters):
    """`state` with ``{}`` at the places of `parameters` that it lacks. Dicts are changed, sequences are new."""
    if isinstance(parameters, ClippedGrads):
        parameters = parameters.grads
    if isinstance(parameters, dict):
        for key, value in parameters.items():
            state[key] = _grown(state.get(key, {}), value)
    elif isinstance(parameters, (list, tuple)):
        present = list(state)
        present.extend({} for _ in parameters[len(present) :])
        items = [*map(_grown, present, parameters), *present[len(parameters) :]]
        return type(parameters)(*items) if hasattr(parameters, "_fields") else type(parameters)(items)
    return state
