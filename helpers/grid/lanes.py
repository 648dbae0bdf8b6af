"""The fast step: the step of `helpers.sgd` for several networks at once, in buffers made once.

A *lane* is a list of recipes that train side by side. Each NumPy call serves all of them, and
where they see the same minibatch it is fetched once. Members may differ in everything but the
batch size and the width of their layers; in depth, too: sorted by depth, deepest first, the
members that have a layer l are the first ones of the stack. No product is merged with another
one's, so that every member is bit for bit the network trained alone.

How one step differs from the paper's, and why: [W b] is one matrix and activations end with a row
of ones, so that one product adds the bias and one gives both gradients; rate / batch size is
multiplied into the small delta of the logits; all weights are one vector, as are their gradients,
so that one subtraction moves all; L2 is one product with a vector; arrays are never allocated.

Left out: the loop (`helpers.sgd.descend`), what makes good units of work (`helpers.grid.units`).
"""

import math

import numpy as np

from helpers import network, sgd
from helpers.grid.executors import blas_kernels
from helpers.grid.units import trajectory

ZERO = np.zeros((), np.float32)
"""A 0-d array: a Python number would be converted again at each call (a measurable cost)."""
SMALL_PRODUCT = 1_000_000
"""Multiply-adds up to which OpenBLAS takes its small-matrix kernels (measured, not documented)."""


def train(recipes, training, dtype=np.float32, on_epoch=lambda epoch, ended: None):
    """Train recipes as one lane.

    Parameters
    ----------
    recipes : sequence of helpers.sgd.Recipe
        See `Lane` for what they must share.
    training : helpers.data.Images
    dtype : dtype
    on_epoch : callable
        Called after each epoch, epoch 0 included, with its number and with {recipe: weights} of
        the recipes that end with it.

    Returns
    -------
    dict
        Recipe -> ndarray, shape (P,): its weights in the order of `helpers.network.unpack`.
    """
    lane, found = Lane(recipes, training, dtype), {}
    with sgd.one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        steps = sgd.descend(lane, len(training.labels), lane.weights, lane.step)
        for epoch, result in enumerate(steps):
            ended = {r: lane.read(r, result) for r in recipes if r.num_epochs == epoch}
            on_epoch(epoch, ended)
            found |= ended
    return found


