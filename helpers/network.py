"""The mathematics: a feed-forward network of ReLU layers with a softmax on top.

Here: the layout of the weights, their initial values, the forward pass, the cross-entropy
with L2 penalty, its gradient by backpropagation, and prediction. Everything accepts a
*stack*: weights of shape (K, P) are K networks of one shape, evaluated on the same images.

Left out on purpose: files, plots, printing, training loops (`helpers.sgd`), other layer types,
momentum, dropout. There is one implementation of each pass, `Passes`; training runs it and the
gradient check examines it.

Notation: layer l computes z = W h + b and h = max(z, 0); the last layer keeps z, the logits.
Inside a pass the *columns* are images, so that z = W h reads as it does on paper.
"""

from functools import cache
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_info

ZERO = np.zeros((), np.float32)
"""A 0-d array: a Python number would be converted again at each call (a measurable cost)."""
SMALL_PRODUCT = 1_000_000
"""Multiply-adds up to which OpenBLAS takes its small-matrix kernels (measured, not documented)."""


def num_weights(layer_sizes):
    """Count the entries of all weight matrices and bias vectors.

    Parameters
    ----------
    layer_sizes : sequence of int
        Width of each layer, input first, e.g. ``(784, 64, 64, 64, 10)``.

    Returns
    -------
    int

    Examples
    --------
    >>> num_weights((784, 64, 64, 64, 10))
    59210
    """
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(layer_sizes))


def unpack(weights, layer_sizes):
    """View a flat vector as weight matrices and bias vectors.

    The canonical order, known only here and in `pack`: all matrices first, each row by row,
    then all bias vectors.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
        P = ``num_weights(layer_sizes)``; leading axes are a stack.
    layer_sizes : sequence of int

    Returns
    -------
    matrices : list of ndarray, shapes (..., n_out, n_in)
    biases : list of ndarray, shapes (..., n_out)
        Views: writing to them changes `weights`.

    Raises
    ------
    ValueError
        If the last axis does not have P entries.
    """
    expected = num_weights(layer_sizes)
    if weights.shape[-1] != expected:
        raise ValueError(
            f"weights have {weights.shape[-1]} entries, but layer_sizes = {tuple(layer_sizes)} "
            f"needs {expected}"
        )
    stack = weights.shape[:-1]
    shapes = [(n_out, n_in) for n_in, n_out in pairwise(layer_sizes)]
    shapes += [(n_out,) for n_out in layer_sizes[1:]]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    parts = np.split(weights, ends[:-1], axis=-1)
    views = [part.reshape(*stack, *shape) for part, shape in zip(parts, shapes, strict=True)]
    return views[: len(layer_sizes) - 1], views[len(layer_sizes) - 1 :]


def pack(matrices, biases):
    """Copy weight matrices and bias vectors into one flat vector; the inverse of `unpack`.

    Parameters
    ----------
    matrices : sequence of ndarray, shapes (..., n_out, n_in)
    biases : sequence of ndarray, shapes (..., n_out)

    Returns
    -------
    ndarray, shape (..., P)
    """
    flat = [W.reshape(*W.shape[:-2], -1) for W in matrices]
    return np.concatenate([*flat, *biases], axis=-1)


def init_weights(layer_sizes, seed, dtype=np.float64):
    """Draw initial weights: He uniform, biases 0.01.

    Each matrix entry is uniform on ±sqrt(6 / n_in), which keeps the variance of the
    activations through ReLU layers (He et al. 2015, arXiv:1502.01852, eq. 10).

    Parameters
    ----------
    layer_sizes : sequence of int
    seed : int
        Of ``numpy.random.default_rng``; the same seed gives the same weights.
    dtype : dtype
        Drawn in float64, then rounded to this type.

    Returns
    -------
    ndarray, shape (P,)
    """
    rng = np.random.default_rng(seed)
    weights = np.full(num_weights(layer_sizes), 0.01)
    for W in unpack(weights, layer_sizes)[0]:
        bound = np.sqrt(6 / W.shape[1])
        W[...] = rng.uniform(-bound, bound, W.shape)
    return weights.astype(dtype)


def join_biases(weights, layer_sizes):
    """Copy canonical weights into the working order, [W b] layer after layer.

    With a row of ones under the activations, [W b] [h; 1] = W h + b is one matrix product,
    and so is the gradient of both.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
    layer_sizes : sequence of int

    Returns
    -------
    ndarray, shape (..., P)
    """
    joined = np.empty_like(weights)
    for layer, W, b in zip(layers(joined, layer_sizes), *unpack(weights, layer_sizes), strict=True):
        layer[..., :-1] = W
        layer[..., -1] = b
    return joined


