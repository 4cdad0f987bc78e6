"""The calls that users of MLX's nn are taught: every layer, loss and initializer as it is usually written.

tests/nn/reference_test.cpp says the same in C++.
"""

import numpy as np
import pytest

import treadle.core as mx
import treadle.nn as nn
from treadle.utils import tree_flatten


class Mixer(nn.Module):
    def __init__(self, in_dims: int, out_dims: int):
        super().__init__()
        self.linear = nn.Linear(in_dims, out_dims)
        self.norm = nn.RMSNorm(out_dims)

    def __call__(self, x: mx.array) -> mx.array:
        return self.norm(self.linear(x))


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [Mixer(8, 6), Mixer(6, 4)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_modules_in_lists_are_children():
    model = Tower()
    assert model(mx.zeros((2, 8))).shape == (2, 4)
    names = [k for k, _ in tree_flatten(model.parameters())]
    assert names[:3] == ["layers.0.linear.weight", "layers.0.linear.bias", "layers.0.norm.weight"]
    assert isinstance(model, dict) and isinstance(model.parameters(), dict)
    assert list(model.children()) == ["layers"] and len(model.children()["layers"]) == 2
    assert [type(m).__name__ for m in model.leaf_modules()["layers"][0].values()] == ["Linear", "RMSNorm"]
    assert model.state["layers"] is model.layers


def test_sequential_composes():
    encoder = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    assert encoder(mx.zeros((5, 12))).shape == (5, 3)


def test_freezing_all_but_what_a_name_says():
    model = Tower()
    model.layers[0].lora_a = nn.Linear(8, 2)
    model.freeze()
    assert not tree_flatten(model.trainable_parameters())
    model.apply_to_modules(lambda k, m: m.unfreeze() if "lora" in k else None)
    trainable = model.trainable_parameters()
    assert [k for k, _ in tree_flatten(trainable)] == ["layers.0.lora_a.weight", "layers.0.lora_a.bias"]
    model.unfreeze()
    assert len(tree_flatten(model.trainable_parameters())) == len(tree_flatten(model.parameters()))


def test_parameters_are_updated_converted_and_exchanged_with_files(tmp_path):
    model, other = Tower(), Tower()
    model.update({"layers": [{"linear": {"bias": mx.ones((6,))}}]})
    assert model.layers[0].linear.bias.tolist() == [1] * 6
    path = str(tmp_path / "model.safetensors")
    model.save_weights(path)
    other.load_weights(path)
    assert mx.array_equal(other.layers[0].linear.weight, model.layers[0].linear.weight)
    model.set_dtype(mx.bfloat16)
    assert {v.dtype for _, v in tree_flatten(model.parameters())} == {mx.bfloat16}


def test_initializers_take_the_shape_of_a_weight():
    model = Tower()
    before = np.array(model.layers[1].norm.weight)

    def init_weights(key, module):
        assert key == "" or key.startswith("layers")
        if isinstance(module, nn.Linear):
            init_fn = nn.init.he_normal()
            module.weight = init_fn(module.weight.shape)
            module.bias = mx.full(module.bias.shape, 7.0)

    assert model.apply_to_modules(init_weights) is model
    assert model.layers[1].linear.bias.tolist() == [7] * 4
    assert np.array_equal(np.array(model.layers[1].norm.weight), before)


B, T, C = 2, 6, 4


def image(channels):
    return mx.random.normal((B, 5, 6, channels))


LAYERS = [
    (lambda: nn.Linear(C, 3), lambda: mx.zeros((B, C)), (B, 3)),
    (lambda: nn.Linear(C, 3, bias=False), lambda: mx.zeros((B, C)), (B, 3)),
    (lambda: nn.Conv1d(C, 3, 3, stride=1, padding=0), lambda: mx.zeros((B, T, C)), (B, 4, 3)),
    (lambda: nn.Conv2d(C, 3, 3, stride=2, padding=1), lambda: image(C), (B, 3, 3, 3)),
    (lambda: nn.Conv3d(C, 3, 2), lambda: mx.zeros((B, 3, 4, 5, C)), (B, 2, 3, 4, 3)),
    (lambda: nn.ConvTranspose1d(C, 3, 3), lambda: mx.zeros((B, T, C)), (B, 8, 3)),
    (lambda: nn.ConvTranspose2d(C, 3, 3), lambda: image(C), (B, 7, 8, 3)),
    (lambda: nn.ConvTranspose3d(C, 3, 2), lambda: mx.zeros((B, 2, 2, 2, C)), (B, 3, 3, 3, 3)),
    (lambda: nn.LayerNorm(C, eps=1e-5), lambda: mx.zeros((B, T, C)), (B, T, C)),
    (lambda: nn.RMSNorm(C, eps=1e-5), lambda: mx.zeros((B, T, C)), (B, T, C)),
    (lambda: nn.BatchNorm(C, eps=1e-5, momentum=0.1), lambda: image(C), (B, 5, 6, C)),
    (lambda: nn.GroupNorm(2, C, eps=1e-5), lambda: image(C), (B, 5, 6, C)),
    (lambda: nn.InstanceNorm(C, eps=1e-5), lambda: image(C), (B, 5, 6, C)),
    (lambda: nn.MaxPool1d(2, stride=None, padding=0), lambda: mx.zeros((B, T, C)), (B, 3, C)),
    (lambda: nn.MaxPool2d(2), lambda: image(C), (B, 2, 3, C)),
    (lambda: nn.MaxPool3d(2), lambda: mx.zeros((B, 4, 4, 4, C)), (B, 2, 2, 2, C)),
    (lambda: nn.AvgPool1d(2), lambda: mx.zeros((B, T, C)), (B, 3, C)),
    (lambda: nn.AvgPool2d(2), lambda: image(C), (B, 2, 3, C)),
    (lambda: nn.AvgPool3d(2), lambda: mx.zeros((B, 4, 4, 4, C)), (B, 2, 2, 2, C)),
    (lambda: nn.Dropout(p=0.5), lambda: mx.zeros((B, C)), (B, C)),
    (lambda: nn.Dropout2d(p=0.5), lambda: image(C), (B, 5, 6, C)),
    (lambda: nn.Dropout3d(p=0.5), lambda: mx.zeros((B, 2, 2, 2, C)), (B, 2, 2, 2, C)),
    (lambda: nn.RNN(C, 3, bias=True, nonlinearity="tanh"), lambda: mx.zeros((B, T, C)), (B, T, 3)),
    (lambda: nn.GRU(C, 3, bias=True), lambda: mx.zeros((T, C)), (T, 3)),
    (lambda: nn.TransformerEncoder(2, C, 2), lambda: mx.zeros((B, T, C)), (B, T, C)),
    (lambda: nn.TransformerEncoderLayer(C, 2), lambda: mx.zeros((B, T, C)), (B, T, C)),
    (lambda: nn.Embedding(9, C), lambda: mx.array([[1, 2, 8]]), (1, 3, C)),
    (lambda: nn.RoPE(C, traditional=False, base=10000), lambda: mx.zeros((B, 2, T, C)), (B, 2, T, C)),
    (lambda: nn.SinusoidalPositionalEncoding(C), lambda: mx.arange(T), (T, C)),
    (lambda: nn.ALiBi(), lambda: mx.zeros((B, 2, T, T)), (B, 2, T, T)),
    (lambda: nn.Identity(), lambda: mx.zeros((B, C)), (B, C)),
    (lambda: nn.Upsample(2, mode="nearest"), lambda: image(C), (B, 10, 12, C)),
    (lambda: nn.Upsample(scale_factor=(2, 1), mode="linear"), lambda: image(C), (B, 10, 6, C)),
]


@pytest.mark.parametrize("layer, x, shape", LAYERS, ids=[str(i) for i in range(len(LAYERS))])
def test_layers_are_made_and_called(layer, x, shape):
    y = layer()(x())
    assert y.shape == shape and np.isfinite(np.array(y)).all()


def test_layers_of_several_inputs_and_results():
    x = mx.zeros((B, T, C))
    assert nn.Bilinear(C, 3, 5)(x, mx.zeros((B, T, 3))).shape == (B, T, 5)
    hidden, cell = nn.LSTM(C, 3, bias=True)(x)
    assert hidden.shape == cell.shape == (B, T, 3)
    assert nn.MultiHeadAttention(C, 2)(x, x, x).shape == (B, T, C)
    assert nn.TransformerDecoder(1, C, 2)(x, x).shape == (B, T, C)
    assert nn.TransformerDecoderLayer(C, 2)(x, x).shape == (B, T, C)
    assert nn.Transformer(C, 2, 1, 1)(x, x).shape == (B, T, C)
    table = nn.Embedding(9, C)
    assert mx.allclose(table.as_linear(x + 1), (x + 1) @ table.weight.T)


ACTIVATIONS = [
    ("ReLU", "relu", ()),
    ("LeakyReLU", "leaky_relu", (0.02,)),
    ("ELU", "elu", (1.5,)),
    ("CELU", "celu", (1.5,)),
    ("SELU", "selu", ()),
    ("ReLU6", "relu6", ()),
    ("SiLU", "silu", ()),
    ("Mish", "mish", ()),
    ("Sigmoid", "sigmoid", ()),
    ("Tanh", "tanh", ()),
    ("Hardswish", "hardswish", ()),
    ("Hardshrink", "hardshrink", (0.4,)),
    ("Softshrink", "softshrink", (0.4,)),
    ("Softplus", "softplus", (2, 10)),
    ("Softsign", "softsign", ()),
    ("Softmax", "softmax", ()),
    ("Softmin", "softmin", ()),
    ("LogSoftmax", "log_softmax", ()),
    ("LogSigmoid", "log_sigmoid", ()),
    ("GLU", "glu", (-1,)),
    ("Step", "step", (0.3,)),
    ("Hardtanh", "hardtanh", (-0.5, 0.25)),
    ("GELU", "gelu", ()),
]


@pytest.mark.parametrize("layer, function, args", ACTIVATIONS, ids=[a[0] for a in ACTIVATIONS])
def test_activations_are_layers_and_functions(layer, function, args):
    x = mx.random.normal((3, 8))
    assert mx.array_equal(getattr(nn, layer)(*args)(x), getattr(nn, function)(x, *args))


def test_other_spellings_of_activations():
    x = mx.random.normal((3, 8))
    assert mx.array_equal(nn.GELU(approx="none")(x), nn.gelu(x))
    assert mx.array_equal(nn.Softplus(beta=1, threshold=20)(x), nn.softplus(x))
    assert mx.array_equal(nn.PReLU(num_parameters=1)(x), nn.prelu(x, mx.array([0.25])))
    assert mx.softmax(x.astype(mx.float16), -1, precise=True).dtype == mx.float16


def losses():
    a, b = mx.random.normal((5, 3)), mx.random.normal((5, 3))
    classes, signs = mx.array([0, 2, 1, 1, 0]), mx.where(b > 0, 1.0, -1.0)
    log_a, log_b = nn.log_softmax(a), nn.log_softmax(b)
    n = nn.losses
    return {
        "cross_entropy": lambda **k: n.cross_entropy(a, classes, **k),
        "cross_entropy smoothed": lambda **k: n.cross_entropy(a, classes, label_smoothing=0.1, **k),
        "cross_entropy weighted": lambda **k: n.cross_entropy(a, classes, weights=mx.array([1.0, 2.0, 3.0]), **k),
        "cross_entropy ignoring": lambda **k: n.cross_entropy(a, classes, ignore_index=1, **k),
        "binary_cross_entropy": lambda **k: n.binary_cross_entropy(logits=a, targets=mx.sigmoid(b), **k),
        "binary_cross_entropy of probabilities": lambda **k: n.binary_cross_entropy(
            mx.sigmoid(a), mx.sigmoid(b), with_logits=False, **k
        ),
        "l1_loss": lambda **k: n.l1_loss(a, b, **k),
        "mse_loss": lambda **k: n.mse_loss(a, b, **k),
        "nll_loss": lambda **k: n.nll_loss(log_a, classes, **k),
        "gaussian_nll_loss": lambda **k: n.gaussian_nll_loss(a, b, mx.square(b) + 0.1, **k),
        "kl_div_loss": lambda **k: n.kl_div_loss(log_a, log_b, **k),
        "smooth_l1_loss": lambda **k: n.smooth_l1_loss(a, b, beta=0.5, **k),
        "triplet_loss": lambda **k: n.triplet_loss(a, b, a + b, **k),
        "hinge_loss": lambda **k: n.hinge_loss(a, signs, **k),
        "huber_loss": lambda **k: n.huber_loss(a, b, delta=0.5, **k),
        "log_cosh_loss": lambda **k: n.log_cosh_loss(a, b, **k),
        "cosine_similarity_loss": lambda **k: n.cosine_similarity_loss(a, b, **k),
        "margin_ranking_loss": lambda **k: n.margin_ranking_loss(a, b, signs, **k),
    }


@pytest.mark.parametrize("name", losses())
def test_losses_reduce_as_they_are_told(name):
    loss = losses()[name]
    each = loss()
    assert each.ndim >= 1 and mx.array_equal(each, loss(reduction="none"))
    np.testing.assert_allclose(loss(reduction="sum").item(), np.array(each).sum(), rtol=1e-5, atol=1e-6)
    if "ignoring" not in name:
        np.testing.assert_allclose(loss(reduction="mean").item(), each.mean().item(), rtol=1e-5, atol=1e-6)


INITIALIZERS = {
    "constant": lambda: nn.init.constant(0.5, mx.float32),
    "normal": lambda: nn.init.normal(mean=0, std=1, dtype=mx.float16),
    "uniform": lambda: nn.init.uniform(low=0, high=1),
    "identity": lambda: nn.init.identity(),
    "glorot_normal": lambda: nn.init.glorot_normal(),
    "glorot_uniform": lambda: nn.init.glorot_uniform(mx.bfloat16),
    "he_normal": lambda: nn.init.he_normal(),
    "he_uniform": lambda: nn.init.he_uniform(),
    "sparse": lambda: nn.init.sparse(0.25, mean=0, std=1),
    "orthogonal": lambda: nn.init.orthogonal(gain=1.0),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_take_an_array_or_a_shape(name):
    init_fn = INITIALIZERS[name]()
    for like in (mx.zeros((8, 8)), (8, 8), [8, 8]):
        assert init_fn(like).shape == (8, 8)
    assert init_fn((8, 8)).dtype == {"normal": mx.float16, "glorot_uniform": mx.bfloat16}.get(name, mx.float32)
