"""The fast step: the step of `helpers.sgd` for several networks at once, in buffers made once.

A *stack* is a list of networks that train side by side: each NumPy call serves all of them, and a
minibatch that they share is fetched once. They may differ in everything but the batch size and
the widths of their layers. They may differ in depth, too: the deepest come first, so that those
which have a layer l are the first ones of the stack. Every network is bit for bit the one that is
trained alone.

How a step differs from the one on paper, and why:

* from the second layer on [W b] is one matrix and activations end with a row of ones, so that one
  product adds the bias and one gives both gradients; images have no such row, and are not copied;
* -rate / batch_size is multiplied into the small delta of the logits, so that the products give the
  *change* of the weights;
* arrays are made once, in a *workspace* (`helpers.grid.workspace`);
* products are cut, or added to the weights by BLAS itself, where that is faster
  (`helpers.grid.products`).

Left out: which runs should share a stack (`helpers.grid.jobs`).
"""

import math
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from helpers import history, network, sgd
from helpers.grid.workspace import Workspace
from helpers.threads import one_blas_thread


def networks_of(recipes):
    """Find the networks to train: at a constant rate, a shorter run is part of a longer one.

    Returns
    -------
    dict
        Recipe -> list of helpers.recipe.Recipe: the longest run of each network, and all runs that
        are read from its training: it, shorter ones, and averages of its iterates.
    """
    runs_of = defaultdict(list)
    for recipe in dict.fromkeys(recipes):
        length = 0 if recipe.schedule == "constant" else recipe.num_epochs
        steps = replace(recipe, num_epochs=length, average_epochs=0)
        runs_of[steps].append(recipe)
    return {max(runs, key=lambda recipe: recipe.num_epochs): runs for runs in runs_of.values()}


def train(recipes, training, dtype=np.float32):
    """Train runs as one stack.

    Parameters
    ----------
    recipes : sequence of helpers.recipe.Recipe
        With one batch_size, and one width of all hidden layers or equal layer_sizes.
    training : helpers.data.Images
    dtype : dtype

    Returns
    -------
    dict
        Recipe -> ndarray, shape (P,): its weights in the order of `helpers.network.unpack`.

    Raises
    ------
    ValueError
        If the recipes cannot share a stack.
    """
    return train_networks(networks_of(recipes), training, dtype)


def train_networks(networks, training, dtype=np.float32):
    """Train what `networks_of` gives; else as `train`."""
    stack = Stack(networks, training, dtype)
    recipes = [recipe for runs in networks.values() for recipe in runs]
    means = {recipe: history.RunningMean() for recipe in recipes}
    trained = {}
    one_blas_thread()
    with sgd.quiet_overflow():
        for epoch in range(1 + max(recipe.num_epochs for recipe in recipes)):
            if epoch > 0:
                train_epoch(stack, epoch - 1, means)
            for recipe in recipes:
                if recipe.num_epochs == epoch:
                    trained[recipe] = means[recipe].over(stack.read(recipe))
    return trained


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
    """The same layer, from the second on, of neighbouring networks of a stack."""

    level: int
    """How many hidden layers stand before it; it reads the activations of this number."""
    members: slice
    is_last: bool
    matrix: np.ndarray
    """[W b] of each network, shape (count, n_out, n_in + 1)."""
    change: np.ndarray
    """What a step adds to the matrix; of the same shape."""

    @property
    def W(self):
        """ndarray, shape (count, n_out, n_in) : a view of the matrix."""
        return self.matrix[..., :-1]


