"""Fourier transforms against MLX: values, shapes, dtypes, norms, errors, frames."""

import numpy as np
import pytest
from oracle import DTYPES, as_numpy, assert_same, expressions, mlx, mx, outcome

r = np.random.default_rng(8)
REAL = r.normal(size=(2, 3, 8)).astype(np.float32)
COMPLEX = (REAL + 1j * r.normal(size=REAL.shape)).astype(np.complex64)
SIGNAL = r.normal(size=(2, 48)).astype(np.float32)


def same(expression, scale=4.0):
    def call(m):
        # x real, c complex, i integers, v a signal, g a spectrum of frames.
        names = {"m": m, "f": m.fft, "x": m.array(REAL), "c": m.array(COMPLEX), "i": m.arange(12).reshape(3, 4)}
        names |= {"v": m.array(SIGNAL), "w": m.array(np.hanning(10)[1:-1].astype(np.float32))}
        return eval(expression, names)

    assert_same(outcome(call, mx), outcome(call, mlx), scale)


NAMES = ["fft", "ifft", "rfft", "irfft"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("x", "xci")
def test_one_axis(name, x):
    for arguments in expressions("""
        ; n=5; n=11; n=1; axis=0; axis=-2; 4, 1; n=0; n=-3; axis=3; axis=-4; norm="ortho"; norm="forward"; norm="bad"
        n=7, axis=0, norm="ortho"; n=6, axis=1, norm="forward"
    """) + [""]:  # fmt: skip
        same(f"f.{name}({', '.join(filter(None, [x, arguments]))})")


SEVERAL = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name):
    for x in ("x", "c"):
        for arguments in expressions("""
            s=(4, 5), axes=(0, 1); s=[4, 5], axes=[0, 2]; axes=[0]; axes=(0, 2); axes=[2, 0]; axes=[]
            axes=[1, 1]; axes=[3]; s=(4,), axes=[0]; s=(4, 4), axes=[0]; norm="ortho"; norm="forward"; norm="no"
            s=(0, 2), axes=(0, 1)
            s=(1, 1), axes=(0, 1); axes=(0, 1, 2); axes=(-1, -3)
        """) + [""]:  # fmt: skip
            same(f"f.{name}({', '.join(filter(None, [x, arguments]))})")


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_dtypes(dtype):
    for name in NAMES:
        same(f"f.{name}(i.astype(m.{dtype}))")
        same(f"f.{name}n(i.astype(m.{dtype}))")


REST = """
f.fftfreq(5); f.fftfreq(4); f.fftfreq(4, 0.5); f.fftfreq(1); f.fftfreq(0); f.fftfreq(-1); f.fftfreq(4, 0)
f.fftfreq(7, d=2); f.rfftfreq(5); f.rfftfreq(4); f.rfftfreq(4, 0.5); f.rfftfreq(1); f.rfftfreq(0); f.rfftfreq(4, 0)
f.rfftfreq(7, d=2); f.fftshift(i); f.fftshift(i, 0); f.fftshift(i, axes=[0, 1]); f.fftshift(i, [-1])
f.fftshift(i, 3); f.fftshift(i, []); f.ifftshift(i); f.ifftshift(i, 0); f.ifftshift(i, axes=[0, 1])
f.ifftshift(i, [-1]); f.ifftshift(i, 3); f.fftshift(x[0]); f.fft(m.zeros((0, 4))); f.irfft(m.zeros((0, 4)))
f.fft(m.zeros((2, 0))); f.fft(m.zeros((2, 0)), n=3); f.irfft(m.zeros((3, 1))); f.fft(m.array(1.0))
f.fftn(m.array(1.0)); f.fft(x.T); f.rfft(x[:, ::2]); f.irfft(c[..., ::-1]); f.fft2(c[:, :, 1::2]); f.stft(v, 8)
f.stft(v, n_fft=8, hop_length=3); f.stft(v, n_fft=8, win_length=5); f.stft(v, n_fft=12, window=w)
f.stft(v, n_fft=8, window=w); f.stft(v, n_fft=8, center=False); f.stft(v, n_fft=8, pad_mode="constant")
f.stft(v, n_fft=8, pad_mode="edge"); f.stft(v, n_fft=8, pad_mode="no"); f.stft(v, n_fft=8, norm="ortho")
f.stft(v, 7); f.stft(v, n_fft=8, onesided=False); f.stft(c, n_fft=4); f.stft(c, n_fft=4, onesided=True)
f.stft(v, n_fft=0); f.stft(v, n_fft=8, hop_length=0); f.stft(v, n_fft=8, win_length=10)
f.stft(v, n_fft=8, window=i); f.stft(v, 80, center=False); f.stft(v, 8, norm="no"); f.stft(m.array(1.0), 8)
f.stft(i, 2, 1); f.stft(v[0].astype(m.float16), 8); f.stft(v, 1); f.stft(v, 60); f.istft(f.stft(v, 8))
f.istft(f.stft(v, 8), n_fft=8); f.istft(f.stft(v, 8), n_fft=9); f.istft(f.stft(v, 8), hop_length=3)
f.istft(f.stft(v, 8, 2, window=w), 8, 2, window=w); f.istft(f.stft(v, 8), win_length=6)
f.istft(f.stft(v, 8), center=False); f.istft(f.stft(v, 8), norm="forward"); f.istft(f.stft(v, 8), onesided=False)
f.istft(f.stft(v, 8), length=20); f.istft(f.stft(v, 8), length=60); f.istft(f.stft(v, 8), length=0)
f.istft(f.stft(v, 8), hop_length=0); f.istft(f.stft(v, 8, onesided=False), onesided=False); f.istft(v[0])
f.istft(v[:5]); f.istft(f.stft(v[0], 8), window=w[:6]); f.istft(f.stft(v, 8), norm="no")
f.istft(f.stft(v, 8), window=m.zeros(8)); f.istft(f.stft(v, 8), window=m.zeros(9))
"""


