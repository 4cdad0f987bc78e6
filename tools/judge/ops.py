"""The op surface of the judge: what a line of a random program may say.

A template is a function of the generator (programs.Maker): it picks operands and returns the text of an expression, or
None when no operand fits. Lines whose value MLX refuses, or that leave the range, are thrown away by the generator.
An op is EXACT when every step of it is a correctly rounded IEEE operation, an operation on integers or a movement of
data: its bits do not depend on the kernel, so node by node and planned must agree in them.
"""

TEMPLATES = []  # (weight, exact, template)


def op(weight=1.0, exact=False):
    def add(template):
        TEMPLATES.append((weight, exact, template))
        return template

    return add


def each(names, text, weight=1.0, exact=False):
    """One template for each name; `text` is a function of the maker and the name."""
    for name in names.split():
        TEMPLATES.append((weight, exact, lambda g, name=name: text(g, name)))


# ---- elementwise -----------------------------------------------------------------------------------------------------

each(
    "negative abs sign square sqrt floor ceil round reciprocal isnan isinf isfinite isposinf isneginf nan_to_num "
    "stop_gradient zeros_like ones_like positive trunc logical_not",
    lambda g, n: f"m.{n}({g.pick('float')})",
    0.5,
    True,
)
each(
    "exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh sigmoid "
    "erf erfinv rsqrt degrees radians",
    lambda g, n: f"m.{n}({g.pick('float')})",
)
each("log sqrt rsqrt log2 log10", lambda g, n: f"m.{n}(m.abs({g.pick('float')}) + 0.5)")
each("exp expm1 arcsin arccos arctanh erfinv tan", lambda g, n: f"m.{n}(m.tanh({g.pick('float')}) * 0.9)")
each("exp sqrt log sin tanh", lambda g, n: f"m.{n}({g.pick('number')})", 0.5)
each("abs sign square negative bitwise_invert floor ceil", lambda g, n: f"m.{n}({g.pick('int')})", 0.4, True)
each(
    "abs exp sin cos tanh sqrt conj real imag square negative log reciprocal sinh cosh tan sigmoid expm1",
    lambda g, n: f"m.{n}({g.pick('complex')})",
    0.12,
)
each(
    "add subtract multiply maximum minimum",
    lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "number", "number"),
    2.5,
    True,
)
each("add multiply subtract divide", lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "complex", "any"), 0.2)
each(
    "less less_equal greater greater_equal isclose",
    lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "number", "number"),
    0.4,
    True,
)
each("equal not_equal", lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "whole", "any"), 0.2, True)
each(
    "logical_and logical_or logical_xor",
    lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "any", "any"),
    0.3,
    True,
)
each("bitwise_and bitwise_or bitwise_xor", lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "whole", "whole"), 0.4, True)
each("left_shift right_shift", lambda g, n: g.pair(f"m.{n}({{}}, m.abs({{}}) % 8)", "int", "int"), 0.4, True)
each("logaddexp arctan2", lambda g, n: g.pair(f"m.{n}({{}}, {{}})", "float", "number"))
each(
    "remainder floor_divide",
    lambda g, n: g.pair(f"m.{n}({{}}, m.maximum(m.abs({{}}), 1))", "number", "int"),
    0.5,
    True,
)


@op(exact=True)
def divide(g):
    return g.pair("{} / (m.abs({}) + 0.5)", "float", "number")


@op()
def power(g):
    return g.pair("m.power(m.abs({}) + 0.25, {})", "float", "number")


@op(0.5)
def float_remainder(g):
    return g.pair("m.{}({}, m.abs({}) + 0.5)".replace("{}", g.one("remainder floor_divide"), 1), "float", "float")


@op(0.5, exact=True)
def divmod_part(g):
    return g.pair("m.divmod({}, m.maximum(m.abs({}), 1))[" + g.one("0 1") + "]", "int", "int")


@op(2, exact=True)
def with_number(g):
    form = g.one("{} + 1.5;{} * 2;{} - 3;2 - {};{} * 0.75;{} / 4;{} / 3;{} ** 2;-{};{} + 1;{} * -1;0.5 + {}", ";")
    return form.format(g.pick("number"))


@op(0.7)
def power_of_number(g):
    return g.one("{} ** 3;m.abs({}) ** 0.5;m.abs({}) ** 1.7;m.power(2, {})", ";").format(g.pick("number"))


