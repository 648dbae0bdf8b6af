"""The arrays of a stack for minibatches of one size, made once, and what a step does in them.

Activations and deltas are features first, (count, n + 1, batch_size); the last row of an
activation is ones and never changes. Images come first, (batch_size, n_0), or, if each network has
minibatches of its own, (K, batch_size, n_0). Left out: the weights (`helpers.grid.stack`), and why
a product is written as it is (`helpers.grid.products`).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import blas

from helpers.grid import products

ZERO = np.zeros((), np.float32)
"""A 0-d array: a Python number would be converted again at each call (a measurable cost)."""


@dataclass
class Level:
    """What the hidden layers of one number give, and the products that read it."""

    h: np.ndarray
    """Activations, shape (count, n + 1, batch_size)."""
    delta: np.ndarray
    """The gradient of their z; of the same shape, with a last row that nobody reads."""
    zeros: np.ndarray
    """Of the same shape."""
    h_images_first: np.ndarray | None
    """A copy of h, shape (count, batch_size, n + 1), if that is faster."""
    forward: list = field(default_factory=list)
    """Arguments of the products W h."""
    backward: list = field(default_factory=list)
    """Arguments of the products delta h.T and W.T delta."""


def make_level(shape, zeros):
    """Make the arrays of a level; it shares a vector of zeros with others."""
    h = np.ones(shape, zeros.dtype)
    wants_copy = products.wants_images_first(zeros.dtype)
    h_images_first = np.empty(h.mT.shape, h.dtype) if wants_copy else None
    return Level(h, np.empty_like(h), zeros[: h.size].reshape(shape), h_images_first)


class Workspace:
    """A step's arrays.

    Parameters
    ----------
    stack : helpers.grid.stack.Stack
    batch_size : int

    Attributes
    ----------
    images, targets : ndarray, shapes ([K,] batch_size, n_0) and ([K,] batch_size, n_L)
        The minibatch; targets are one-hot labels.
    levels : dict
        Number of a hidden layer, from 1 -> Level.
    logits, delta : ndarray, shape (K, n_L, batch_size)
        The last z, and its gradient.
    """

    def __init__(self, stack, batch_size):
        self.stack = stack
        self._make_arrays(batch_size)
        self._make_levels(batch_size)
        for layer in stack.layers:
            self._note_products(layer)
        self._note_first_products()
        self._note_updates(batch_size)

    def _make_arrays(self, batch_size):
        """Make the arrays of the minibatch and of the last layer."""
        stack, dtype = self.stack, self.stack.weights.dtype
        num_members, num_classes = len(stack.members), stack.one_hot.shape[1]
        own = () if stack.share_minibatches else (num_members,)
        self.images = np.empty((*own, batch_size, stack.images.shape[1]), dtype)
        self.targets = np.empty((*own, batch_size, num_classes), dtype)
        self.logits = np.empty((num_members, num_classes, batch_size), dtype)
        self.delta = np.empty_like(self.logits)
        self._column = np.empty((num_members, 1, batch_size), dtype)  # a number for each image
        self._ones = np.ones((batch_size, 1), dtype)

    def _make_levels(self, batch_size):
        """Make the arrays of the hidden layers."""
        shapes = [(count, num_units + 1, batch_size) for count, num_units in self.stack.hidden]
        size = max(map(math.prod, shapes), default=0)
        zeros = np.zeros(size, self.stack.weights.dtype)  # shared by all: less to fetch
        self.levels = {}
        for number, shape in enumerate(shapes, start=1):
            self.levels[number] = make_level(shape, zeros)

    def _note_products(self, layer):
        """Note the products of a layer that reads what a hidden layer gives."""
        below, members = self.levels[layer.level], layer.members
        if layer.is_last:
            z, delta = self.logits[members], self.delta[members]
        else:
            above = self.levels[layer.level + 1]
            z, delta = above.h[:, :-1], above.delta[:, :-1]
        h = below.h[members]
        h_transposed = h.mT if below.h_images_first is None else below.h_images_first[members]
        below.forward.append(products.cut_columns(layer.matrix, h, z))
        below.backward.append(products.cut_rows(delta, h_transposed, layer.change))
        below.backward.append((layer.matrix.mT, delta, below.delta[members]))

    def _note_first_products(self):
        """Note the products of the first layer, which reads the images."""
        matrix, change = self.stack.first_matrix, self.stack.first_change
        if self.levels:
            above = self.levels[1]
            self._first_z, self._first_delta = above.h[:, :-1], above.delta[:, :-1]
        else:
            self._first_z, self._first_delta = self.logits, self.delta
        self._first_forward = products.cut_columns(matrix, self.images.mT, self._first_z)
        self._first_backward = products.cut_rows(self._first_delta, self.images, change)

    def _note_updates(self, batch_size):
        """Note what is added to the weights, and the products that BLAS adds to them itself."""
        matrix, start = self.stack.first_matrix, 0
        self._added_by_blas = []
        if products.adds_in_place(matrix, batch_size):
            self._gemm = blas.get_blas_funcs("gemm", dtype=matrix.dtype)
            start = matrix.size
            for k, W in enumerate(matrix):
                images = self.images if self.stack.share_minibatches else self.images[k]
                count = products.num_pieces(W, batch_size, len(W))
                deltas = np.split(self._first_delta[k], count)
                for delta, rows in zip(deltas, np.split(W, count), strict=True):
                    self._added_by_blas.append((k, images.T, delta.T, rows.T))
        self._weights, self._change = self.stack.weights[start:], self.stack.change[start:]

    def fetch(self, images, one_hot, batch):
        """Copy a minibatch."""
        images.take(batch, axis=0, out=self.images, mode="clip")
        one_hot.take(batch, axis=0, out=self.targets, mode="clip")

    def forward(self):
        """Compute the logits: each layer is max(W h + b, 0), the last without max."""
        np.matmul(*self._first_forward)
        np.add(self._first_z, self.stack.biases, out=self._first_z)
        for level in self.levels.values():
            # Whole arrays, with their rows of ones: several times as fast as a part of each.
            np.maximum(level.h, level.zeros, out=level.h)
            if level.h_images_first is not None:
                np.copyto(level.h_images_first, level.h.mT)
            for product in level.forward:
                np.matmul(*product)

    def backward(self, scale):
        """Backpropagate delta = (softmax(logits) - targets) * scale into the stack's change."""
        self._softmax()
        np.subtract(self.delta, self.targets.mT, out=self.delta)
        np.multiply(self.delta, scale, out=self.delta)
        for level in reversed(self.levels.values()):
            for product in level.backward:
                np.matmul(*product)
            np.greater(level.h, ZERO, out=level.h)  # 1 where z > 0, else 0; h itself is used up
            np.multiply(level.delta, level.h, out=level.delta)
        np.matmul(self._first_delta, self._ones, out=self.stack.bias_changes)
        if not self._added_by_blas:
            np.matmul(*self._first_backward)

    def _softmax(self):
        column, delta = self._column, self.delta
        np.maximum.reduce(self.logits, axis=1, keepdims=True, out=column)
        np.subtract(self.logits, column, out=delta)
        np.exp(delta, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        np.divide(delta, column, out=delta)

    def update(self, shrink):
        """Shrink the matrices for L2, by a factor for each network or None, and add the change.

        Where BLAS adds, it shrinks, too: C <- A B + beta C.
        """
        stack, betas = self.stack, None
        if shrink is not None:
            for layer in stack.layers:
                np.multiply(layer.W, shrink[layer.members], out=layer.W)
            if self._added_by_blas:
                betas = shrink.ravel().tolist()
            else:
                np.multiply(stack.first_matrix, shrink, out=stack.first_matrix)
        np.add(self._weights, self._change, out=self._weights)
        for k, images, delta, W in self._added_by_blas:
            beta = 1.0 if betas is None else betas[k]
            # alpha, a, b, beta, c, trans_a, trans_b, overwrite_c: by name it would be slower
            self._gemm(1.0, images, delta, beta, W, 0, 0, 1)
