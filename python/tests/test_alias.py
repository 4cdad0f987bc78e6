"""python -m treadle.mlx: unchanged MLX programs run on Treadle."""

import subprocess
import sys
import textwrap

import pytest


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "treadle.mlx", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **kwargs,
    )


def output(*arguments, **kwargs):
    result = run(*arguments, **kwargs)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def script(tmp_path):
    def write(text, name="script.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_all_module_names_mean_treadle(script):
    path = script(
        """
        import mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim, mlx.utils, mlx
        import mlx.nn.layers.base, mlx.nn.losses, mlx.optimizers.schedulers, mlx._reprlib_fix
        from mlx.nn.layers.linear import Linear
        from mlx.nn import utils
        from mlx.utils import tree_flatten
        import treadle.core, treadle.nn, treadle.utils
        import mlx.core.random as random
        assert mx is treadle.core and nn is treadle.nn and mlx.utils is treadle.utils and mlx.core is mx
        assert Linear is nn.Linear and mlx.nn.layers.base.Module is nn.Module and random is mx.random
        assert nn.__name__ == "treadle.nn" and nn.__spec__.name == "treadle.nn"
        try:
            import mlx.no_such_module
        except ModuleNotFoundError as error:
            print(error.name)
        """
    )
    assert output(path) == "mlx.no_such_module\n"


def test_the_script_sees_what_python_shows_it(script):
    script("value = 41\n", "neighbour.py")
    path = script(
        """
        import sys, os, neighbour
        print(sys.argv[1:], sys.argv[0] == __file__, __name__, __spec__, sys.modules["__main__"].neighbour.value)
        print(os.path.dirname(os.path.realpath(__file__)) == sys.path[0])

        class Thing: pass
        import pickle
        print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
        """
    )
    assert output(path, "-m", "--x", "a b") == "['-m', '--x', 'a b'] True __main__ None 41\nTrue\nTrue\n"


def test_modules_and_code_run_too(script):
    path = script("import sys, mlx.core as mx\nprint(__name__, sys.argv[1:], mx.array(3).item())\n", "package/tool.py")
    assert output("-m", "package.tool", "-v", cwd=path.parent.parent) == "__main__ ['-v'] 3\n"
    assert output("-c", "import sys, mlx.nn; print(sys.argv)", "x") == "['-c', 'x']\n"


def test_exit_codes_and_errors_are_those_of_the_program(script):
    assert run(script("import sys; sys.exit(7)")).returncode == 7
    result = run(script("def f():\n    raise KeyError('gone')\nf()\n"))
    assert result.returncode == 1 and "script.py" in result.stderr and "KeyError: 'gone'" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["-m"], ["-c"], ["--no-such-option"]])
def test_wrong_usage_is_an_error(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and "usage:" in result.stdout + result.stderr


def test_exit_handlers_still_see_the_program(script):
    path = script("import atexit\nvalue = 5\natexit.register(lambda: print(value))\n")
    assert output(path) == "5\n"


def test_mlx_defaults_hold_under_the_alias_only(script):
    path = script(
        """
        import mlx.core as mx, mlx.nn as nn
        x, y = mx.array([1.0, 2.0]), mx.array([0.0, 0.0])
        print(nn.losses.mse_loss(x, y).item(), nn.losses.mse_loss(x, y, reduction="none").shape)
        print(nn.losses.cross_entropy(mx.zeros((3, 2)), mx.array([0, 1, 0])).shape, mx.float32, repr(mx.bfloat16))
        print(mx.__version__)
        """
    )
    assert output(path) == "2.5 (2,)\n(3,) mlx.core.float32 mlx.core.bfloat16\n0.32.0\n"

    import treadle.core as mx
    import treadle.nn as nn
    from treadle import compat

    x, y = mx.array([1.0, 2.0]), mx.array([0.0, 0.0])
    assert nn.losses.mse_loss(x, y).shape == (2,)
    assert compat.mlx_defaults(True) is False
    try:
        assert nn.losses.mse_loss(x, y).item() == 2.5
    finally:
        assert compat.mlx_defaults(False) is True


def test_the_alias_does_not_replace_an_mlx_that_is_loaded():
    code = "import mlx.core; from treadle import mlx; mlx.install()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1 and "has been imported already" in result.stderr


def test_a_whole_mlx_program_trains(script):
    path = script(
        """
        from functools import partial
        import mlx.core as mx
        import mlx.nn as nn
        import mlx.optimizers as optim
        import numpy as np

        class MLP(nn.Module):
            def __init__(self, sizes):
                super().__init__()
                self.layers = [nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:])]

            def __call__(self, x):
                for l in self.layers[:-1]:
                    x = nn.relu(l(x))
                return self.layers[-1](x)

        mx.random.seed(0)
        np.random.seed(0)
        x = np.random.normal(size=(64, 8)).astype(np.float32)
        x, y = mx.array(x), mx.array((x.sum(1) > 0).astype(np.int32))
        model = MLP([8, 32, 2])
        mx.eval(model.parameters())

        def loss(model, x, y):
            return nn.losses.cross_entropy(model(x), y, reduction="mean")

        loss_and_grad = nn.value_and_grad(model, loss)
        optimizer = optim.Adam(learning_rate=1e-2)
        state = [model.state, optimizer.state, mx.random.state]

        @partial(mx.compile, inputs=state, outputs=state)
        def step(x, y):
            loss, grads = loss_and_grad(model, x, y)
            optimizer.update(model, grads)
            return loss

        losses = []
        for _ in range(60):
            losses.append(step(x, y).item())
            mx.eval(state)
        assert losses[-1] < 0.05 < losses[0], losses
        print("trained", optimizer.step.item())
        """
    )
    assert output(path) == "trained 60\n"


def test_treadle_alone_does_not_touch_mlx():
    code = "import treadle.nn, treadle.optimizers, sys; print([m for m in sys.modules if m.startswith('mlx')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "[]\n", result.stderr