class Stack:
    """Networks in training side by side.

    Parameters
    ----------
    networks : dict
        As `networks_of` gives it; its recipes as for `train`.
    training : helpers.data.Images
    dtype : dtype

    Attributes
    ----------
    members : list of helpers.recipe.Recipe
        One for each network, the deepest first: the longest of the runs that are read from it.
    hidden : list of (int, int)
        For each hidden layer, how many networks have it, and its units.
    weights, change : ndarray, shape (n,)
        All weights, and what a step adds to them. The arrays below are views of them.
    first_matrix, first_change : ndarray, shape (K, n_1, n_0)
        Of the first layer, without biases.
    biases, bias_changes : ndarray, shape (K, n_1, 1)
        Of the first layer.
    layers : list of Layer
        The other layers: the hidden ones, then the last ones, one for each depth.
    """

    def __init__(self, networks, training, dtype=np.float32):
        self.members = sorted(networks, key=lambda member: -len(member.layer_sizes))
        check_members(self.members)
        self._index = {run: k for k, member in enumerate(self.members) for run in networks[member]}
        self.share_minibatches = len({member.shuffle_seed for member in self.members}) == 1
        self.images = training.images.astype(dtype, copy=False)
        num_classes = self.members[0].layer_sizes[-1]
        self.one_hot = np.eye(num_classes, dtype=dtype)[training.labels]
        self.hidden, self.layers = [], []
        self._make_weights(np.dtype(dtype))
        for k, member in enumerate(self.members):
            self._write(k, network.init_weights(member.layer_sizes, member.seed, dtype))
        self._workspaces = {}

    def _make_weights(self, dtype):
        """Make one vector of all weights and one of all changes, and views of them."""
        num_members, sizes = len(self.members), self.members[0].layer_sizes
        depths = [len(member.layer_sizes) - 2 for member in self.members]
        for number in range(depths[0]):
            count = sum(depth > number for depth in depths)
            self.hidden.append((count, sizes[number + 1]))
        others = arrange_layers(depths)
        shapes = [(num_members, sizes[1], sizes[0]), (num_members, sizes[1], 1)]
        shapes += [shape_of(sizes, *layer) for layer in others]
        self.weights, self.first_matrix, self.biases, *matrices = make_views(shapes, dtype)
        self.change, self.first_change, self.bias_changes, *changes = make_views(shapes, dtype)
        for layer, matrix, change in zip(others, matrices, changes, strict=True):
            self.layers.append(Layer(*layer, matrix, change))

    def _layers_of(self, k):
        """View the k-th network as `layers`, [(W_1, b_1), ...], as `helpers.network` wants them."""
        own = [(self.first_matrix[k], self.biases[k, :, 0])]
        for layer in self.layers:
            if layer.members.start <= k < layer.members.stop:
                number = k - layer.members.start
                own.append((layer.W[number], layer.matrix[number, :, -1]))
        return own

    def _write(self, k, weights):
        layers = network.unpack(weights, self.members[k].layer_sizes)
        for (own_W, own_b), (W, b) in zip(self._layers_of(k), layers, strict=True):
            own_W[...] = W
            own_b[...] = b

    def read(self, recipe):
        """Copy the present weights of a run, shape (P,)."""
        return network.pack(self._layers_of(self._index[recipe]))

    def set_rates(self, epoch):
        """Take the learning rates of an epoch, and the factors by which L2 shrinks matrices."""
        rates = np.array([member.rate(epoch) for member in self.members])
        shrink = 1 - rates * [member.alpha for member in self.members]
        self._rates, self._scales = rates[:, None, None], {}
        has_l2 = (shrink != 1).any()
        self._shrink = shrink[:, None, None].astype(self.weights.dtype) if has_l2 else None

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
        if batch_size not in self._scales:
            self._scales[batch_size] = (-self._rates / batch_size).astype(self.weights.dtype)
        workspace = self._workspaces[batch_size]
        workspace.fetch(self.images, self.one_hot, batch)
        workspace.forward()
        workspace.backward(self._scales[batch_size])
        workspace.update(self._shrink)


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


def arrange_layers(depths):
    """List the layers from the second on of networks with so many hidden layers.

    Parameters
    ----------
    depths : list of int
        The deepest first.

    Returns
    -------
    list of (int, slice, bool)
        As in `Layer`: level, members, is_last.
    """
    layers = []
    for level in range(1, depths[0]):
        count = sum(depth > level for depth in depths)
        layers.append((level, slice(0, count), False))
    for depth in dict.fromkeys(depths):
        if depth > 0:  # without a hidden layer the first layer is the last
            first = depths.index(depth)
            layers.append((depth, slice(first, first + depths.count(depth)), True))
    return layers


def shape_of(sizes, level, members, is_last):
    """Say the shape of [W b] of a layer as `arrange_layers` gives it."""
    n_out = sizes[-1] if is_last else sizes[level + 1]
    return members.stop - members.start, n_out, sizes[level] + 1


def make_views(shapes, dtype):
    """Make a vector, and arrays that are views of it, one after the other; vector first."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    vector = np.empty(ends[-1], dtype)
    parts = np.split(vector, ends[:-1])
    views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return vector, *views
