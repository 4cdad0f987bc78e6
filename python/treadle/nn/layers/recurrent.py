"""Recurrent layers. Each is one loop inside the library, planned once, whatever the length of the sequence."""

from treadle._core import _nn
from treadle.nn.layers import activations
from treadle.nn.layers.base import Module


class _Recurrent(Module):
    """Layers one above the other, each in one direction or in both.

    Parameters are named as in MLX; those of further layers and of the way back have the endings that PyTorch gives
    them: ``Wx_l1``, ``Wx_l0_reverse``.
    """

    _names: tuple
    _init: staticmethod

    def __init__(self, input_size, hidden_size, bias, num_layers, bidirectional):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"[{type(self).__name__}] got {num_layers} layers; expected at least one.")
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        directions = 2 if bidirectional else 1
        for i, ending in enumerate(self._endings()):
            inputs = input_size if i < directions else directions * hidden_size
            first = self._init(inputs, hidden_size, bias)
            for name in self._names:
                # Without bias MLX has the attribute None.
                setattr(self, name + ending, first.get(name))

    def _endings(self):
        for layer in range(self.num_layers):
            yield f"_l{layer}" if layer else ""
            if self.bidirectional:
                yield f"_l{layer}_reverse"

    def _weights(self):
        return [tuple(getattr(self, name + ending) for name in self._names) for ending in self._endings()]

    def _options_repr(self):
        more = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        return more + (", bidirectional=True" if self.bidirectional else "")

    def _extra_repr(self):
        inputs, bias = self[self._names[0]].shape[1], self._names[2] in self
        return f"input_dims={inputs}, hidden_size={self.hidden_size}, bias={bias}{self._options_repr()}"

    def _brief(self):
        return f"{self[self._names[0]].shape[1]}->{self.hidden_size}"


class RNN(_Recurrent):
    r"""A layer with a state: :math:`h_t = f(W_{xh} x_t + W_{hh} h_{t-1} + b)`. (Elman 1990)

    The call takes ``(..., T, input_size)``, and optionally the state before the first step, ``(..., hidden_size)``, and
    returns all states, ``(..., T, hidden_size)``. ``Wxh`` ``(hidden_size, input_size)``, ``Whh`` ``(hidden_size,
    hidden_size)`` and ``bias`` ``(hidden_size,)`` start uniform in plus or minus one over the root of ``hidden_size``.

    Args:
        input_size (int): Features of the input.
        hidden_size (int): Features of the state.
        bias (bool): Whether there is a bias. Default: ``True``.
        nonlinearity (str or callable, optional): The function :math:`f`, or the name of one in ``treadle.nn``.
            Default: ``"tanh"``.
        num_layers (int): Layers one above the other; each takes the states of the one below. Default: ``1``.
        bidirectional (bool): Each layer also has weights for the way from the last step to the first, and gives both
            states side by side. Default: ``False``.

    With more than one layer or direction the first states are ``(num_layers * directions, ..., hidden_size)``.
    """

    _names = ("Wxh", "Whh", "bias")
    _init = staticmethod(_nn.rnn_init)

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity=None, num_layers=1, bidirectional=False):
        super().__init__(input_size, hidden_size, bias, num_layers, bidirectional)
        # A layer without parameters is an empty dict, which is false.
        f = "tanh" if nonlinearity is None else nonlinearity
        if isinstance(f, str) and (f := getattr(activations, f, None)) is None:
            raise ValueError(f"[RNN] nonlinearity is {nonlinearity!r}; expected the name of an activation function.")
        self.nonlinearity = activations.check_function(f, "[RNN] nonlinearity")

    def __call__(self, x, hidden=None):
        return _nn.rnn(x, self._weights(), hidden, self.bidirectional, self.nonlinearity)

    def _extra_repr(self):
        name = getattr(self.nonlinearity, "__name__", type(self.nonlinearity).__name__)
        return super()._extra_repr().replace(", bias=", f", nonlinearity={name}, bias=", 1)


class GRU(_Recurrent):
    r"""A gated recurrent unit. (Cho et al. 2014)

    .. math::

        r_t, z_t &= \sigma(W_x x_t + W_h h_{t-1} + b) \\
        n_t &= \tanh(W_x x_t + b + r_t \odot (W_h h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    ``Wx`` ``(3 * hidden_size, input_size)``, ``Wh`` ``(3 * hidden_size, hidden_size)`` and ``b``
    ``(3 * hidden_size,)`` hold r, z and n below each other; ``bhn`` ``(hidden_size,)``.

    Args: As those of :class:`RNN`, which also says what the call takes and returns.
    """

    _names = ("Wx", "Wh", "b", "bhn")
    _init = staticmethod(_nn.gru_init)

    def __init__(self, input_size, hidden_size, bias=True, num_layers=1, bidirectional=False):
        super().__init__(input_size, hidden_size, bias, num_layers, bidirectional)

    def __call__(self, x, hidden=None):
        return _nn.gru(x, self._weights(), hidden, self.bidirectional)


class LSTM(_Recurrent):
    r"""Long short-term memory. (Hochreiter & Schmidhuber 1997)

    .. math::

        i_t, f_t, o_t &= \sigma(W_x x_t + W_h h_{t-1} + b) \\
        g_t &= \tanh(W_x x_t + W_h h_{t-1} + b) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t)

    ``Wx`` ``(4 * hidden_size, input_size)``, ``Wh`` ``(4 * hidden_size, hidden_size)`` and ``bias``
    ``(4 * hidden_size,)`` hold i, f, g and o below each other. The call takes the first hidden and the first cell
    state, and returns the hidden and the cell states of all steps.

    Args: As those of :class:`RNN`, which also says what the call takes.
    """

    _names = ("Wx", "Wh", "bias")
    _init = staticmethod(_nn.lstm_init)

    def __init__(self, input_size, hidden_size, bias=True, num_layers=1, bidirectional=False):
        super().__init__(input_size, hidden_size, bias, num_layers, bidirectional)

    def __call__(self, x, hidden=None, cell=None):
        return _nn.lstm(x, self._weights(), hidden, cell, self.bidirectional)