@pytest.mark.parametrize("expression", expressions(REST))
def test_frequencies_and_frames(expression):
    same(expression)


def test_lengths_without_axes_are_those_of_the_last():
    # MLX documents this and refuses it.
    x = mx.array(REAL)
    np.testing.assert_allclose(as_numpy(mx.fft.fftn(x, s=(4, 5))), np.fft.fftn(REAL, (4, 5), (1, 2)), atol=1e-5)


def test_hermitian_transforms_are_those_of_numpy():
    for n in (None, 8, 11):
        for norm in ("backward", "ortho", "forward"):
            got = mx.fft.hfft(mx.array(COMPLEX), n=n, axis=1, norm=norm)
            np.testing.assert_allclose(as_numpy(got), np.fft.hfft(COMPLEX, n, 1, norm), atol=1e-5)
            got = mx.fft.ihfft(mx.array(REAL), n=n, norm=norm)
            np.testing.assert_allclose(as_numpy(got), np.fft.ihfft(REAL, n, -1, norm), atol=1e-5)


def test_long_transforms_are_as_exact_as_numpy_in_double():
    for n in (1000, 4096, 10007, 1 << 17, 3 * 65537):
        x = r.normal(size=n).astype(np.float32)
        want = np.fft.rfft(x.astype(np.float64))
        error = np.linalg.norm(as_numpy(mx.fft.rfft(mx.array(x))) - want) / np.linalg.norm(want)
        assert error < 4e-7


def test_transforms():
    x, c = mx.array(REAL), mx.array(COMPLEX)
    got = mx.vmap(lambda a: mx.fft.rfft2(a, s=(4, 6)), in_axes=2, out_axes=1)(mx.moveaxis(x, 0, 2))
    assert mx.array_equal(mx.moveaxis(got, 1, 0), mx.fft.rfft2(x, s=(4, 6)))
    f = mx.compile(lambda a: mx.fft.irfft(mx.fft.fft(a)[..., :5], n=8) * 2)
    assert mx.allclose(f(x), 2 * x, atol=1e-5)
    # Parseval: the gradient of the energy of the spectrum.
    energy = mx.grad(lambda a: mx.abs(mx.fft.fft(a)).square().sum() / 8)
    assert mx.allclose(energy(x), 2 * x, atol=1e-5)
    theirs = mlx.grad(lambda a: (mlx.fft.irfft(a) * mlx.arange(14.0)).sum())(mlx.array(COMPLEX))
    ours = mx.grad(lambda a: (mx.fft.irfft(a) * mx.arange(14.0)).sum())(c)
    np.testing.assert_allclose(as_numpy(ours), as_numpy(theirs), atol=1e-5)
