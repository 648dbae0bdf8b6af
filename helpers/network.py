"""The mathematics: a feed-forward network of ReLU layers with a softmax on top.

Layer l computes z_l = W_l h_{l-1} + b_l and h_l = max(z_l, 0); the last layer keeps z, the logits.
Columns are images: h_0 is the transpose of `images`, so that every line reads as on paper.

What the functions share, and is not explained again: `layer_sizes` are the widths of the layers,
input first; `weights` is a flat vector, shape (P,); `layers` is [(W_1, b_1), ..., (W_L, b_L)] with
shapes (n_out, n_in) and (n_out,); `images` has shape (n, n_0), one image a row; `labels` has shape
(n,), whole numbers from 0; `logits` have shape (n_classes, n); `alpha` is the strength of the L2
penalty. Leading axes of weights, W, b and logits are a *stack*: matrices (K, n_out, n_in) are K
networks, evaluated on the same images. The dtype is that of the weights; complex weights are
welcome wherever a complex step needs them.

Left out on purpose: training (`helpers.sgd`), speed (`helpers.grid.stack` takes the same step in
buffers made once), files, plots, other layer types, momentum, dropout.
"""

from itertools import pairwise
from math import prod

import numpy as np


def num_weights(layer_sizes):
    """Count the entries of all matrices and biases: 59,210 for ``(784, 64, 64, 64, 10)``."""
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(layer_sizes))


def unpack(weights, layer_sizes):
    """View a flat vector as layers: all matrices first, each row by row, then all biases.

    The order is known only here and in `pack`.

    Returns
    -------
    list of (ndarray, ndarray)
        `layers`, as views: writing to them changes `weights`.

    Raises
    ------
    ValueError
        If the last axis does not have P = ``num_weights(layer_sizes)`` entries.
    """
    if weights.shape[-1] != num_weights(layer_sizes):
        raise ValueError(
            f"weights have {weights.shape[-1]} entries, but "
            f"layer_sizes = {tuple(layer_sizes)} needs {num_weights(layer_sizes)}"
        )
    shapes = [(n_out, n_in) for n_in, n_out in pairwise(layer_sizes)]
    shapes += [(n_out,) for n_out in layer_sizes[1:]]
    views, start = [], 0
    for shape in shapes:
        end = start + prod(shape)
        views.append(weights[..., start:end].reshape(*weights.shape[:-1], *shape))
        start = end
    depth = len(layer_sizes) - 1
    return list(zip(views[:depth], views[depth:], strict=True))


def pack(layers):
    """Copy layers, or a gradient, into one flat vector, shape (..., P); the inverse of `unpack`."""
    matrices = [W.reshape(*W.shape[:-2], -1) for W, _ in layers]
    return np.concatenate([*matrices, *(b for _, b in layers)], axis=-1)


def init_weights(layer_sizes, seed, dtype=np.float64):
    """Draw initial weights: He uniform, biases 0.01.

    Each matrix entry is uniform on ±sqrt(6 / n_in), which keeps the variance of the
    activations through ReLU layers (He et al. 2015, arXiv:1502.01852, eq. 10). `seed` is that of
    ``numpy.random.default_rng``. Drawn in float64, then rounded to `dtype`.

    Returns
    -------
    ndarray, shape (P,)
    """
    rng = np.random.default_rng(seed)
    weights = np.full(num_weights(layer_sizes), 0.01)
    for W, _ in unpack(weights, layer_sizes):
        bound = np.sqrt(6 / W.shape[1])
        W[...] = rng.uniform(-bound, bound, W.shape)
    return weights.astype(dtype)


def forward(layers, images):
    """Compute the activations and the logits.

    Returns
    -------
    activations : list of ndarray, shapes (..., n_l, n)
        What each layer reads: h_0, the images, then the hidden layers in order.
    logits : ndarray, shape (..., n_classes, n)

    Raises
    ------
    ValueError
        If the images are not rows of the width that the first layer reads.
    """
    check_images(layers, images)
    h, activations = images.T, []
    for W, b in layers:
        activations.append(h)
        z = W @ h + b[..., None]
        h = np.maximum(z, 0)
    return activations, z


