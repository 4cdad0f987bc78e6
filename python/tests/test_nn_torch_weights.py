"""Weights in PyTorch's names and layouts, made with NumPy, against the formulas of its layers."""

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def check(got, expected):
    np.testing.assert_allclose(np.array(got), expected, rtol=2e-5, atol=5e-6)


def test_a_convolution_in_channels_first_order():
    w, b, x = normal(4, 3, 2, 3), normal(4), normal(1, 5, 6, 3)
    layer = nn.Conv2d(3, 4, (2, 3)).load_torch_state_dict({"weight": w, "bias": b})
    expected = np.empty((1, 4, 4, 4), np.float32)
    for i in range(4):
        for j in range(4):
            window = x[0, i : i + 2, j : j + 3]  # (2, 3, C)
            expected[0, i, j] = np.einsum("hwc,ochw->o", window, w) + b
    check(layer(mx.array(x)), expected)


def test_a_transposed_convolution_with_inputs_in_front():
    w, x = normal(2, 3, 4), normal(1, 5, 2)  # PyTorch: (I, O, K)
    layer = nn.ConvTranspose1d(2, 3, 4, bias=False).load_torch_state_dict({"weight": w})
    expected = np.zeros((1, 8, 3), np.float32)
    for t in range(5):
        expected[0, t : t + 4] += np.einsum("i,iok->ko", x[0, t], w)
    check(layer(mx.array(x)), expected)


def test_a_bilinear_layer():
    w, x1, x2 = normal(4, 2, 3), normal(5, 2), normal(5, 3)  # PyTorch: (O, I1, I2)
    layer = nn.Bilinear(2, 3, 4, bias=False).load_torch_state_dict({"weight": w})
    check(layer(mx.array(x1), mx.array(x2)), np.einsum("ni,oij,nj->no", x1, w, x2))


def recurrent(gates, inputs, hidden, ending="_l0"):
    return {
        f"weight_ih{ending}": normal(gates * hidden, inputs),
        f"weight_hh{ending}": normal(gates * hidden, hidden),
        f"bias_ih{ending}": normal(gates * hidden),
        f"bias_hh{ending}": normal(gates * hidden),
    }


def products(w, x, h, ending="_l0"):
    return (
        x @ w[f"weight_ih{ending}"].T + w[f"bias_ih{ending}"],
        h @ w[f"weight_hh{ending}"].T + w[f"bias_hh{ending}"],
    )


def test_an_lstm():
    w, xs = recurrent(4, 3, 2), normal(4, 3)
    layer = nn.LSTM(3, 2).load_torch_state_dict(w)
    h, c, hs = np.zeros(2, np.float32), np.zeros(2, np.float32), []
    for x in xs:
        i, f, g, o = np.split(sum(products(w, x, h)), 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
    check(layer(mx.array(xs))[0], np.stack(hs))


def test_a_gru_keeps_the_bias_inside_of_its_reset_gate():
    w, xs = recurrent(3, 3, 2), normal(4, 3)
    layer = nn.GRU(3, 2).load_torch_state_dict(w)
    h, hs = np.zeros(2, np.float32), []
    for x in xs:
        (ir, iz, in_), (hr, hz, hn) = (np.split(p, 3) for p in products(w, x, h))
        r, z = sigmoid(ir + hr), sigmoid(iz + hz)
        h = (1 - z) * np.tanh(in_ + r * hn) + z * h
        hs.append(h)
    check(layer(mx.array(xs)), np.stack(hs))


def test_layers_and_directions_of_an_rnn():
    endings = {"_l0": 3, "_l0_reverse": 3, "_l1": 4, "_l1_reverse": 4}
    w = {k: v for ending, inputs in endings.items() for k, v in recurrent(1, inputs, 2, ending).items()}
    layer = nn.RNN(3, 2, num_layers=2, bidirectional=True).load_torch_state_dict(w)
    below = xs = normal(5, 3)
    for number in range(2):
        both = []
        for ending, order in ((f"_l{number}", 1), (f"_l{number}_reverse", -1)):
            h, hs = np.zeros(2, np.float32), []
            for x in below[::order]:
                h = np.tanh(sum(products(w, x, h, ending)))
                hs.append(h)
            both.append(np.stack(hs)[::order])
        below = np.concatenate(both, -1)
    check(layer(mx.array(xs)), below)


def test_attention_with_joined_projections():
    dims, heads = 6, 2
    w = {
        "in_proj_weight": normal(18, 6),
        "in_proj_bias": normal(18),
        "out_proj.weight": normal(6, 6),
        "out_proj.bias": normal(6),
    }
    layer, x = nn.MultiHeadAttention(dims, heads, bias=True).load_torch_state_dict(w), normal(4, 6)
    q, k, v = (
        p.reshape(4, heads, 3).transpose(1, 0, 2)
        for p in np.split(x @ w["in_proj_weight"].T + w["in_proj_bias"], 3, axis=-1)
    )
    scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(3))
    y = (scores / scores.sum(-1, keepdims=True)) @ v
    y = y.transpose(1, 0, 2).reshape(4, 6) @ w["out_proj.weight"].T + w["out_proj.bias"]
    check(layer(*[mx.array(x)[None]] * 3)[0], y)


