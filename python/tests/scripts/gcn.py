"""A graph convolutional network on a graph of communities, with dropout and early stopping; prints losses."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.nn.losses import cross_entropy


class GCNLayer(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias)

    def __call__(self, x, adj):
        return mx.matmul(adj, self.linear(x))


class GCN(nn.Module):
    def __init__(self, x_dim, h_dim, out_dim, nb_layers=2, dropout=0.5, bias=True):
        super().__init__()
        sizes = [x_dim] + [h_dim] * nb_layers + [out_dim]
        self.gcn_layers = [GCNLayer(i, o, bias) for i, o in zip(sizes[:-1], sizes[1:])]  # noqa: B905
        self.dropout = nn.Dropout(p=dropout)

    def __call__(self, x, adj):
        for layer in self.gcn_layers[:-1]:
            x = nn.relu(layer(x, adj))
            x = self.dropout(x)
        return self.gcn_layers[-1](x, adj)


def graph(nodes=120, classes=4, features=16):
    random = np.random.default_rng(5)
    labels = random.integers(0, classes, nodes)
    likely = np.where(labels[:, None] == labels[None], 0.15, 0.01)
    adjacency = np.triu(random.random((nodes, nodes)) < likely, 1)
    adjacency = adjacency + adjacency.T + np.eye(nodes)
    degrees = adjacency.sum(1) ** -0.5
    normalized = degrees[:, None] * adjacency * degrees[None]
    x = np.eye(classes, features)[labels] + random.standard_normal((nodes, features))
    return x.astype(np.float32), labels.astype(np.int32), normalized.astype(np.float32)


def loss_fn(y_hat, y, weight_decay=0.0, parameters=None):
    loss = mx.mean(cross_entropy(y_hat, y))
    if weight_decay != 0.0:
        loss += weight_decay * sum(mx.sum(layer["linear"]["weight"] ** 2) for layer in parameters["gcn_layers"])
    return loss


def eval_fn(y_hat, y):
    return mx.mean(mx.argmax(y_hat, axis=1) == y)


def forward_fn(gcn, x, adj, y, train_mask, weight_decay):
    y_hat = gcn(x, adj)
    return loss_fn(y_hat[train_mask], y[train_mask], weight_decay, gcn.trainable_parameters()), y_hat


def main():
    mx.random.seed(2)
    x, y, adj = map(mx.array, graph())
    train_mask, val_mask = mx.arange(60), mx.arange(60, 120)
    gcn = GCN(x.shape[-1], 16, 4)
    mx.eval(gcn.parameters())
    optimizer = optim.Adam(learning_rate=1e-2)
    loss_and_grad_fn = nn.value_and_grad(gcn, forward_fn)

    best, patience = float("inf"), 0
    for epoch in range(40):
        gcn.train()
        (loss, y_hat), grads = loss_and_grad_fn(gcn, x, adj, y, train_mask, 5e-4)
        optimizer.update(gcn, grads)
        mx.eval(gcn.parameters(), optimizer.state)

        gcn.eval()
        y_hat = gcn(x, adj)
        val_loss = loss_fn(y_hat[val_mask], y[val_mask])
        accuracy = eval_fn(y_hat[val_mask], y[val_mask])
        if epoch % 4 == 0:
            print(f"epoch {epoch} loss {loss.item():.5f} val {val_loss.item():.5f} accuracy {accuracy.item():.4f}")
        best, patience = (val_loss.item(), 0) if val_loss.item() < best else (best, patience + 1)
        if patience > 10:
            break
    print(f"best {best:.5f}")


if __name__ == "__main__":
    main()