class Lane:
    """Networks in training side by side; for `helpers.sgd.descend` it stands for one recipe.

    Parameters
    ----------
    recipes : sequence of helpers.sgd.Recipe
        With one batch_size, one width of all hidden layers (or equal layer_sizes), and one
        average_epochs where it is not 0. Recipes that differ only in average_epochs, or at a
        constant rate in num_epochs, are read from one member.
    training : helpers.data.Images
    dtype : dtype
    """

    def __init__(self, recipes, training, dtype=np.float32):
        self.num_epochs = max(recipe.num_epochs for recipe in recipes)
        self.average_epochs = max(recipe.average_epochs for recipe in recipes)
        distinct = dict.fromkeys(map(trajectory, recipes))
        self.members = sorted(distinct, key=lambda member: -len(member.layer_sizes))
        self._check(recipes)
        self.is_shared = len({member.shuffle_seed for member in self.members}) == 1
        self.depths = [len(member.layer_sizes) - 2 for member in self.members]
        sizes = self.members[0].layer_sizes
        counts = [sum(depth > n for depth in self.depths) for n in range(self.depths[0])]
        blocks = zip([*counts, len(self.depths)], sizes[1:], sizes[:-1], strict=True)
        self._shapes = [(count, n_out, n_in + 1) for count, n_out, n_in in blocks]
        self.weights = np.empty(sum(map(math.prod, self._shapes)), dtype)
        self.gradient = np.empty_like(self.weights)
        self._places = {member: self._find(k) for k, member in enumerate(self.members)}
        for member, places in self._places.items():
            self.weights[places] = network.init_weights(member.layer_sizes, member.seed, dtype)
        self._images = np.insert(training.images, sizes[0], 1, axis=1).astype(dtype, copy=False)
        self._one_hot = np.eye(sizes[-1], dtype=dtype)[training.labels]
        self._passes = {}

    def rate(self, epoch):
        """Give what a step needs of an epoch's rates: one per member, and the factors of L2."""
        rates = np.array([member.rate(epoch) for member in self.members])
        shrink = 1 - rates * [member.alpha for member in self.members]
        if (shrink == 1).all():
            return rates[:, None, None], None
        decay = np.ones_like(self.weights)
        for block in self.blocks(decay):
            block[..., :-1] = shrink[: len(block), None, None]
        return rates[:, None, None], decay

    def minibatches(self, num_images, epoch):
        """Draw an epoch's minibatches: (batch_size,) if all share them, else (K, batch_size)."""
        if self.is_shared:
            return self.members[0].minibatches(num_images, epoch)
        drawn = [member.minibatches(num_images, epoch) for member in self.members]
        return [np.stack(batches) for batches in zip(*drawn, strict=True)]

    def step(self, batch, rate):
        """Move all weights a step against the gradient of one minibatch."""
        rates, decay = rate
        size = batch.shape[-1]
        if size not in self._passes:
            self._passes[size] = Passes(self, size)
        passes = self._passes[size]
        self._images.take(batch, axis=0, out=passes.images, mode="clip")
        self._one_hot.take(batch, axis=0, out=passes.targets, mode="clip")
        passes.forward()
        passes.backward((rates / size).astype(self.weights.dtype))
        if decay is not None:
            np.multiply(self.weights, decay, out=self.weights)
        np.subtract(self.weights, self.gradient, out=self.weights)

    def read(self, recipe, mean):
        """Copy a recipe's weights out: the present iterate, or `mean` if it averages."""
        vector = mean if recipe.average_epochs else self.weights
        return vector[self._places[trajectory(recipe)]]

    def blocks(self, vector):
        """View a vector of all weights as [W b] of each hidden layer, then of the last layers."""
        parts = np.split(vector, np.cumsum([math.prod(shape) for shape in self._shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _find(self, k):
        """Find the places of the k-th member's weights, in the order of `network.unpack`."""
        *hidden, last = self.blocks(np.arange(self.weights.size))
        layers = [*(W[k] for W in hidden[: self.depths[k]]), last[k]]
        return network.pack([(W[:, :-1], W[:, -1]) for W in layers])

    def _check(self, recipes):
        deepest = self.members[0]
        for recipe in recipes:
            sizes = recipe.layer_sizes
            may_end_early = recipe.schedule == "constant" and not recipe.average_epochs
            fits = (
                sizes == (*deepest.layer_sizes[: len(sizes) - 1], sizes[-1])
                and sizes[-2:] == deepest.layer_sizes[-2:]
                and recipe.batch_size == deepest.batch_size
                and recipe.average_epochs in (0, self.average_epochs)
                and (may_end_early or recipe.num_epochs == self.num_epochs)
            )
            if not fits:
                raise ValueError(f"{recipe} cannot share a lane with {deepest}")


class Passes:
    """Forward and backward pass of a lane over minibatches of one size.

    A block [W b] reads h and writes z; on the way back it reads delta, the gradient of z, and
    writes its own gradient and, in `below`, that of h. Lists hold the arguments of every product.
    """

    def __init__(self, lane, size):
        *hidden, last = zip(lane.blocks(lane.weights), lane.blocks(lane.gradient), strict=True)
        num_members, num_classes, _ = last[0].shape
        own, dtype = () if lane.is_shared else (num_members,), lane.weights.dtype
        self.images = np.empty((*own, size, lane.members[0].layer_sizes[0] + 1), dtype)
        self.targets = np.empty((*own, size, num_classes), dtype)
        logits, self._delta = np.empty((2, num_members, num_classes, size), dtype)
        self._logits, self._column = logits, np.empty((num_members, 1, size), dtype)
        outputs = [np.ones((len(W), W.shape[1] + 1, size), dtype) for W, _ in hidden]
        self._h = [self.images.mT, *outputs]
        self._below = [np.empty_like(h) for h in self._h]
        self._back = [[] for _ in self._h]
        self._hidden, self._last = [], []
        for n, (W, gradient) in enumerate(hidden):
            z, delta = self._h[n + 1][:, :-1], self._below[n + 1][:, :-1]
            product = self._bind(n, slice(len(W)), W, gradient, z, delta)
            self._hidden.append((product, z, np.zeros(z.shape[1:], dtype)))
        for depth in set(lane.depths):
            start = lane.depths.index(depth)
            part = slice(start, start + lane.depths.count(depth))
            mine = [array[part] for array in (*last, logits, self._delta)]
            self._last.append(self._bind(depth, part, *mine))

    def _bind(self, n, part, W, gradient, z, delta):
        """List the products of a block that reads h[n][part]: W h, delta h.T and W.T delta."""
        h, below = (M[part] if M.ndim == 3 else M for M in (self._h[n], self._below[n]))
        self._back[n].append((cut_rows(delta, h.mT, gradient), (W.mT, delta, below)))
        return cut_columns(W, h, z)

    def forward(self):
        """Compute the logits: each layer is max([W b] [h; 1], 0), the last without max."""
        for product, z, zeros in self._hidden:
            np.matmul(*product)
            np.maximum(z, zeros, out=z)
        for product in self._last:
            np.matmul(*product)

    def backward(self, scale):
        """Backpropagate delta = (softmax(logits) - targets) * scale into the lane's gradient."""
        delta = self._softmax()
        np.subtract(delta, self.targets.mT, out=delta)
        np.multiply(delta, scale, out=delta)
        for n in range(len(self._h) - 1, 0, -1):
            h, below = self._h[n], self._below[n]
            for to_gradient, to_below in self._back[n]:
                np.matmul(*to_gradient)
                np.matmul(*to_below)
            np.greater(h, ZERO, out=h)  # 1 where z > 0, else 0; h itself is used up
            np.multiply(below, h, out=below)
        for to_gradient, _ in self._back[0]:
            np.matmul(*to_gradient)

    def _softmax(self):
        column = np.maximum.reduce(self._logits, axis=1, keepdims=True, out=self._column)
        delta = np.subtract(self._logits, column, out=self._delta)
        np.exp(delta, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        return np.divide(delta, column, out=delta)


def cut_columns(A, B, out):
    """View the product A B as several, each with some columns of B, where these are faster.

    OpenBLAS has kernels for small products on AVX-512 that are up to twice as fast as the
    others; a product a few times too large for them is cut into pieces of `SMALL_PRODUCT`.
    """
    count, length = 1, B.shape[-1]
    work = A.shape[-2] * A.shape[-1] * length / SMALL_PRODUCT
    if A.dtype == np.float32 and 1 < work <= 4 and blas_kernels() == "SkylakeX":
        count = min(c for c in range(1, length + 1) if length % c == 0 and work <= c)
    B, out = (np.moveaxis(M.reshape(*M.shape[:-1], count, -1), -2, -3) for M in (B, out))
    return A[..., None, :, :], B, out


def cut_rows(A, B, out):
    """Cut rows of A instead: the columns of the transposed product."""
    B, A, out = cut_columns(B.mT, A.mT, out.mT)
    return A.mT, B.mT, out.mT
