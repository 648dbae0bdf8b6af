"""Numbers about a trained network that the pictures and tables are made of.

Confusions, calibration, mistakes, and what the units of its layers respond to. `layers` is
[(W_1, b_1), ..., (W_L, b_L)] as in `helpers.network`, and `W` the matrix of the first layer, shape
(units, 784). Left out: drawing (`helpers.figures`), training, and the mathematics of the network
itself.
"""

from dataclasses import dataclass

import numpy as np

from helpers import network
from helpers.data import IMAGE_SHAPE
from helpers.sgd import one_blas_thread

GAP = 2
"""Pixels between the tiles of a picture of weights."""


def probabilities(layers, images):
    """Compute the probability that a network gives to each class.

    Parameters
    ----------
    layers : list of (ndarray, ndarray)
    images : ndarray, shape (n, n_0)

    Returns
    -------
    ndarray, shape (n, n_classes)
        Each row sums to 1.
    """
    with one_blas_thread():
        _, logits = network.forward(layers, images)
    return network.softmax(logits).T


def confusion_counts(labels, predicted, num_classes=10):
    """Count how often each class was taken for each other one.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n,)
    num_classes : int

    Returns
    -------
    ndarray of int, shape (num_classes, num_classes)
        Row: the label; column: the prediction.
    """
    pairs = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def confident_mistakes(labels, probabilities, count):
    """Find the wrong predictions that the network was surest of.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, n_classes)
    count : int

    Returns
    -------
    ndarray of int, shape (at most count,)
        Indices, the surest first.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    surest_first = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[surest_first[:count]]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How confidence and accuracy go together, in bins of equal width between 0 and 1.

    Attributes
    ----------
    counts : ndarray of int, shape (bins,)
    confidence, accuracy : ndarray, shape (bins,)
        Means of each bin; NaN where it is empty.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self):
        """float : expected calibration error, the mean of |accuracy - confidence| over images."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(gaps * self.counts) / self.counts.sum())

    @property
    def bias(self):
        """float : mean confidence minus mean accuracy; above 0 is too sure."""
        gaps = self.confidence - self.accuracy
        return float(np.nansum(gaps * self.counts) / self.counts.sum())


def calibration(labels, probabilities, num_bins=10):
    """Compare how sure a network is with how often it is right.

    The error is the expected calibration error of Guo et al. 2017 (arXiv:1706.04599, eq. 3).

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, n_classes)
    num_bins : int

    Returns
    -------
    Calibration
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    counts, sure, hits = (np.bincount(bins, v, num_bins) for v in (None, confidence, right))
    full = np.where(counts, counts, np.nan)
    return Calibration(counts, sure / full, hits / full)


def activity(layers, images):
    """Measure for which share of the images each hidden unit is active (above 0).

    Parameters
    ----------
    layers : list of (ndarray, ndarray)
    images : ndarray, shape (n, n_0)

    Returns
    -------
    list of ndarray, shapes (n_l,)
        One array for each hidden layer; a unit at 0 is dead: it never helps, and never learns.
    """
    with one_blas_thread():
        activations, _ = network.forward(layers, images)
    return [(h > 0).mean(axis=1) for h in activations[1:]]


def order_by_norm(W):
    """Order units by the length of their weight vectors, the longest first.

    Parameters
    ----------
    W : ndarray, shape (units, n_in)

    Returns
    -------
    ndarray of int, shape (units,)
    """
    return np.argsort(-np.linalg.norm(W, axis=1), kind="stable")


def tile_W0(W, columns=None):
    """Lay out a first layer's weights as one picture, a tile for each unit.

    The array behind the assignment's ``show_W0``. It has a place for every unit: with
    ``int(sqrt(units))`` tiles a side, as asked for there, some of 50 units would be lost.

    Parameters
    ----------
    W : ndarray, shape (units, 784)
    columns : int, optional
        Tiles in a line; the root of their number, rounded up, if not given.

    Returns
    -------
    ndarray of float64, shape (30 * lines - 2, 30 * columns - 2)
        Tiles of 28 x 28 line by line; the gaps of `GAP` pixels, and places without a tile, are
        NaN.
    """
    columns = columns or int(np.ceil(np.sqrt(len(W))))
    lines = -(-len(W) // columns)
    height, width = np.add(IMAGE_SHAPE, GAP)
    tiles = np.full((lines * columns, height, width), np.nan)
    tiles[: len(W), :-GAP, :-GAP] = W.reshape(-1, *IMAGE_SHAPE)
    picture = tiles.reshape(lines, columns, height, width).swapaxes(1, 2)
    return picture.reshape(lines * height, columns * width)[:-GAP, :-GAP]


def neighbour_correlation(W):
    """Measure how alike the weights of neighbouring pixels are: near 0 for noise, high for shapes.

    Parameters
    ----------
    W : ndarray, shape (units, 784)

    Returns
    -------
    ndarray, shape (units,)
        For each unit the correlation over all pairs of pixels beside or above each other.
    """
    correlations = []
    for tile in W.reshape(-1, *IMAGE_SHAPE):
        pixels = np.concatenate([tile[:, :-1].ravel(), tile[:-1].ravel()])
        neighbours = np.concatenate([tile[:, 1:].ravel(), tile[1:].ravel()])
        correlations.append(np.corrcoef(pixels, neighbours)[0, 1])
    return np.array(correlations)


def most_exciting(W, b, images, count):
    """Find the images at which each unit's W x + b is largest.

    Parameters
    ----------
    W : ndarray, shape (units, n_in)
    b : ndarray, shape (units,)
    images : ndarray, shape (n, n_in)
    count : int

    Returns
    -------
    ndarray of int, shape (units, count)
        Indices of images, the most exciting first.
    """
    with one_blas_thread():
        excitement = W @ images.T + b[:, None]
    return np.argsort(-excitement, axis=1, kind="stable")[:, :count]