@op(1.5, exact=True)
def where(g):
    c = g.pick("bool")
    return c and g.pair(f"m.where({c}, {{}}, {{}})", "any", "any", also=c)


@op(exact=True)
def where_compare(g):
    a = g.pick("number")
    return a and g.pair(f"m.where({a} > {{}}, {{}}, {g.one('0 1.5 2')})", "number", "number", also=a)


@op(exact=True)
def clip(g):
    return f"m.clip({g.pick('number')}, {g.one('-1 0 None')}, {g.one('1 2.5 None')})"


@op(exact=True)
def cast(g):
    source = g.pick("any")
    dtype = g.one("float32 float32 float16 bfloat16 int32 bool_ float64")
    # Out of range, or from a fraction below 0 to unsigned, a cast to integers is not defined.
    return source and f"{source}.astype(m.{dtype})"


@op(0.5, exact=True)
def narrow_cast(g):
    source = g.pick("whole")
    return source and f"{source}.astype(m.{g.one('int8 uint8 int16 uint16 uint32 int64 uint64 int32 float32')})"


@op(0.3, exact=True)
def bits(g):
    x = g.pick("float32")
    return x and f"m.view(m.view({x}, m.int32) & 0x7ff, m.int32)"


@op(0.3)
def to_complex(g):
    return g.pair("{} + 1j * {}", "float32", "float32")


# ---- reductions ------------------------------------------------------------------------------------------------------

each("sum mean", lambda g, n: g.reduce(n, "number"), 1.5)
each("max min", lambda g, n: g.reduce(n, "number"), 1.0, True)
each("prod logsumexp std var", lambda g, n: g.reduce(n, "float"), 0.8)
each("sum prod", lambda g, n: g.reduce(n, "int"), 0.4, True)
each("all any count_nonzero", lambda g, n: g.reduce(n, "any"), 0.3, True)
each("sum mean prod", lambda g, n: g.reduce(n, "complex"), 0.1)
each("argmax argmin", lambda g, n: g.along(n, "number"), 0.7, True)
each("softmax", lambda g, n: g.along(n, "float"), 1.5)
each("cumsum cumprod logcumsumexp", lambda g, n: g.running(n, "float"), 0.6)
each("cummax cummin", lambda g, n: g.running(n, "number"), 0.5, True)
each("cumsum cumprod", lambda g, n: g.running(n, "int"), 0.3, True)
each("sort argsort", lambda g, n: g.along(n, "number"), 0.7, True)
each("median", lambda g, n: g.along(n, "float"), 0.3)


@op(0.5)
def var_ddof(g):
    x, axis = g.pick_axis("float", 2)
    return x and f"m.{g.one('var std')}({x}, axis={axis}, ddof=1)"


@op(0.4, exact=True)
def topk(g):
    x, axis = g.pick_axis("number", 1)
    return x and f"m.sort(m.topk({x}, {g.rng.randint(1, g.shape(x)[axis])}, axis={axis}), axis={axis})"


@op(0.4, exact=True)
def partition(g):
    x, axis = g.pick_axis("number", 1)
    if not x:
        return None
    kth = g.rng.randrange(g.shape(x)[axis])
    return f"m.take(m.partition({x}, {kth}, axis={axis}), {kth}, axis={axis})"


@op(0.4, exact=True)
def minmax(g):
    x, axis = g.pick_axis("float", 1)
    return x and f"m.max({x}, axis={axis}, keepdims=True) - m.min({x}, axis={axis}, keepdims=True)"


@op(0.6)
def normalise_by_hand(g):
    x, axis = g.pick_axis("float", 2)
    form = (
        "({0} - m.mean({0}, axis={1}, keepdims=True)) * m.rsqrt(m.var({0}, axis={1}, keepdims=True) + 0.1)",
        "m.exp({0} - m.logsumexp({0}, axis={1}, keepdims=True))",
        "{0} / m.sqrt(m.sum({0} * {0}, axis={1}, keepdims=True) + 0.1)",
        "{0} - m.max({0}, axis={1}, keepdims=True)",
    )
    return x and g.rng.choice(form).format(x, axis)


@op(0.3)
def norm(g):
    x, axis = g.pick_axis("float32", 1)
    return x and f"m.linalg.norm({x} + 2.5, {g.one('1 2 3 None')}, axis={axis})"