def test_names_of_models_are_translated():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm(3), nn.Sequential(nn.PReLU()))
            self.heads = [nn.Linear(3, 2), nn.Embedding(4, 3)]

    w = {
        "body.0.weight": normal(3, 2, 3),
        "body.0.bias": normal(3),
        "body.1.weight": normal(3),
        "body.1.bias": normal(3),
        "body.1.running_mean": normal(3),
        "body.1.running_var": normal(3) ** 2,
        "body.1.num_batches_tracked": np.array(7),
        "body.2.0.weight": normal(1),
        "heads.0.weight": normal(2, 3),
        "heads.0.bias": normal(2),
        "heads.1.weight": normal(4, 3),
    }
    net = Net().load_torch_state_dict(w)
    check(net.body.layers[1].running_var, w["body.1.running_var"])
    check(net.body.layers[2].layers[0].weight, w["body.2.0.weight"])
    check(net.heads[1].weight, w["heads.1.weight"])
    check(net.body.layers[0].weight, w["body.0.weight"].swapaxes(1, 2))


def test_a_transformer_layer_has_all_its_parameters():
    layer = nn.TransformerEncoderLayer(4, 2, 6)
    w = {
        "self_attn.in_proj_weight": normal(12, 4),
        "self_attn.out_proj.weight": normal(4, 4),
        "linear1.weight": normal(6, 4),
        "linear1.bias": normal(6),
        "linear2.weight": normal(4, 6),
        "linear2.bias": normal(4),
        "norm1.weight": normal(4),
        "norm1.bias": normal(4),
        "norm2.weight": normal(4),
        "norm2.bias": normal(4),
    }
    layer.load_torch_state_dict(w)
    check(layer.attention.key_proj.weight, w["self_attn.in_proj_weight"][4:8])
    check(layer.ln2.bias, w["norm2.bias"])
    assert len(tree_flatten(layer.parameters())) == 12


def test_wrong_names_and_shapes_are_listed():
    layer = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"1 names have no place in the model: 0\.scale"):
        layer.load_torch_state_dict({"0.weight": normal(3, 2), "0.bias": normal(3), "0.scale": normal(3)})
    with pytest.raises(ValueError, match=r"(?s)Missing 1 parameters.*layers\.0\.bias"):
        layer.load_torch_state_dict({"0.weight": normal(3, 2)})
    with pytest.raises(ValueError, match="Expected shape"):
        layer.load_torch_state_dict({"0.weight": normal(2, 3), "0.bias": normal(3)})
    w = normal(3, 2)
    check(layer.load_torch_state_dict({"0.weight": w, "other": normal(1)}, strict=False).layers[0].weight, w)


def test_biases_that_an_attention_does_not_have_are_listed():
    w = {"in_proj_weight": normal(18, 6), "in_proj_bias": normal(18)}
    w |= {"out_proj.weight": normal(6, 6), "out_proj.bias": normal(6)}
    with pytest.raises(ValueError, match="2 names have no place in the model: in_proj_bias, out_proj.bias"):
        nn.MultiHeadAttention(6, 2).load_torch_state_dict(w)


def test_subclasses_and_what_they_add_are_known():
    class Conv(nn.Conv2d):
        def __init__(self):
            super().__init__(2, 3, 1, bias=False)
            self.gains = [mx.ones(3), mx.ones(1)]
            self.mixed = [nn.Linear(1, 1, bias=False), mx.ones(2)]

    class Cell(nn.GRU):
        def __init__(self):
            super().__init__(2, 1)
            self.scale = mx.ones(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.cell = Conv(), Cell()

    w = {"conv.weight": normal(3, 2, 1, 1), "conv.gains.0": normal(3), "conv.gains.1": normal(1)}
    w |= {"conv.mixed.0.weight": normal(1, 1), "conv.mixed.1": normal(2), "cell.scale": normal(1)}
    w |= {f"cell.{k}": v for k, v in recurrent(3, 2, 1).items()}
    net = Net().load_torch_state_dict(w)
    check(net.conv.weight, w["conv.weight"].transpose(0, 2, 3, 1))
    check(net.conv.gains[1], w["conv.gains.1"])
    check(net.conv.mixed[1], w["conv.mixed.1"])
    check(net.cell.scale, w["cell.scale"])
    check(net.cell.bhn, w["cell.bias_hh_l0"][2:])


def test_entries_that_are_no_arrays_are_left_alone():
    class Unknown:
        pass

    w, b = normal(3, 2), normal(3)
    layer = nn.Linear(2, 3).load_torch_state_dict({"weight": w, "bias": b, "_extra_state": Unknown()}, strict=False)
    check(layer.weight, w)
    with pytest.raises(ValueError, match="_extra_state"):
        layer.load_torch_state_dict({"weight": w, "bias": b, "_extra_state": Unknown()})
