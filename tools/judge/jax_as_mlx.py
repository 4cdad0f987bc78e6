"""JAX under MLX's names, for float64. A name that is missing here takes the lines that use it out of the programs."""

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

float64, float32, float16, bfloat16, int32, bool_ = (
    jnp.dtype(name) for name in ("float64", "float32", "float16", "bfloat16", "int32", "bool")
)
inf, nan, pi = np.inf, np.nan, np.pi


class ArrayType(type):
    def __instancecheck__(cls, x):
        return isinstance(x, jax.Array)

    def __call__(cls, value, dtype=None):
        if dtype is None and not isinstance(value, jax.Array | np.ndarray):
            kind = np.asarray(value).dtype.kind
            dtype = {"f": float32, "i": int32, "b": bool_}[kind]
        return jnp.asarray(value, dtype)


class array(metaclass=ArrayType):
    pass


def eval(*trees):
    jax.block_until_ready(trees)


def of_float64(function):
    """Other dtypes are promoted by other rules than MLX's."""

    def f(*args, **kwargs):
        for x in args:
            if isinstance(x, jax.Array) and x.dtype != float64:
                raise TypeError(f"{x.dtype} is not judged by JAX")
        return function(*args, **kwargs)

    return f


FLOATS = """
    exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees
    radians sqrt square reciprocal floor ceil round logaddexp arctan2 power mean std var sum prod cumsum cumprod median
    matmul inner tensordot outer kron trace negative sign abs isnan isinf isfinite isposinf isneginf nan_to_num add
    subtract multiply divide remainder floor_divide convolve
"""
ANY = """
    less less_equal greater greater_equal equal not_equal logical_and logical_or logical_xor logical_not where clip
    max min all any sort reshape transpose swapaxes moveaxis expand_dims squeeze broadcast_to
    concatenate stack split flip roll repeat tile take take_along_axis tril triu diagonal diag zeros_like ones_like
    isclose
"""
for _name in FLOATS.split():
    globals()[_name] = of_float64(getattr(jnp, _name))
for _name in ANY.split():
    globals()[_name] = getattr(jnp, _name)


def indices(function):
    return lambda *args, **kwargs: function(*args, **kwargs).astype(jnp.uint32)


argmax, argmin, argsort, searchsorted = map(indices, (jnp.argmax, jnp.argmin, jnp.argsort, jnp.searchsorted))

stop_gradient = jax.lax.stop_gradient
sigmoid = of_float64(jax.nn.sigmoid)
erf = of_float64(jax.scipy.special.erf)
erfinv = of_float64(jax.scipy.special.erfinv)
rsqrt = of_float64(jax.lax.rsqrt)
softmax = of_float64(jax.nn.softmax)
logsumexp = of_float64(jax.scipy.special.logsumexp)


@of_float64
def maximum(a, b):
    return jnp.where((a > b) | jnp.isnan(a), a, b)


@of_float64
def minimum(a, b):
    return jnp.where((a < b) | jnp.isnan(a), a, b)


def running(function):
    @of_float64
    def f(x, axis, reverse=False, inclusive=True):
        if not inclusive:
            raise AttributeError("exclusive")
        return function(x, axis=axis, reverse=reverse)

    return f


cumsum, cumprod, cummax, cummin, logcumsumexp = (
    running(getattr(jax.lax, name)) for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
)


def flatten(x):
    return x.reshape(-1)


def atleast_2d(x):
    return jnp.atleast_2d(x)


def contiguous(x):
    return x


def unflatten(x, axis, shape):
    return x.reshape(*x.shape[:axis], *shape, *x.shape[axis + 1 :])


def addmm(c, a, b, alpha=1.0, beta=1.0):
    return beta * c + alpha * (a @ b)


def slice_update(x, update, start, axes):
    return jax.lax.dynamic_update_slice(x, update, tuple(start))


class fast:
    @staticmethod
    def rms_norm(x, weight, eps):
        y = x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + eps)
        return y if weight is None else y * weight

    @staticmethod
    def layer_norm(x, weight, bias, eps):
        y = (x - jnp.mean(x, -1, keepdims=True)) * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    @staticmethod
    def scaled_dot_product_attention(q, k, v, scale, mask=None):
        s = scale * (q @ jnp.swapaxes(k, -1, -2))
        if mask == "causal":
            n, m = s.shape[-2:]
            s = jnp.where(jnp.tril(jnp.ones((n, m), bool), m - n), s, -jnp.inf)
        return jax.nn.softmax(s) @ v


class linalg:
    @staticmethod
    def norm(x, ord=None, axis=None):
        return jnp.linalg.norm(x, ord, axis)


# ---- transforms ------------------------------------------------------------------------------------------------------


def grad(f, argnums=0):
    return jax.grad(f, argnums)


def value_and_grad(f, argnums=0):
    return jax.value_and_grad(f, argnums)


def vjp(f, primals, cotangents):
    out, back = jax.vjp(f, *primals)
    return [out], list(back(cotangents[0]))


def jvp(f, primals, tangents):
    out, tangent = jax.jvp(f, tuple(primals), tuple(tangents))
    return [out], [tangent]


def vmap(f, in_axes=0, out_axes=0):
    return jax.vmap(f, in_axes, out_axes)


def checkpoint(f):
    return jax.checkpoint(f)


def compile(f):
    return f