@op(0.3, exact=True)
def searchsorted(g):
    x = g.pick("float32")
    return x and f"m.searchsorted(m.array([-1.0, 0.0, 0.25, 1.0, 2.0]), {x}" + g.one(");, side='right')", ";")


# ---- shapes and movement ---------------------------------------------------------------------------------------------


@op(1.0, exact=True)
def reshape(g):
    x = g.pick("any")
    return x and f"m.reshape({x}, {g.refactor(x)})"


@op(1.0, exact=True)
def transpose(g):
    x = g.pick("any", ndim=2)
    if not x:
        return None
    axes = list(range(len(g.shape(x))))
    g.rng.shuffle(axes)
    return g.one(f"m.transpose({x}, {axes});{x}.T;m.swapaxes({x}, 0, -1);m.moveaxis({x}, 0, -1)", ";")


@op(0.7, exact=True)
def more_axes(g):
    x = g.pick("any")
    n = x and len(g.shape(x))
    return x and n < 4 and f"m.expand_dims({x}, {g.rng.randint(-n - 1, n)})"


@op(0.4, exact=True)
def squeeze(g):
    x = g.pick("any")
    return x and g.one(f"m.squeeze({x});m.flatten({x});m.atleast_2d({x});m.contiguous({x})", ";")


@op(0.7, exact=True)
def broadcast(g):
    x = g.pick("any", at_most=3)
    return x and f"m.broadcast_to({x}, {(g.length(),) + tuple(g.shape(x))})"


@op(1.5, exact=True)
def slice_(g):
    x = g.pick("any", ndim=1)
    return x and f"{x}[{g.basic_index(x)}]"


@op(1.0, exact=True)
def concatenate(g):
    x, axis = g.pick_axis("any")
    y = x and g.alike(x)
    return x and g.one(f"m.concatenate([{x}, {y}], axis={axis});m.stack([{x}, {y}], axis={axis})", ";")


@op(0.5, exact=True)
def split(g):
    x, axis = g.pick_axis("any", 2)
    return x and f"m.split({x}, [1], axis={axis})[{g.one('0 1')}]"


@op(0.8, exact=True)
def rearrange(g):
    x, axis = g.pick_axis("any", 1)
    return x and g.one(
        f"m.flip({x}, axis={axis});m.roll({x}, {g.rng.randint(-3, 3)}, axis={axis});m.repeat({x}, 2, axis={axis});"
        f"m.tile({x}, 2);m.unstack({x}, axis={axis})[-1];m.unflatten({x}, {axis}, (1, -1));m.diff({x}, axis={axis})"
        if g.family(x) != "bool"
        else f"m.flip({x}, axis={axis});m.repeat({x}, 2, axis={axis})",
        ";",
    )


@op(0.6, exact=True)
def pad(g):
    x = g.pick("any", ndim=1)
    if not x:
        return None
    widths = [(g.rng.randint(0, 2), g.rng.randint(0, 2)) for _ in g.shape(x)]
    mode = g.one(", 1;, 'edge';", ";")
    if g.family(x) in ("bool", "complex"):
        mode = ""
    return f"m.pad({x}, {widths}{', mode=' + mode[2:] if 'edge' in mode else mode})"


@op(0.5, exact=True)
def triangles(g):
    x = g.pick("float", ndim=2)
    k = g.rng.randint(-1, 1)
    return x and g.one(f"m.tril({x}, {k});m.triu({x}, {k});m.diagonal({x}, {k})", ";")


@op(0.3, exact=True)
def diag(g):
    x = g.pick("float", ndim=1, at_most=2)
    return x and f"m.diag({x}, {g.rng.randint(-1, 1)})"


@op(0.3)
def trace(g):
    x = g.pick("float", ndim=2)
    return x and f"m.trace({x})"


@op(0.3, exact=True)
def strided(g):
    x = g.pick("float", ndim=1)
    size = x and g.size(x)
    return x and size >= 4 and f"m.as_strided({x}, (2, {size // 2}), (1, 1), {g.rng.randint(0, 1)})"


# ---- reading and writing at indices ----------------------------------------------------------------------------------


@op(1.0, exact=True)
def take(g):
    x, axis = g.pick_axis("any", 1)
    return x and f"m.take({x}, {g.indices(g.shape(x)[axis])}, axis={axis})"