def split_biases(joined, layer_sizes):
    """Copy weights in the working order back to the canonical one: undo `join_biases`.

    Parameters
    ----------
    joined : ndarray, shape (..., P)
    layer_sizes : sequence of int

    Returns
    -------
    ndarray, shape (..., P)
    """
    blocks = layers(joined, layer_sizes)
    return pack([block[..., :-1] for block in blocks], [block[..., -1] for block in blocks])


def layers(joined, layer_sizes):
    """View weights in the working order as one block [W b] a layer.

    Parameters
    ----------
    joined : ndarray, shape (..., P)
    layer_sizes : sequence of int

    Returns
    -------
    list of ndarray, shapes (..., n_out, n_in + 1)
    """
    shapes = [(n_out, n_in + 1) for n_in, n_out in pairwise(layer_sizes)]
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    parts = np.split(joined, ends[:-1], axis=-1)
    stack = joined.shape[:-1]
    return [part.reshape(*stack, *shape) for part, shape in zip(parts, shapes, strict=True)]


class Passes:
    """Forward and backward pass over minibatches of one size, in buffers made once.

    Parameters
    ----------
    joined : ndarray, shape (..., P)
        Weights in the working order (`join_biases`); read at every pass, never written.
    layer_sizes : sequence of int
    batch_size : int
    gradient : ndarray like `joined`, optional
        Where `backward` writes; a new array if not given.

    Attributes
    ----------
    images : ndarray, shape (batch_size, n_0 + 1)
        Fill it before `forward`; one image a row, the last column ones.
    activations : list of ndarray, shapes (..., n_l + 1, batch_size)
        Each ends with a row of ones that is never written; the first is ``images.T``.
    logits : ndarray, shape (..., n_classes, batch_size)
    gradient : ndarray, shape (..., P)
    """

    def __init__(self, joined, layer_sizes, batch_size, gradient=None):
        stack, dtype = joined.shape[:-1], joined.dtype
        hidden = [(*stack, n + 1, batch_size) for n in layer_sizes[1:-1]]
        self.images = np.ones((batch_size, layer_sizes[0] + 1), dtype)
        self.activations = [self.images.T, *(np.ones(shape, dtype) for shape in hidden)]
        self.logits = np.empty((*stack, layer_sizes[-1], batch_size), dtype)
        self.gradient = np.empty_like(joined) if gradient is None else gradient
        self._delta = np.empty_like(self.logits)
        self._column = np.empty((*stack, 1, batch_size), dtype)
        self._bind(layers(joined, layer_sizes), layers(self.gradient, layer_sizes))

    def _bind(self, weights, gradients):
        """Prepare, once, the arguments of each layer's products in `forward` and `backward`."""
        outputs = [without_ones(h) for h in self.activations[1:]]
        self._hidden = list(zip(weights[:-1], self.activations[:-1], outputs, strict=True))
        if self._hidden:
            self._hidden[0] = cut_columns(*self._hidden[0])
        self._top = weights[-1], self.activations[-1]
        below = [np.empty_like(h) for h in self.activations[1:]]
        deltas = [*map(without_ones, below), self._delta]
        self._first = cut_rows(deltas[0], self.images, gradients[0])
        above_first = zip(
            map(transpose, weights[1:]),
            deltas[1:],
            self.activations[1:],
            map(transpose, self.activations[1:]),
            gradients[1:],
            below,
            [np.empty_like(h) for h in self.activations[1:]],
            strict=True,
        )
        self._above_first = list(above_first)[::-1]

    def forward(self):
        """Compute all activations and the logits of ``self.images``.

        Returns
        -------
        ndarray, shape (..., n_classes, batch_size)
            The logits, a buffer that the next call overwrites.
        """
        for W, h, z in self._hidden:
            np.matmul(W, h, out=z)
            np.maximum(z, ZERO, out=z)
        return np.matmul(*self._top, out=self.logits)

    def backward(self, one_hot, scale):
        """Backpropagate the cross-entropy, summed over the batch and times `scale`.

        At the top delta = softmax(logits) - one_hot; one layer down delta = W.T delta where
        the unit is active, else 0; the gradient of [W b] is delta [h; 1].T (Goodfellow,
        Bengio and Courville 2016, *Deep Learning*, algorithm 6.4).

        Parameters
        ----------
        one_hot : ndarray, shape (n_classes, batch_size)
        scale : ndarray, shape () or (K, 1, 1)
            1/batch_size gives the gradient of the mean; the trainer folds its rate in.

        Returns
        -------
        ndarray, shape (..., P)
            ``self.gradient``, in the working order, without L2.
        """
        delta = softmax(self.logits, self._delta, self._column)
        np.subtract(delta, one_hot, out=delta)
        np.multiply(delta, scale, out=delta)
        for W_transposed, delta, h, h_transposed, gradient, below, active in self._above_first:
            np.matmul(delta, h_transposed, out=gradient)
            np.matmul(W_transposed, delta, out=below)
            np.sign(h, out=active)  # h >= 0, so this is 1 where z > 0 and 0 elsewhere
            np.multiply(below, active, out=below)
        delta, images, gradient = self._first
        np.matmul(delta, images, out=gradient)
        return self.gradient


