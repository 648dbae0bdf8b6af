"""The fast step: the step of `helpers.sgd` for several networks at once, in buffers made once.

A *stack* is a list of networks that train side by side: each NumPy call serves all of them, and a
minibatch that they share is fetched once. They may differ in everything but the batch size and
the widths of their layers. They may differ in depth, too: the deepest come first, so that those
which have a layer l are the first ones of the stack. No product of one network is merged with that
of another, so every network is bit for bit the one that is trained alone.

How a step differs from the one on paper, and why: [W b] is one matrix and activations end with a
row of ones, so that one product adds the bias and one gives both gradients; rate / batch size is
multiplied into the small delta of the logits; arrays are made once, in a *workspace*.

Left out: which runs should share a stack (`helpers.grid.jobs`).
"""

from dataclasses import dataclass

import numpy as np

from helpers import network, sgd
from helpers.grid import jobs
from helpers.grid.machine import blas_kernels

ZERO = np.zeros((), np.float32)
"""A 0-d array: a Python number would be converted again at each call (a measurable cost)."""
SMALL_PRODUCT = 1_000_000
"""Multiply-adds up to which OpenBLAS takes its small-matrix kernels (measured, not documented)."""


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
    weights: np.ndarray
    """[W b] of each network, shape (count, n_out, n_in + 1)."""
    gradient: np.ndarray
    """Of the same shape; what a step subtracts: it includes the learning rate."""


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
    """

    def __init__(self, recipes, training, dtype=np.float32):
        runs_of = jobs.checkpoints(recipes)
        self.members = sorted(runs_of, key=lambda member: -len(member.layer_sizes))
        self.dtype = np.dtype(dtype)
        self._check()
        self._place = {run: k for k, member in enumerate(self.members) for run in runs_of[member]}
        self.share_minibatches = len({member.shuffle_seed for member in self.members}) == 1
        self._make_layers()
        for k, member in enumerate(self.members):
            start = network.init_weights(member.layer_sizes, member.seed, dtype)
            layers = network.unpack(start, member.layer_sizes)
            for own, given in zip(self._layers_of(k), layers, strict=True):
                for array, values in zip(own, given, strict=True):
                    array[...] = values
        self.num_images = len(training.labels)
        ones = np.ones((self.num_images, 1), dtype)
        self.images = np.hstack([training.images, ones], dtype=dtype)
        self.one_hot = np.eye(self.members[0].layer_sizes[-1], dtype=dtype)[training.labels]
        self._workspaces = {}

    def _check(self):
        """Raise ValueError if a network does not fit to the deepest one."""
        deepest = self.members[0]
        *widths, last_width, num_classes = deepest.layer_sizes
        for member in self.members:
            *own_widths, own_last_width, own_classes = member.layer_sizes
            same_widths = own_widths == widths[: len(own_widths)] and own_last_width == last_width
            same_classes = own_classes == num_classes
            same_batches = member.batch_size == deepest.batch_size
            if not (same_widths and same_classes and same_batches):
                raise ValueError(f"{member} cannot share a stack with {deepest}")

    def _make_layers(self):
        """Lay out all weights as one vector, and all gradients as another; layers are views."""
        sizes = self.members[0].layer_sizes
        depths = [len(member.layer_sizes) - 2 for member in self.members]
        plan = []
        for level in range(depths[0]):
            count = sum(depth > level for depth in depths)
            plan.append(
                (level, slice(0, count), False, (count, sizes[level + 1], sizes[level] + 1))
            )
        for depth in dict.fromkeys(depths):
            first, count = depths.index(depth), depths.count(depth)
            shape = count, sizes[-1], sizes[-2] + 1
            plan.append((depth, slice(first, first + count), True, shape))
        total = sum(np.prod(shape) for *_, shape in plan)
        self.weights, self.gradient = np.zeros((2, total), self.dtype)
        self.layers, start = [], 0
        for level, members, is_last, shape in plan:
            end = start + np.prod(shape)
            views = (vector[start:end].reshape(shape) for vector in (self.weights, self.gradient))
            self.layers.append(Layer(level, members, is_last, *views))
            start = end

    def _layers_of(self, k):
        """View the k-th network as `layers`, [(W_1, b_1), ...], as `helpers.network` wants them."""
        found = []
        for layer in self.layers:
            members = range(*layer.members.indices(len(self.members)))
            if k in members:
                own = layer.weights[members.index(k)]
                found.append((own[:, :-1], own[:, -1]))
        return found

    def read(self, recipe):
        """Copy the present weights of a run, shape (P,)."""
        return network.pack(self._layers_of(self._place[recipe]))

    def set_rates(self, epoch):
        """Take the learning rates of an epoch, and the factors by which L2 shrinks matrices."""
        rates = np.array([member.rate(epoch) for member in self.members])
        shrink = 1 - rates * [member.alpha for member in self.members]
        self._rates = rates[:, None, None]
        self._shrink = shrink[:, None, None].astype(self.dtype)
        self._shrinks = (shrink != 1).any()

    def minibatches(self, epoch):
        """Draw an epoch's minibatches: (batch_size,) if all share them, else (K, batch_size)."""
        drawn = {}
        for member in self.members:
            seed = [member.shuffle_seed, epoch]
            if member.shuffle_seed not in drawn:
                batches = sgd.minibatches(self.num_images, member.batch_size, seed)
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
        self.images.take(batch, axis=0, out=workspace.images, mode="clip")
        self.one_hot.take(batch, axis=0, out=workspace.targets, mode="clip")
        workspace.forward()
        workspace.backward((self._rates / batch_size).astype(self.dtype))
        if self._shrinks:
            for layer in self.layers:
                W = layer.weights[..., :-1]
                np.multiply(W, self._shrink[layer.members], out=W)
        np.subtract(self.weights, self.gradient, out=self.weights)


