"""What LossScale and EMA share: a dict of arrays that compiled steps and files take."""


class Stateful:
    @property
    def state(self):
        """The dict of all that changes, for compiled steps and for files; may be set."""
        return self._state

    @state.setter
    def state(self, state):
        self._state = state