def cut_columns(A, B, out):
    """View a product A B as several, each with some columns of B, where these are faster.

    Parameters
    ----------
    A : ndarray, shape (..., m, k)
    B : ndarray, shape (k, n)
    out : ndarray, shape (..., m, n)

    Returns
    -------
    tuple of ndarray, shapes (..., 1, m, k), (c, k, n / c) and (..., c, m, n / c)
        Arguments for one call of ``numpy.matmul``; as given, if one product is faster.
    """
    count = num_pieces(A, B, B.shape[-1])
    if count == 1:
        return A, B, out
    pieces = [np.moveaxis(M.reshape(*M.shape[:-1], count, -1), -2, -3) for M in (B, out)]
    return A[..., None, :, :], *pieces


def cut_rows(A, B, out):
    """View a product A B as several, each with some rows of A, where these are faster.

    Parameters
    ----------
    A : ndarray, shape (..., m, k)
    B : ndarray, shape (k, n)
    out : ndarray, shape (..., m, n)

    Returns
    -------
    tuple of ndarray, shapes (..., c, m / c, k), (k, n) and (..., c, m / c, n)
        See `cut_columns`.
    """
    count = num_pieces(A, B, A.shape[-2])
    if count == 1:
        return A, B, out
    top, result = (M.reshape(*M.shape[:-2], count, -1, M.shape[-1]) for M in (A, out))
    return top, B, result


def num_pieces(A, B, length):
    """Count the equal pieces that make the product A B fastest.

    OpenBLAS has kernels for small products on AVX-512 that are up to twice as fast as the
    others; a product a few times too large for them is cut into pieces of `SMALL_PRODUCT`.

    Parameters
    ----------
    A, B : ndarray
    length : int
        Of the axis to be cut.

    Returns
    -------
    int
        1 for other kernels, other types, and products that are small or large anyhow.
    """
    work = A.shape[-2] * A.shape[-1] * B.shape[-1]
    if A.dtype != np.float32 or not 1 < work / SMALL_PRODUCT <= 4 or blas_kernels() != "SkylakeX":
        return 1
    return min(c for c in range(1, length + 1) if length % c == 0 and work / c <= SMALL_PRODUCT)


@cache
def blas_kernels():
    """Name the kernels that NumPy's BLAS has chosen for this processor.

    Returns
    -------
    str
        E.g. "Haswell" or "SkylakeX".
    """
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return pools[0].get("architecture", "unknown") if pools else "unknown"


def transpose(matrices):
    """View the last two axes swapped."""
    return np.swapaxes(matrices, -1, -2)


def without_ones(activations):
    """View activations without their last row, the ones."""
    return activations[..., :-1, :]


def softmax(logits, out=None, column=None):
    """Turn logits into probabilities, shifted by the maximum so that exp cannot overflow.

    Parameters
    ----------
    logits : ndarray, shape (..., n_classes, n)
    out, column : ndarray, shapes of `logits` and (..., 1, n), optional
        Buffers for the result and for the maximum and the sum of each column.

    Returns
    -------
    ndarray, shape (..., n_classes, n)
        Each column sums to 1.
    """
    column = np.maximum.reduce(logits, axis=-2, keepdims=True, out=column)
    out = np.subtract(logits, column, out=out)
    np.exp(out, out=out)
    np.add.reduce(out, axis=-2, keepdims=True, out=column)
    return np.divide(out, column, out=out)