class Workspace:
    """The arrays of a stack for minibatches of one size, made once, and the passes through them.

    Activations and deltas are features first, (count, n + 1, batch_size); the last row of an
    activation is ones and never written.
    """

    def __init__(self, stack, batch_size):
        num_members, dtype = len(stack.members), stack.dtype
        own = () if stack.share_minibatches else (num_members,)
        num_inputs, num_classes = stack.images.shape[1], stack.one_hot.shape[1]
        self.images = np.empty((*own, batch_size, num_inputs), dtype)
        self.targets = np.empty((*own, batch_size, num_classes), dtype)
        self.logits, self.delta = np.empty((2, num_members, num_classes, batch_size), dtype)
        self.column = np.empty((num_members, 1, batch_size), dtype)  # a number for each image
        self.activations = [self.images.mT]
        for layer in stack.layers:
            if not layer.is_last:
                count, n_out, _ = layer.weights.shape
                self.activations.append(np.ones((count, n_out + 1, batch_size), dtype))
        self.deltas = [np.empty_like(h) for h in self.activations]
        self._forward, self._backward = [], [[] for _ in self.activations]
        for layer in stack.layers:
            self._bind(layer)

    def _bind(self, layer):
        """Note the arguments of a layer's products: W h, delta h.T and W.T delta."""
        h, below = self.activations[layer.level], self.deltas[layer.level]
        if h.ndim == 3:
            h, below = h[layer.members], below[layer.members]
        if layer.is_last:
            z, delta = self.logits[layer.members], self.delta[layer.members]
            zeros = None
        else:
            z = self.activations[layer.level + 1][:, :-1]
            delta = self.deltas[layer.level + 1][:, :-1]
            zeros = np.zeros(z.shape[1:], z.dtype)
        self._forward.append((cut_columns(layer.weights, h, z), z, zeros))
        to_gradient = cut_rows(delta, h.mT, layer.gradient)
        to_below = (layer.weights.mT, delta, below)
        self._backward[layer.level].append((to_gradient, to_below))

    def forward(self):
        """Compute the logits: each layer is max([W b] [h; 1], 0), the last without max."""
        for product, z, zeros in self._forward:
            np.matmul(*product)
            if zeros is not None:
                np.maximum(z, zeros, out=z)

    def backward(self, scale):
        """Backpropagate delta = (softmax(logits) - targets) * scale into the stack's gradient."""
        self._softmax()
        np.subtract(self.delta, self.targets.mT, out=self.delta)
        np.multiply(self.delta, scale, out=self.delta)
        for level in range(len(self.activations) - 1, 0, -1):
            h, below = self.activations[level], self.deltas[level]
            for to_gradient, to_below in self._backward[level]:
                np.matmul(*to_gradient)
                np.matmul(*to_below)
            np.greater(h, ZERO, out=h)  # 1 where z > 0, else 0; h itself is used up
            np.multiply(below, h, out=below)
        for to_gradient, _ in self._backward[0]:
            np.matmul(*to_gradient)

    def _softmax(self):
        column, delta = self.column, self.delta
        np.maximum.reduce(self.logits, axis=1, keepdims=True, out=column)
        np.subtract(self.logits, column, out=delta)
        np.exp(delta, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        np.divide(delta, column, out=delta)


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
