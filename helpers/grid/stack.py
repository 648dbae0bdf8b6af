"""The fast step: the step of `helpers.sgd` for several networks at once, in buffers made once.

A *stack* is a list of networks that train side by side: each NumPy call serves all of them, and a
minibatch that they share is fetched once. They may differ in everything but the batch size and
the widths of their layers. They may differ in depth, too: the deepest come first, so that those
which have a layer l are the first ones of the stack. No product of one network is merged with that
of another, so every network is bit for bit the one that is trained alone.

How a step differs from the one on paper, and why:

* from the second layer on [W b] is one matrix and activations end with a row of ones, so that one
  product adds the bias and one gives both gradients; images have no such row, and are not copied;
* -rate / batch_size is multiplied into the small delta of the logits, so that the products give the
  *change* of the weights;
* arrays are made once, in a *workspace*;
* where that is faster, the product of the first layer is added to its weights by BLAS itself
  (`adds_in_place`), and products are cut to fit fast kernels (`num_pieces`).

Left out: which runs should share a stack (`helpers.grid.jobs`).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from helpers import network, sgd
from helpers.grid import jobs
from helpers.grid.machine import blas_kernels

ZERO = np.zeros((), np.float32)
"""A 0-d array: a Python number would be converted again at each call (a measurable cost)."""
SMALL_PRODUCT = 1_000_000
"""Multiply-adds up to which OpenBLAS takes its small-matrix kernels (measured, not documented)."""
MOST_PIECES = 4
"""Into how many small products a product may be cut; with more, cutting gains nothing."""


def train(recipes, training, dtype=np.float32, on_epoch=lambda epoch, ended: None):
    """Train runs as one stack.

    Parameters
    ----------
    recipes : sequence of helpers.sgd.Recipe
        With one batch_size, and one width of all hidden layers or equal layer_sizes.
    training : helpers.data.Images
    dtype : dtype
    on_epoch : callable
        Called after each epoch, epoch 0 included, with its number and with {recipe: weights} of
        the runs that end with it.

    Returns
    -------
    dict
        Recipe -> ndarray, shape (P,): its weights in the order of `helpers.network.unpack`.

    Raises
    ------
    ValueError
        If the recipes cannot share a stack.
    """
    stack = Stack(recipes, training, dtype)
    means = {recipe: sgd.RunningMean() for recipe in recipes}
    found = {}
    with sgd.one_blas_thread(), sgd.quiet_overflow():
        for epoch in range(1 + max(recipe.num_epochs for recipe in recipes)):
            if epoch > 0:
                train_epoch(stack, epoch - 1, means)
            ends_here = [recipe for recipe in recipes if recipe.num_epochs == epoch]
            ended = {recipe: means[recipe].over(stack.read(recipe)) for recipe in ends_here}
            on_epoch(epoch, ended)
            found |= ended
    return found


def train_epoch(stack, epoch, means):
    """Take the steps of one epoch, counted from 0."""
    averaging = {recipe: mean for recipe, mean in means.items() if recipe.average_epochs}
    stack.set_rates(epoch)
    batches = stack.minibatches(epoch)
    for number, batch in enumerate(batches, start=1):
        stack.step(batch)
        for recipe, mean in averaging.items():
            if recipe.averages(epoch, number, len(batches)):
                mean.add(stack.read(recipe))


@dataclass
class Layer:
    """The same layer of neighbouring networks of a stack."""

    level: int
    """How many hidden layers stand before it; it reads the activations of this number."""
    members: slice
    is_last: bool
    matrix: np.ndarray
    """[W b] of each network, shape (count, n_out, n_in + 1); of the first layer W alone."""
    change: np.ndarray
    """What a step adds to the matrix; of the same shape."""

    @property
    def W(self):
        """ndarray, shape (count, n_out, n_in) : a view of the matrix."""
        return self.matrix[..., :-1] if self.level else self.matrix


class Stack:
    """Networks in training side by side.

    Parameters
    ----------
    recipes : sequence of helpers.sgd.Recipe
        As for `train`.
    training : helpers.data.Images
    dtype : dtype

    Attributes
    ----------
    members : list of helpers.sgd.Recipe
        One for each network, the deepest first: the longest of the runs that are read from it.
    layers : list of Layer
        The hidden layers, first to last, then the last layers, a group for each depth.
    weights, change : ndarray, shape (n,)
        Of all layers, which are views of them.
    biases, bias_changes : ndarray, shape (K, n_1, 1)
        Of the first layer.
    """

    def __init__(self, recipes, training, dtype=np.float32):
        runs_of = jobs.checkpoints(recipes)
        self.members = sorted(runs_of, key=lambda member: -len(member.layer_sizes))
        check_members(self.members)
        self._place = {run: k for k, member in enumerate(self.members) for run in runs_of[member]}
        self.share_minibatches = len({member.shuffle_seed for member in self.members}) == 1
        self.images = training.images.astype(dtype, copy=False)
        num_classes = self.members[0].layer_sizes[-1]
        self.one_hot = np.eye(num_classes, dtype=dtype)[training.labels]
        self.layers = []
        self._make_layers(np.dtype(dtype))
        self._workspaces = {}
        for k, member in enumerate(self.members):
            self._write(k, network.init_weights(member.layer_sizes, member.seed, dtype))

    def _make_layers(self, dtype):
        """Make one vector of all weights and one of all changes, and views of them as layers."""
        sizes = self.members[0].layer_sizes
        plan = place_layers([len(member.layer_sizes) - 2 for member in self.members])
        shapes = []
        for level, members, is_last in plan:
            n_out = sizes[-1] if is_last else sizes[level + 1]
            n_in = sizes[level] + 1 if level else sizes[0]
            shapes.append((members.stop - members.start, n_out, n_in))
        shapes.insert(1, (*shapes[0][:2], 1))  # the biases of the first layer
        total = sum(math.prod(shape) for shape in shapes)
        self.weights, self.change = np.empty(total, dtype), np.empty(total, dtype)
        matrices, changes = split(self.weights, shapes), split(self.change, shapes)
        self.biases, self.bias_changes = matrices.pop(1), changes.pop(1)
        for place, matrix, change in zip(plan, matrices, changes, strict=True):
            self.layers.append(Layer(*place, matrix, change))

    def _layers_of(self, k):
        """View the k-th network as `layers`, [(W_1, b_1), ...], as `helpers.network` wants them."""
        found = []
        for layer in self.layers:
            if layer.members.start <= k < layer.members.stop:
                own = k - layer.members.start
                b = layer.matrix[own, :, -1] if layer.level else self.biases[own, :, 0]
                found.append((layer.W[own], b))
        return found

    def _write(self, k, weights):
        layers = network.unpack(weights, self.members[k].layer_sizes)
        for (own_W, own_b), (W, b) in zip(self._layers_of(k), layers, strict=True):
            own_W[...] = W
            own_b[...] = b

    def read(self, recipe):
        """Copy the present weights of a run, shape (P,)."""
        return network.pack(self._layers_of(self._place[recipe]))

    def set_rates(self, epoch):
        """Take the learning rates of an epoch, and the factors by which L2 shrinks matrices."""
        rates = np.array([member.rate(epoch) for member in self.members])
        alphas = np.array([member.alpha for member in self.members])
        self.rates = rates[:, None, None]
        self.shrink = (1 - self.rates * alphas[:, None, None]).astype(self.weights.dtype)

    def minibatches(self, epoch):
        """Draw an epoch's minibatches: (batch_size,) if all share them, else (K, batch_size)."""
        drawn = {}
        for member in self.members:
            if member.shuffle_seed not in drawn:
                seed = [member.shuffle_seed, epoch]
                batches = sgd.minibatches(len(self.images), member.batch_size, seed)
                drawn[member.shuffle_seed] = batches
        if self.share_minibatches:
            return batches
        several = zip(*(drawn[member.shuffle_seed] for member in self.members), strict=True)
        return [np.stack(batches) for batches in several]

    def step(self, batch):
        """Move all weights a step against the gradient of one minibatch."""
        batch_size = batch.shape[-1]
        if batch_size not in self._workspaces:
            self._workspaces[batch_size] = Workspace(self, batch_size)
        workspace = self._workspaces[batch_size]
        workspace.fetch(self.images, self.one_hot, batch)
        workspace.forward()
        workspace.backward((-self.rates / batch_size).astype(self.weights.dtype))
        workspace.update(self.shrink)


