"""Numbers that the pictures and tables are made of.

Confusions, mistakes, and what the units of a network's layers respond to.

What the functions share: `layers` is [(W_1, b_1), ..., (W_L, b_L)] as in `helpers.network`; `W` and
`b` are those of the first layer, shapes (units, 784) and (units,); `images` has shape (n, 784),
`labels` shape (n,), whole numbers, and `probabilities` shape (n, n_classes).

Left out: drawing (`helpers.figures`), training, and the mathematics of the network itself.
"""

from math import ceil, sqrt

import numpy as np

from helpers import network
from helpers.data import IMAGE_SHAPE

GAP = 2
"""Pixels between the tiles of a picture of weights."""
quiet = np.errstate(over="ignore", invalid="ignore")
"""No warning: what is too large, or is not defined, shows as infinity or NaN in the result."""


@quiet
def probabilities(layers, images):
    """Compute the probability that a network gives to each class; each row sums to 1."""
    _, logits = network.forward(layers, images)
    return network.softmax(logits).T


def confusion_counts(labels, predicted):
    """Count how often each class was taken for each other one.

    Returns
    -------
    ndarray of int, shape (10, 10)
        Row: the label; column: the prediction.
    """
    pairs = 10 * labels + predicted
    return np.bincount(pairs, minlength=100).reshape(10, 10)


def confident_mistakes(labels, probabilities, count):
    """Find the wrong predictions that the network was surest of.

    Returns
    -------
    ndarray of int, shape (at most count,)
        Indices, the surest first.
    """
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest_first = np.argsort(-confidence[wrong], kind="stable")
    return wrong[surest_first[:count]]


@quiet
def activity(layers, images):
    """Measure for which share of the images each hidden unit is active (above 0).

    Returns
    -------
    list of ndarray, shapes (n_l,)
        One array for each hidden layer; a unit at 0 is dead: it never helps, and never learns.
    """
    activations, _ = network.forward(layers, images)
    return [(h > 0).mean(axis=1) for h in activations[1:]]


@quiet
def order_by_norm(W):
    """Order units by the length of their weight vectors, the longest first; (units,)."""
    lengths = np.linalg.norm(W, axis=1)
    return np.argsort(-lengths, kind="stable")


def tile_W0(W, columns=None):
    """Lay out a first layer's weights as one picture, a tile for each unit.

    The array behind the assignment's ``show_W0``. It shows every unit: of ``int(sqrt(units))``
    tiles a side, as asked for there, one of 50 units would be lost.

    Parameters
    ----------
    W : ndarray, shape (units, 784)
    columns : int, optional
        Tiles in a line; the root of their number, rounded up, if not given.

    Returns
    -------
    ndarray of float64, shape (30 * lines - 2, 30 * columns - 2)
        Tiles of 28 x 28 line by line; NaN in the gaps of `GAP` pixels and where a last line has
        no more tiles.
    """
    columns = columns or ceil(sqrt(len(W)))
    lines = ceil(len(W) / columns)
    height, width = IMAGE_SHAPE
    down = height + GAP  # from the top of a tile to the top of the next one
    right = width + GAP
    picture = np.full((lines * down, columns * right), np.nan)
    for unit, weights in enumerate(W):
        line, column = divmod(unit, columns)
        top = line * down
        left = column * right
        tile = weights.reshape(IMAGE_SHAPE)
        picture[top : top + height, left : left + width] = tile
    return picture[:-GAP, :-GAP]


@quiet
def neighbour_correlation(W):
    """Measure how alike the weights of neighbouring pixels are: near 0 for noise, high for shapes.

    Returns
    -------
    ndarray, shape (units,)
        For each unit the correlation over all pairs of pixels beside or above each other; NaN if
        all its weights are equal.
    """
    correlations = []
    for tile in W.reshape(-1, *IMAGE_SHAPE):
        pixels = np.append(tile[:, :-1], tile[:-1])
        neighbours = np.append(tile[:, 1:], tile[1:])  # to the right, then below
        correlations.append(np.corrcoef(pixels, neighbours)[0, 1])
    return np.array(correlations)


@quiet
def most_exciting(W, b, images, count):
    """Find the images at which each unit's W x + b is largest.

    Returns
    -------
    ndarray of int, shape (units, count)
        Indices of images, the most exciting first.
    """
    excitement = W @ images.T + b[:, None]
    strongest_first = np.argsort(-excitement, axis=1, kind="stable")
    return strongest_first[:, :count]
