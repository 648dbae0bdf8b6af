"""Fashion-MNIST from the four original files in data/: read, verified, scaled, split.

Nothing is downloaded. Header, shape and SHA-256 of each file are compared before its content is
believed, in the order that gives the most telling message. The test images are read by a function
of their own, so that a notebook shows where it opens them. Left out: augmentation, and any other
data set.
"""

import gzip
import hashlib
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.files import DATA

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
IDX_MAGIC = {1: 0x00000801, 3: 0x00000803}


class DataError(ValueError):
    """A data file is missing or is not what it should be; the message names file and remedy."""


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
        """Take the first `n` images.

        Parameters
        ----------
        n : int

        Returns
        -------
        Images
        """
        return Images(self.images[:n], self.labels[:n])


def load_training(folder=DATA):
    """Read the 60,000 training images and set 6,000 of them aside for validation.

    The split is one permutation drawn with seed `SPLIT_SEED`, so it is the same in every run.

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
    raw, labels = _read_pair("train", 60_000, folder)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(raw))
    training, validation = order[NUM_VALIDATION:], order[:NUM_VALIDATION]
    return tuple(Images(scale(raw[part]), labels[part]) for part in (training, validation))


def load_test(folder=DATA):
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
    raw, labels = _read_pair("t10k", 10_000, folder)
    return Images(scale(raw), labels)


def verify(folder=DATA):
    """Read and check all four files, before a long run begins.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    DataError
    """
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        _read_pair(prefix, count, folder)


@cache
def load_training_once():
    """Call `load_training` once a process; later calls return the same, read-only arrays.

    Returns
    -------
    training, validation : Images
    """
    parts = load_training()
    for array in (*parts[0], *parts[1]):
        array.flags.writeable = False
    return parts


def scale(pixels):
    """Map bytes to float32 numbers between -0.5 and 0.5.

    Parameters
    ----------
    pixels : ndarray of uint8

    Returns
    -------
    ndarray of float32
    """
    scaled = np.divide(pixels, 255, dtype=np.float32)
    scaled -= np.float32(0.5)
    return scaled


def read_idx(path, shape, checksum=None):
    """Read one gzipped IDX file of bytes.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int
        What the header must announce.
    checksum : str, optional
        SHA-256 of the compressed file.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    DataError
        Names the file, what was expected, what was found and how to repair it.
    """
    path = Path(path)
    try:
        compressed = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path.name}: missing in the data folder; {REMEDY}") from None
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}); {REMEDY}") from None
    content = _gunzip(path.name, compressed)
    found = struct.unpack_from(f">{1 + len(shape)}I", content.ljust(4 * (1 + len(shape)), b"\0"))
    _expect(path.name, "IDX magic", f"{IDX_MAGIC[len(shape)]:#010x}", f"{found[0]:#010x}")
    _expect(path.name, "shape", shape, found[1:])
    size = int(np.prod(shape))
    _expect(path.name, "bytes after the header", size, len(content) - 4 * len(found))
    if checksum:
        _expect(path.name, "SHA-256", checksum, hashlib.sha256(compressed).hexdigest())
    return np.frombuffer(content, np.uint8, offset=4 * len(found)).reshape(shape)


def _read_pair(prefix, count, folder):
    names = f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"
    shapes = (count, *IMAGE_SHAPE), (count,)
    images, labels = (
        read_idx(Path(folder) / name, shape, SHA256[name])
        for name, shape in zip(names, shapes, strict=True)
    )
    _expect(
        names[1], "largest label", f"at most {NUM_CLASSES - 1}", labels.max(), labels.max() < 10
    )
    return images.reshape(count, NUM_PIXELS), labels.astype(np.int64)


def _gunzip(name, compressed):
    if not compressed:
        raise DataError(f"{name}: empty; {REMEDY}")
    try:
        return gzip.decompress(compressed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{name}: not a whole gzip file ({error}); {REMEDY}") from None


def _expect(name, what, expected, found, fine=None):
    if not (expected == found if fine is None else fine):
        raise DataError(f"{name}: {what}: expected {expected}, found {found}; {REMEDY}")