def check_members(members):
    """Raise ValueError if a network does not fit to the first one, which is the deepest."""
    first = members[0]
    hidden = first.layer_sizes[1:-1]
    for member in members:
        own = member.layer_sizes[1:-1]
        same_widths = own == hidden[: len(own)] and own[-1:] == hidden[-1:]
        same_ends = member.layer_sizes[:1] == first.layer_sizes[:1]
        same_ends &= member.layer_sizes[-1] == first.layer_sizes[-1]
        if not (same_widths and same_ends and member.batch_size == first.batch_size):
            raise ValueError(f"{member} cannot share a stack with {first}")


def place_layers(depths):
    """Find the layers of networks with so many hidden layers, the deepest first.

    Returns
    -------
    list of (int, slice, bool)
        As in `Layer`: level, members, is_last.
    """
    found = []
    for level in range(depths[0]):
        count = sum(depth > level for depth in depths)
        found.append((level, slice(0, count), False))
    for depth in dict.fromkeys(depths):
        first = depths.index(depth)
        found.append((depth, slice(first, first + depths.count(depth)), True))
    return found


def split(vector, shapes):
    """View a vector as arrays, one after the other."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class Workspace:
    """The arrays of a stack for minibatches of one size, made once, and what happens in them.

    Activations and deltas are features first, (count, n + 1, batch_size); the last row of an
    activation is ones and never written. Images come first, (batch_size, n_0), or, if each network
    has minibatches of its own, (K, batch_size, n_0).
    """

    def __init__(self, stack, batch_size):
        self.stack = stack
        num_members, dtype = len(stack.members), stack.weights.dtype
        own = () if stack.share_minibatches else (num_members,)
        num_classes = stack.one_hot.shape[1]
        self.images = np.empty((*own, batch_size, stack.images.shape[1]), dtype)
        self.targets = np.empty((*own, batch_size, num_classes), dtype)
        self.logits, self.delta = np.empty((2, num_members, num_classes, batch_size), dtype)
        self.column = np.empty((num_members, 1, batch_size), dtype)  # a number for each image
        self.ones = np.ones((batch_size, 1), dtype)
        self.activations = [self.images.mT]
        self.deltas = [None]
        for layer in stack.layers:
            if not layer.is_last:
                count, n_out, _ = layer.matrix.shape
                shape = count, n_out + 1, batch_size
                self.activations.append(np.ones(shape, dtype))
                self.deltas.append(np.empty(shape, dtype))
        self._forward = []
        self._backward = [[] for _ in self.activations]
        for layer in stack.layers:
            self._note_products(layer)
        self._note_update()

    def _outputs(self, layer):
        """Find what a layer writes, z, and the gradient of z."""
        if layer.is_last:
            return self.logits[layer.members], self.delta[layer.members]
        above = layer.level + 1
        return self.activations[above][:, :-1], self.deltas[above][:, :-1]

    def _note_products(self, layer):
        """Note the arguments of a layer's products: W h, delta h.T and W.T delta."""
        z, delta = self._outputs(layer)
        h = self.activations[layer.level]
        if layer.level > 0:
            h = h[layer.members]
            to_below = layer.matrix.mT, delta, self.deltas[layer.level][layer.members]
            self._backward[layer.level].append(to_below)
        self._backward[layer.level].append(cut_rows(delta, h.mT, layer.change))
        biases = None if layer.level > 0 else self.stack.biases
        zeros = None if layer.is_last else np.zeros(z.shape[1:], z.dtype)
        self._forward.append((cut_columns(layer.matrix, h, z), z, biases, zeros))

    def _note_update(self):
        """Note what is added to the weights, and the products that BLAS adds to them itself."""
        first, start = self.stack.layers[0], 0
        _, self.first_delta = self._outputs(first)
        self._gemm = blas.get_blas_funcs("gemm", dtype=self.delta.dtype)
        self._added_by_blas = []
        if adds_in_place(first.matrix, self.images.shape[-2]):
            self._backward[0].clear()
            start = first.matrix.size
            for k, W in enumerate(first.matrix):
                images = self.images if self.images.ndim == 2 else self.images[k]
                count = num_pieces(W, len(images), len(W))
                deltas = np.split(self.first_delta[k], count)
                for delta, rows in zip(deltas, np.split(W, count), strict=True):
                    self._added_by_blas.append((k, images.T, delta.T, rows.T))
        self._weights, self._change = self.stack.weights[start:], self.stack.change[start:]

    def fetch(self, images, one_hot, batch):
        """Copy a minibatch."""
        images.take(batch, axis=0, out=self.images, mode="clip")
        one_hot.take(batch, axis=0, out=self.targets, mode="clip")

    def forward(self):
        """Compute the logits: each layer is max(W h + b, 0), the last without max."""
        for product, z, biases, zeros in self._forward:
            np.matmul(*product)
            if biases is not None:
                np.add(z, biases, out=z)
            if zeros is not None:
                np.maximum(z, zeros, out=z)

    def backward(self, scale):
        """Backpropagate delta = (softmax(logits) - targets) * scale into the stack's change."""
        self._softmax()
        np.subtract(self.delta, self.targets.mT, out=self.delta)
        np.multiply(self.delta, scale, out=self.delta)
        for level in range(len(self.activations) - 1, -1, -1):
            for product in self._backward[level]:
                np.matmul(*product)
            if level > 0:
                h, below = self.activations[level], self.deltas[level]
                np.greater(h, ZERO, out=h)  # 1 where z > 0, else 0; h itself is used up
                np.multiply(below, h, out=below)
        np.matmul(self.first_delta, self.ones, out=self.stack.bias_changes)

    def _softmax(self):
        column, delta = self.column, self.delta
        np.maximum.reduce(self.logits, axis=1, keepdims=True, out=column)
        np.subtract(self.logits, column, out=delta)
        np.exp(delta, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        np.divide(delta, column, out=delta)

    def update(self, shrink):
        """Shrink the matrices for L2, by a factor for each network, and add the change.

        Where BLAS adds, it shrinks, too: C <- A B + beta C.
        """
        layers = self.stack.layers[1:] if self._added_by_blas else self.stack.layers
        if (shrink != 1).any():
            for layer in layers:
                np.multiply(layer.W, shrink[layer.members], out=layer.W)
        np.add(self._weights, self._change, out=self._weights)
        betas = shrink.ravel().tolist()
        for k, images, delta, W in self._added_by_blas:
            # alpha, a, b, beta, c, trans_a, trans_b, overwrite_c: by name it would be slower
            self._gemm(1.0, images, delta, betas[k], W, 0, 0, 1)


def adds_in_place(matrix, batch_size):
    """Tell whether BLAS adds the first layer's change to its weights: C <- A B + beta C.

    This saves writing the change and reading it again. But it has to be SciPy's BLAS, whose wheel
    carries an older OpenBLAS (0.3.30) than NumPy's (0.3.31), and the older is slower where products
    are not small. With Haswell kernels one processor gains at batch 16 and another does not, so
    only the small products of AVX-512 kernels are added in place. Microseconds a network in a stack
    of nine, product and sum apart -> in place:

    =========  =====  ============  ============  ============  ============
    kernels    units  Cascade Lake                EPYC (Zen 4)
                      batch 16      batch 64      batch 16      batch 64
    =========  =====  ============  ============  ============  ============
    SkylakeX   30     18.3 -> 11.8  46.8 -> 41.8  12.0 ->  9.8  37.0 -> 34.0
    (cut)      50     36.4 -> 24.3  79.7 -> 67.0  18.5 -> 15.1  55.0 -> 53.8
    Haswell    30     30.2 -> 26.5  72.2 -> 90.6  14.8 -> 16.4  43.2 -> 61.7
    (not cut)  40     38.4 -> 30.3  82.4 -> 98.3  18.4 -> 18.8  51.4 -> 67.0
               50     49.2 -> 36.2  106. -> 116.  23.0 -> 22.2  69.1 -> 82.3
    =========  =====  ============  ============  ============  ============
    """
    is_small = matrix[0].size * batch_size <= MOST_PIECES * SMALL_PRODUCT
    return blas_kernels() == "SkylakeX" and is_small


def num_pieces(matrix, batch_size, length):
    """Say into how many products a product of a matrix and a minibatch is cut.

    OpenBLAS has kernels for small products on AVX-512 that are up to twice as fast as the others;
    a product a few times too large for them is cut along an axis of some `length`. This is worth up
    to 40 % of a product. Other processors have no such kernels.
    """
    work = matrix.shape[-2] * matrix.shape[-1] * batch_size / SMALL_PRODUCT
    has_small_kernels = blas_kernels() == "SkylakeX" and matrix.dtype == np.float32
    if not has_small_kernels or work > MOST_PIECES:
        return 1
    return next(count for count in range(1, length + 1) if length % count == 0 and work <= count)


def cut_columns(matrix, B, out):
    """View the product matrix @ B as several, each with some columns of B."""
    count = num_pieces(matrix, B.shape[-1], B.shape[-1])
    B, out = (np.moveaxis(M.reshape(*M.shape[:-1], count, -1), -2, -3) for M in (B, out))
    return matrix[..., None, :, :], B, out


def cut_rows(delta, h_transposed, change):
    """View the product delta @ h_transposed as several, each with some rows of delta."""
    count = num_pieces(change, delta.shape[-1], delta.shape[-2])
    delta, change = (M.reshape(*M.shape[:-2], count, -1, M.shape[-1]) for M in (delta, change))
    return delta, h_transposed[..., None, :, :], change
