"""Shared parts: loading a peer, numpy-seeded weights, small jax optimizers."""

import os
from importlib import import_module
from types import SimpleNamespace

import numpy as np

THREADS = int(os.environ.get("BENCH_THREADS", "2"))


def load_mlx():
    """`mlx` or any library with its module layout (MLX_IMPL=otherroot)."""
    root = os.environ.get("MLX_IMPL", "mlx")
    m = SimpleNamespace(
        core=import_module(f"{root}.core"),
        nn=import_module(f"{root}.nn"),
        optim=import_module(f"{root}.optimizers"),
        utils=import_module(f"{root}.utils"),
    )
    m.core.set_default_device(m.core.cpu)
    return m


def load_torch():
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    return torch


def load_jax():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    return jax


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(r, shape, scale):
    return (r.standard_normal(shape, dtype=np.float32) * np.float32(scale)).astype(np.float32)


def mlx_autocast(m, model, loss_fn):
    """The loss with products in bfloat16; MLX has no such thing."""
    if not hasattr(m.nn, "autocast"):
        raise SystemExit("no autocast")
    return m.nn.autocast(model, loss_fn, m.core.bfloat16)


def torch_autocast(torch, loss_fn):
    def cast(*args):
        with torch.autocast("cpu", torch.bfloat16):
            return loss_fn(*args)

    return cast


def mlx_train_step(m, model, opt, loss_fn, batch, compiled):
    """The step of the MLX docs: value_and_grad, optimizer.update, eval of the state."""
    mx, nn = m.core, m.nn
    opt.init(model.trainable_parameters())
    mx.eval(model.state, opt.state)
    vg = nn.value_and_grad(model, loss_fn)
    state = [model.state, opt.state]

    def body(*args):
        loss, grads = vg(model, *args)
        opt.update(model, grads)
        return loss

    fn = mx.compile(body, inputs=state, outputs=state) if compiled else body

    def step():
        loss = fn(*batch)
        mx.eval(loss, state)
        return loss

    return step, lambda loss: loss.item()


def torch_train_step(torch, model, opt, loss_fn, batch, compiled):
    fwd = torch.compile(loss_fn) if compiled else loss_fn

    def step():
        opt.zero_grad(set_to_none=True)
        loss = fwd(model, *batch)
        loss.backward()
        opt.step()
        return loss

    return step, lambda loss: loss.item()


def jax_train_step(jax, params, opt, loss_fn, batch, has_aux=False):
    """opt = (init, update(params, grads, state)); aux (e.g. running stats) is carried."""
    init, update = opt
    box = [params, init(params), None]

    def body(params, state, *batch):
        out, grads = jax.value_and_grad(loss_fn, has_aux=has_aux)(params, *batch)
        loss, aux = out if has_aux else (out, None)
        params, state = update(params, grads, state)
        return params, state, aux, loss

    fn = jax.jit(body, donate_argnums=(0, 1))

    def step():
        box[0], box[1], box[2], loss = fn(box[0], box[1], *batch)
        jax.block_until_ready((box[0], box[1], loss))
        return loss

    return step, float


def jax_sgd(jax, lr, momentum=0.0):
    tm, jnp = jax.tree.map, jax.numpy

    def init(p):
        return tm(jnp.zeros_like, p) if momentum else ()

    def update(p, g, s):
        if momentum:
            s = g = tm(lambda s, g: momentum * s + g, s, g)
        return tm(lambda p, g: p - lr * g, p, g), s

    return init, update


def jax_adamw(jax, lr, b1=0.9, b2=0.999, eps=1e-8, wd=0.01):
    tm, jnp = jax.tree.map, jax.numpy

    def init(p):
        return tm(jnp.zeros_like, p), tm(jnp.zeros_like, p), jnp.zeros((), jnp.float32)

    def update(p, g, s):
        m, v, t = s
        t = t + 1
        m = tm(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = tm(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
        c1, c2 = lr / (1 - b1**t), jax.lax.rsqrt(1 - b2**t)

        def upd(p, m, v):
            a, b = c1.astype(p.dtype), c2.astype(p.dtype)
            return p * (1 - lr * wd) - a * m / (jnp.sqrt(v) * b + eps)

        return tm(upd, p, m, v), (m, v, t)

    return init, update
