"""Fashion-MNIST from the four original files in data/: read, verified, scaled, split.

Nothing is downloaded. A file is accepted if its SHA-256 is that of the original; otherwise reading
it raises `DataError`. The test images are read by a function of their own, so that a notebook
shows where it opens them. Left out: augmentation, and any other data set.
"""

import gzip
import hashlib
from functools import cache
from typing import NamedTuple

import numpy as np

from helpers import files
from helpers.errors import OneLineError

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
CLASS_NAMES += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
IMAGE_SHAPE = (28, 28)
NUM_PIXELS = 28 * 28
NUM_CLASSES = len(CLASS_NAMES)
NUM_VALIDATION = 6_000
SPLIT_SEED = 0
PORTION = 2_000
SHA256 = {
    "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
REMEDY = "get it back with 'git checkout -- data' or from the addresses in data/README.md"


class DataError(OneLineError):
    """A data file is missing or not the original; the message names file and remedy."""


class Images(NamedTuple):
    """Images with their labels."""

    images: np.ndarray
    """float32, shape (n, 784): pixels / 255 - 0.5, one image a row."""
    labels: np.ndarray
    """int64, shape (n,): 0 to 9, an index into `CLASS_NAMES`."""

    def first(self, n):
        """Take the first `n` images; returns Images."""
        return Images(self.images[:n], self.labels[:n])


@cache
def load_training():
    """Read the 60,000 training images and set 6,000 of them aside for validation.

    The split is one permutation drawn with seed `SPLIT_SEED`, so it is the same in every run.
    The files are read once a process; later calls return the same arrays, which are read-only.

    Returns
    -------
    training, validation : Images
        54,000 and 6,000 images.
    """
    raw, labels = _read_pair("train")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(raw))
    parts = order[NUM_VALIDATION:], order[:NUM_VALIDATION]
    training, validation = (Images(_take(raw, part), labels[part]) for part in parts)
    for array in (*training, *validation):
        array.flags.writeable = False
    return training, validation


def load_test():
    """Read the 10,000 test images, as Images: once, for a network that has already been chosen."""
    raw, labels = _read_pair("t10k")
    return Images(scale(raw), labels)


def verify():
    """Check all four files before a long run begins."""
    for name in SHA256:
        _read(name)


def scale(pixels):
    """Map bytes to float32 numbers between -0.5 and 0.5."""
    return np.divide(pixels, 255, dtype=np.float32) - np.float32(0.5)


def _take(raw, positions):
    """Scale some of the images, a portion at a time: copies would be the peak of a worker."""
    images = np.empty((len(positions), NUM_PIXELS), np.float32)
    for start in range(0, len(positions), PORTION):
        portion = positions[start : start + PORTION]
        images[start : start + PORTION] = scale(raw[portion])
    return images


def _read_pair(prefix):
    """Read pixels and labels; an IDX file begins with 4 bytes, and 4 for the length of an axis."""
    pixels = gzip.decompress(_read(f"{prefix}-images-idx3"))
    labels = gzip.decompress(_read(f"{prefix}-labels-idx1"))
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, NUM_PIXELS)
    return images, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def _read(name):
    """Read a file's bytes if it is the original."""
    path = files.DATA / f"{name}-ubyte.gz"
    try:
        content = files.read_bytes(path)
        found = hashlib.sha256(content).hexdigest()
        if found == SHA256[name]:
            return content
        reason = f"not the original file: expected SHA-256 {SHA256[name]}, found {found}"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    raise DataError(f"{path.name}: {reason}; {REMEDY}")