def one_hot(labels, num_classes, dtype=np.float64):
    """Write labels as unit columns.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    num_classes : int
    dtype : dtype

    Returns
    -------
    ndarray, shape (num_classes, n)
    """
    return (np.arange(num_classes)[:, None] == labels).astype(dtype)


def forward(weights, layer_sizes, images):
    """Compute the activations of every layer.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
        Real or complex (a complex step differentiates through this function).
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)

    Returns
    -------
    list of ndarray, shapes (..., n_l, n)
        One column an image: the hidden layers in order, then the logits.
    """
    passes = Passes(join_biases(weights, layer_sizes), layer_sizes, len(images))
    passes.images[:, :-1] = images
    logits = passes.forward()
    return [*map(without_ones, passes.activations[1:]), logits]


def log_loss(logits, labels):
    """Average -log softmax(logits)[label] over images, without forming a probability.

    -log p_y = log sum_k exp(z_k) - z_y, with the maximum taken out of the sum: exact where the
    probability itself would round to 0 or 1.

    Parameters
    ----------
    logits : ndarray, shape (..., n_classes, n)
        Real or complex.
    labels : ndarray of int, shape (n,)

    Returns
    -------
    ndarray, shape (...)
        Cross-entropy in nats, averaged in double precision.
    """
    shifted = logits - logits.real.max(axis=-2, keepdims=True)
    at_label = shifted[..., labels, np.arange(len(labels))]
    losses = np.log(np.exp(shifted).sum(axis=-2)) - at_label
    return losses.mean(axis=-1, dtype=np.result_type(losses.dtype, np.float64))


def penalty(weights, layer_sizes, alpha):
    """Compute the L2 term, alpha/2 times the sum of squared matrix entries (biases are free).

    Parameters
    ----------
    weights : ndarray, shape (..., P)
        Real or complex; squared, not |.|**2, so that a complex step passes through.
    layer_sizes : sequence of int
    alpha : float or ndarray, shape () or (...)

    Returns
    -------
    ndarray, shape (...)
    """
    matrices, _ = unpack(weights, layer_sizes)
    return 0.5 * np.asarray(alpha) * sum((W * W).sum(axis=(-2, -1)) for W in matrices)


def cross_entropy(weights, layer_sizes, images, labels, alpha=0.0):
    """Evaluate the objective: mean cross-entropy + alpha/2 * sum of squared matrix entries.

    Training minimises this function and the gradient check differentiates it. With alpha = 0 it
    is the "unregularised cross-entropy" of the tables.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float or ndarray, shape () or (...)

    Returns
    -------
    ndarray, shape (...)
    """
    logits = forward(weights, layer_sizes, images)[-1]
    return log_loss(logits, labels) + penalty(weights, layer_sizes, alpha)


def backprop(weights, layer_sizes, images, labels, alpha=0.0):
    """Compute the gradient of `cross_entropy` with respect to all weights.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
        The passes run in its dtype.
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float or ndarray, shape () or (...)

    Returns
    -------
    ndarray, shape (..., P)
        In the canonical order of `unpack`.
    """
    passes = Passes(join_biases(weights, layer_sizes), layer_sizes, len(images))
    passes.images[:, :-1] = images
    passes.forward()
    targets = one_hot(labels, layer_sizes[-1], weights.dtype)
    scale = np.asarray(1 / len(images), weights.dtype)
    gradient = split_biases(passes.backward(targets, scale), layer_sizes)
    alpha = np.asarray(alpha, weights.dtype)[..., None, None]
    for g, W in zip(unpack(gradient, layer_sizes)[0], unpack(weights, layer_sizes)[0], strict=True):
        g += alpha * W
    return gradient


def predict(weights, layer_sizes, images):
    """Classify images: the class with the largest logit.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)

    Returns
    -------
    ndarray of int, shape (..., n)
    """
    return forward(weights, layer_sizes, images)[-1].argmax(axis=-2)


def accuracy(logits, labels):
    """Count the share of images whose largest logit is at the label.

    Parameters
    ----------
    logits : ndarray, shape (..., n_classes, n)
    labels : ndarray of int, shape (n,)

    Returns
    -------
    ndarray, shape (...)
        Between 0 and 1.
    """
    return (logits.argmax(axis=-2) == labels).mean(axis=-1)
