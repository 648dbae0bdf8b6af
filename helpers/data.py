"""Fashion-MNIST from the four original files in data/: read, verified, scaled, split.

Nothing is downloaded. A file is accepted if its SHA-256 is that of the original; otherwise reading
it raises `DataError`. The test images are read by a function of their own, so that a notebook
shows where it opens them. Left out: augmentation, and reading any other data set; your own arrays
are ``Images(images, labels)``, too.
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
"""Images read at a time."""
SHA256 = {
    "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"


class DataError(OneLineError):
    """A file is missing or not the original, or images and labels cannot be learned from."""


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
    labels = _read_labels("train")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    images = _read_images("train", order)
    labels = labels[order]
    for array in (images, labels):
        array.flags.writeable = False
    training = Images(images[NUM_VALIDATION:], labels[NUM_VALIDATION:])
    validation = Images(images[:NUM_VALIDATION], labels[:NUM_VALIDATION])
    return training, validation


def load_test():
    """Read the 10,000 test images, as Images: once, for a network that has already been chosen."""
    labels = _read_labels("t10k")
    return Images(_read_images("t10k", np.arange(len(labels))), labels)


def verify():
    """Check all four files before a long run begins."""
    for name in SHA256:
        _original(name)


def scale(pixels):
    """Map bytes to float32 numbers between -0.5 and 0.5."""
    return np.divide(pixels, 255, dtype=np.float32) - np.float32(0.5)


def _read_images(prefix, order):
    """Read and scale images, the `order[i]`-th of the file into row i.

    A portion at a time: all bytes beside all numbers would be the peak of a worker's memory.
    """
    row_of = np.argsort(order)
    images = np.empty((len(order), NUM_PIXELS), np.float32)
    with gzip.open(_original(f"{prefix}-images-idx3")) as file:
        file.read(16)  # an IDX file begins with 4 bytes, and 4 for the length of each axis
        for start in range(0, len(order), PORTION):
            rows = row_of[start : start + PORTION]
            pixels = np.frombuffer(file.read(len(rows) * NUM_PIXELS), np.uint8)
            images[rows] = scale(pixels.reshape(-1, NUM_PIXELS))
    return images


def _read_labels(prefix):
    """Read labels as int64."""
    with gzip.open(_original(f"{prefix}-labels-idx1")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)


def _original(name):
    """Give the Path of a file, which must be the original."""
    path = files.DATA / f"{name}-ubyte.gz"
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    else:
        if sha256 == SHA256[name]:
            return path
        reason = f"not the original file, whose SHA-256 is {SHA256[name]}, but {sha256}"
    raise DataError(
        f"{path.name}: {reason}; take it again from where you got this project, "
        f"or from {SOURCE}/{path.name}"
    )