@op(0.8, exact=True)
def index_array(g):
    x = g.pick("any", ndim=1)
    if not x:
        return None
    shape = g.shape(x)
    if min(shape) == 0:
        return None
    at = g.indices(shape[0])
    if len(shape) > 1 and g.rng.random() < 0.6:
        second = g.one(f"{g.indices(shape[1], 3)};:;None;::-1;0", ";")
        return f"{x}[{g.indices(shape[0], 3)}, {second}]"
    return f"{x}[{at}]"


@op(0.8, exact=True)
def take_along(g):
    x, axis = g.pick_axis("any", 1)
    return x and f"m.take_along_axis({x}, {g.index_like(x, axis)}, axis={axis})"


@op(0.5, exact=True)
def put_along(g):
    x, axis = g.pick_axis("float", 1)
    return x and f"m.put_along_axis({x}, m.argsort({g.alike(x)}, axis={axis}), {g.alike(x)}, axis={axis})"


@op(1.0)
def at_update(g):
    x = g.pick("float", ndim=1)
    if not x or min(g.shape(x)) == 0:
        return None
    how = g.one("add subtract add multiply divide maximum minimum")
    value = g.one("1.5 2 0.75 -0.5")
    at = g.one(f"{g.indices(g.shape(x)[0], 4)};{g.basic_index(x)}", ";")
    return f"{x}.at[{at}].{how}({value})"


@op(0.7)
def at_update_array(g):
    x = g.pick("float", ndim=1)
    if not x or min(g.shape(x)) == 0:
        return None
    how = g.one("add subtract add multiply maximum minimum")
    n = g.rng.randint(1, 4)
    # The rows that are written come from x itself, so their shape fits.
    return f"{x}.at[{g.indices(g.shape(x)[0], n)}].{how}({g.alike(x)}[{g.indices(g.shape(x)[0], n)}])"


@op(1.0, exact=True)
def assign(g):
    x = g.pick("any", ndim=1)
    if not x or min(g.shape(x)) == 0:
        return None
    if g.rng.random() < 0.4:
        y = g.pick("number")
        return f"put({x}, np.s_[{g.basic_index(x)}], {g.one(f'1.5;0;{y}', ';')})"
    rows = g.distinct(g.shape(x)[0])
    return f"put({x}, {rows}, {g.alike(x)}[{rows}])"


@op(0.4, exact=True)
def slice_update(g):
    x = g.pick("float", ndim=1)
    if not x or min(g.shape(x)) < 2:
        return None
    n = len(g.shape(x))
    part = ", ".join("1:" for _ in range(n))
    return f"m.slice_update({x}, {g.alike(x)}[{part}], m.array({[g.rng.randint(0, 1)] * n}), {list(range(n))})"


@op(0.3, exact=True)
def slice_from(g):
    x = g.pick("any", ndim=1)
    if not x or min(g.shape(x)) < 2:
        return None
    size = tuple(max(1, s - 1) for s in g.shape(x))
    n = len(size)
    return f"m.slice({x}, m.array({[g.rng.randint(0, 1) for _ in size]}), {list(range(n))}, {size})"


# ---- products --------------------------------------------------------------------------------------------------------


@op(2.0)
def matmul(g):
    a = g.pick("float", ndim=1)
    if not a:
        return None
    b = g.fitting(a, lambda s, t: len(t) >= 2 and s[-1] == t[-2] or len(t) == 1 and s[-1] == t[0])
    if b and g.batches(a, b):
        return f"{a} @ {b}"
    return len(g.shape(a)) >= 2 and f"{a} @ m.swapaxes({g.alike(a)}, -1, -2)"


@op(0.7)
def matmul_left_transposed(g):
    a = g.pick("float", ndim=2)
    return a and f"m.swapaxes({a}, -1, -2) @ {g.alike(a)}"


@op(0.5)
def addmm(g):
    a = g.pick("float32", ndim=2, at_most=2)
    return a and f"m.addmm(m.array(0.5), {a}, {g.alike(a)}.T, {g.one('1.0 0.5')}, {g.one('1.0 2.0')})"


@op(0.5)
def products(g):
    x = g.pick("float32", ndim=1, at_most=2)
    y = g.alike(x)
    if g.size(x) > 400:  # an outer product has the square
        return f"m.inner({x}, {y})"
    return g.one(
        f"m.inner({x}, {y});m.tensordot({x}, {y}.T, 1);m.outer({x}, {y}) * 0.5;m.kron({x}, {y});"
        f"m.matmul({x}, m.transpose({y}))",
        ";",
    )


