"""Fashion-MNIST from the four original files in data/: read, verified, scaled, split.

Nothing is downloaded. A file is believed if its SHA-256 is that of the original. The test images
are read by a function of their own, so that a notebook shows where it opens them. Left out:
augmentation, and any other data set.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers import files

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
IMAGE_SHAPE = (28, 28)
NUM_PIXELS = 28 * 28
NUM_CLASSES = len(CLASS_NAMES)
NUM_VALIDATION = 6_000
SPLIT_SEED = 0

SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
REMEDY = "get it back with 'git checkout -- data' or from the addresses in data/README.md"


class DataError(ValueError):
    """A data file is missing or not the original; the message names file and remedy."""


class Images(NamedTuple):
    """Images with their labels.

    Attributes
    ----------
    images : ndarray of float32, shape (n, 784)
        Pixels / 255 - 0.5, one image a row.
    labels : ndarray of int64, shape (n,)
        0 to 9, an index into `CLASS_NAMES`.
    """

    images: np.ndarray
    labels: np.ndarray

    def first(self, n):
        """Take the first `n` images; returns Images."""
        return Images(self.images[:n], self.labels[:n])


@cache
def load_training(folder=files.DATA):
    """Read the 60,000 training images and set 6,000 of them aside for validation.

    The split is one permutation drawn with seed `SPLIT_SEED`, so it is the same in every run.
    The files are read once a process; later calls return the same arrays, which are read-only.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    training, validation : Images
        54,000 and 6,000 images.

    Raises
    ------
    DataError
    """
    raw, labels = _read_pair("train", folder)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(raw))
    training, validation = order[NUM_VALIDATION:], order[:NUM_VALIDATION]
    parts = [Images(scale(raw[part]), labels[part]) for part in (training, validation)]
    for array in (*parts[0], *parts[1]):
        array.flags.writeable = False
    return tuple(parts)


def load_test(folder=files.DATA):
    """Read the 10,000 test images: once, for a network that has already been chosen.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Images

    Raises
    ------
    DataError
    """
    raw, labels = _read_pair("t10k", folder)
    return Images(scale(raw), labels)


def verify(folder=files.DATA):
    """Check all four files before a long run begins; raises DataError."""
    for name in SHA256:
        _read(Path(folder) / name)


def scale(pixels):
    """Map bytes to float32 numbers between -0.5 and 0.5."""
    scaled = np.divide(pixels, 255, dtype=np.float32)
    scaled -= np.float32(0.5)
    return scaled


def read_idx(path):
    """Read one gzipped IDX file; the last byte of its magic number says how many axes it has.

    Parameters
    ----------
    path : Path
        Its name must be a key of `SHA256`.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    DataError
        Names the file, what was expected, what was found and how to repair it.
    """
    content = gzip.decompress(_read(path))
    shape = np.frombuffer(content, ">u4", offset=4, count=content[3])
    return np.frombuffer(content, np.uint8, offset=4 + shape.nbytes).reshape(shape)


def _read(path):
    """Read a file's bytes if it is the original."""
    try:
        content = files.read_bytes(path)
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}); {REMEDY}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[path.name]:
        raise DataError(
            f"{path.name}: not the original file: expected SHA-256 {SHA256[path.name]}, "
            f"found {found}; {REMEDY}"
        )
    return content


def _read_pair(prefix, folder):
    images, labels = (
        read_idx(Path(folder) / f"{prefix}-{kind}-ubyte.gz")
        for kind in ("images-idx3", "labels-idx1")
    )
    return images.reshape(-1, NUM_PIXELS), labels.astype(np.int64)