def softmax(logits):
    """Turn logits into probabilities, shifted by the maximum so that exp cannot overflow.

    Returns
    -------
    ndarray, shape (..., n_classes, n)
        Each column sums to 1.
    """
    e = np.exp(logits - logits.max(axis=-2, keepdims=True))
    return e / e.sum(axis=-2, keepdims=True)


def one_hot(labels, logits):
    """Write labels as unit columns, shape (n_classes, n), after a check of the labels.

    Raises
    ------
    ValueError
        If they are not one whole number for each column of the logits, or one is no class.
    """
    num_classes, num_images = logits.shape[-2:]
    labels = np.asarray(labels)
    if labels.shape != (num_images,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels: expected {num_images} whole numbers, one for each image, "
            f"but their shape is {labels.shape} and their dtype {labels.dtype}"
        )
    y = np.arange(num_classes)[:, None] == labels
    if y.sum() < num_images:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}, but the network has "
            f"{num_classes} classes, 0 to {num_classes - 1}"
        )
    return y


def log_loss(logits, labels):
    """Average -log softmax(logits)[label] over images, without forming a probability.

    -log p_y = log sum_k exp(z_k) - z_y, with the maximum taken out of the sum: exact where the
    probability itself would round to 0 or 1.

    Returns
    -------
    ndarray, shape (...)
        In nats (by the natural logarithm), averaged in double precision.
    """
    shifted = logits - logits.real.max(axis=-2, keepdims=True)
    at_label = (shifted * one_hot(labels, logits)).sum(axis=-2)
    losses = np.log(np.exp(shifted).sum(axis=-2)) - at_label
    return losses.mean(axis=-1, dtype=np.result_type(losses, np.float64))


def cross_entropy(layers, images, labels, alpha=0.0):
    """Evaluate the objective: mean cross-entropy + alpha/2 * sum of squared matrix entries.

    Training minimises this function and the gradient check differentiates it. Biases are free of
    the penalty; with alpha = 0 it is the "unregularised cross-entropy" of the tables.

    Returns
    -------
    ndarray, shape (...)
    """
    _, logits = forward(layers, images)
    loss = log_loss(logits, labels)
    if alpha:  # all squares summed take more time than a small forward pass
        squares = sum((W * W).sum(axis=(-2, -1)) for W, _ in layers)
        loss = loss + alpha / 2 * squares
    return loss


def backprop(layers, images, labels, alpha=0.0):
    """Compute the gradient of `cross_entropy` with respect to all weights.

    At the top delta = (softmax(z) - y) / n; one layer down it is W.T delta where the unit is
    active (h > 0), else 0; dW = delta h.T + alpha W and db sums delta over the images
    (Goodfellow, Bengio and Courville 2016, *Deep Learning*, algorithm 6.4).

    Returns
    -------
    list of (ndarray, ndarray)
        The gradient, [(dW_1, db_1), ...], with the shapes of `layers`.
    """
    activations, logits = forward(layers, images)
    delta = (softmax(logits) - one_hot(labels, logits)) / len(images)
    gradient = []
    for (W, _), h in zip(reversed(layers), reversed(activations), strict=True):
        gradient.append((delta @ h.mT + alpha * W, delta.sum(axis=-1)))
        if len(gradient) < len(layers):
            delta = (W.mT @ delta) * (h > 0)
    return gradient[::-1]


def predict(layers, images):
    """Classify images: the class with the largest logit, int of shape (..., n)."""
    _, logits = forward(layers, images)
    return logits.argmax(axis=-2)


def check_images(layers, images):
    """Refuse images that are not rows of as many pixels as the first layer reads."""
    width = layers[0][0].shape[-1]
    if images.ndim != 2 or images.shape[1] != width:
        raise ValueError(
            f"images: expected shape (n, {width}), one image a row, since the first layer reads "
            f"{width} pixels, but their shape is {images.shape}"
        )