@op(0.4)
def convolve(g):
    x = g.pick("float32", ndim=1, at_most=1)
    mode = g.one("full same valid")
    return g.size(x) >= 2 and f"m.convolve({x}, {g.constant((2,))}, mode='{mode}')"


@op(0.6)
def conv1d(g):
    x = g.pick("float32", ndim=3, at_most=3)
    if g.shape(x)[1] < 2 or g.size(x) == 0:  # of no channels MLX ends the process
        return None
    c = g.shape(x)[-1]
    return f"m.conv1d({x}, {g.constant((3, 2, c))}, {g.one('1 2')}, {g.one('0 1')})"


@op(0.6)
def conv2d(g):
    x = g.pick("float32", ndim=4, at_most=4)
    if min(g.shape(x)[1:3]) < 2 or g.size(x) == 0:
        return None
    c = g.shape(x)[-1]
    return g.one(
        f"m.conv2d({x}, {g.constant((2, 2, 2, c))}, {g.one('1 2')}, {g.one('0 1')});"
        f"m.conv_transpose2d({x}, {g.constant((2, 2, 2, c))}, {g.one('1 2')});"
        f"m.conv_general({x}, {g.constant((3, 1, 2, c))}, 1, ([1, 0], [0, 2]), (1, 2), 1, 1, {g.one('True False')})",
        ";",
    )


# ---- fast ------------------------------------------------------------------------------------------------------------


@op(0.8)
def norms(g):
    x = g.pick("float", ndim=1)
    if not x or g.shape(x)[-1] < 2:
        return None
    d = (g.shape(x)[-1],)
    w, b = (f"{g.constant(d)}.astype({x}.dtype)" for _ in range(2))
    return g.one(
        f"m.fast.rms_norm({x}, {w}, 1e-3)|m.fast.layer_norm({x}, {w}, {b}, 1e-3)|"
        f"m.fast.layer_norm({x}, None, None, 1e-2)|m.fast.rms_norm({x}, None, 1e-2)",
        "|",
    )


@op(0.6)
def rope(g):
    x = g.pick("float", ndim=3, at_most=4)
    if not x or g.shape(x)[-1] < 2:
        return None
    dims = g.shape(x)[-1] // 2 * 2
    return (
        f"m.fast.rope({x}, {dims}, traditional={g.one('True False')}, base=100.0, scale={g.one('1.0 0.5')}, "
        f"offset={g.one('0 3')})"
    )


@op(0.6)
def attention(g):
    x = g.pick("float", ndim=4, at_most=4)
    if g.size(x) == 0:  # MLX ends the process
        return None
    mask = g.one(";, mask='causal'", ";")
    return x and f"m.fast.scaled_dot_product_attention({x}, {g.alike(x)}, {g.alike(x)}, scale=0.5{mask})"


# ---- random and made -------------------------------------------------------------------------------------------------


@op(0.8)
def draw(g):
    shape, key = g.fresh_shape(), f"m.random.key({g.rng.randint(0, 99)})"
    return g.one(
        f"m.random.uniform(-1, 1, {shape}, key={key})|m.random.normal({shape}, key={key})|"
        f"m.random.bernoulli(0.4, {shape}, key={key})|m.random.randint(-3, 9, {shape}, key={key})|"
        f"m.random.normal({shape}, m.float16, key={key})|m.random.uniform(shape={shape}, dtype=m.bfloat16, key={key})|"
        f"m.random.gumbel({shape}, key={key})|m.random.laplace({shape}, key={key})|"
        f"m.random.truncated_normal(-1, 1, {shape}, key={key})",
        "|",
    )


@op(0.3)
def shuffle(g):
    x = g.pick("any", ndim=1)
    return x and f"m.random.permutation({x}, key=m.random.key({g.rng.randint(0, 99)}))"


@op(0.5, exact=True)
def made(g):
    n = g.length()
    return g.one(
        f"m.arange({n})|m.arange({n}, dtype=m.float32)|m.eye({n})|m.tri({n}, {n}, 0)|m.full(({n},), 2.5)|"
        f"m.arange(1, {n} + 1, dtype=m.float16)|m.identity({n})|m.array(1.5)|m.array(3)|m.array(True)",
        "|",
    )


@op(0.2)
def linspace(g):
    return f"m.linspace(-1, 2, {g.length() + 1})"
