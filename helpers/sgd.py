"""Mini-batch stochastic gradient descent: recipe, minibatches, the step, the loop.

The step is w <- w - rate * gradient, on paper and here. `descend` is the only training loop; it is
given a step, so that `helpers.grid.lanes` can train many networks with the same step in buffers.
Training runs in float32 unless told otherwise, and with one BLAS thread.

Left out on purpose: momentum, adaptive rates, early stopping, augmentation. None of them earned
its line on this data; a running average of the late iterates, L2 and a cosine rate did.
"""

from dataclasses import dataclass, field
from math import cos, pi

import numpy as np
from threadpoolctl import threadpool_limits

from helpers import network

AVERAGE_EVERY = 100
"""Steps between two iterates that enter the running average; a shorter epoch gives its last."""
NUM_WATCHED = 6_000
"""Training images, the first ones, on which the training curves are measured."""


class DivergedError(ArithmeticError):
    """The cross-entropy is no longer a finite number."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how one network is trained.

    Attributes
    ----------
    layer_sizes : tuple of int
        Width of each layer, input first.
    num_epochs, batch_size : int
        Passes over the training images; images per step.
    learning_rate, alpha : float
        Step size; strength of the L2 penalty.
    schedule : str
        "constant", or "cosine": half a wave from `learning_rate` towards 0, one value per epoch
        (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts).
    average_epochs : int
        How many last epochs are averaged; with 0 the result is the last iterate.
    seed, shuffle_seed : int
        Of the initial weights; of the minibatches.
    """

    layer_sizes: tuple[int, ...]
    num_epochs: int
    batch_size: int
    learning_rate: float
    alpha: float = 0.0
    schedule: str = "constant"
    average_epochs: int = 0
    seed: int = 0
    shuffle_seed: int = 0

    def rate(self, epoch):
        """Look up the learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + cos(pi * epoch / self.num_epochs))

    def minibatches(self, num_images, epoch):
        """Draw the minibatches of an epoch; see the function of this name."""
        return minibatches(num_images, self.batch_size, [self.shuffle_seed, epoch])


def minibatches(num_images, batch_size, seed):
    """Draw an epoch: every image once, in an order of its own, the last batch a short one.

    `seed`, an int or a list of int, is another one each epoch.

    Returns
    -------
    list of ndarray of int, shapes (batch_size,)
        Positions of images.
    """
    order = np.random.default_rng(seed).permutation(num_images)
    starts = range(0, num_images, batch_size)
    return [order[start : start + batch_size] for start in starts]


def step(layers, images, labels, rate, alpha=0.0):
    """Move all weights a step against the gradient of one minibatch: w <- w - rate * gradient.

    Parameters
    ----------
    layers : list of (ndarray, ndarray)
        Changed in place; so is the flat vector that they are views of.
    images : ndarray, shape (batch_size, n_0)
    labels : ndarray of int, shape (batch_size,)
    rate, alpha : float
    """
    gradient = network.backprop(layers, images, labels, alpha)
    for (W, b), (dW, db) in zip(layers, gradient, strict=True):
        W -= rate * dW
        b -= rate * db


def descend(recipe, num_images, weights, step):
    """Run the loop of SGD, epoch by epoch.

    Parameters
    ----------
    recipe : Recipe
        Or whatever has its num_epochs, average_epochs, `rate` and `minibatches`.
    num_images : int
    weights : ndarray, shape (P,)
        The initial ones; changed in place.
    step : callable
        Called with a minibatch (positions of images) and the epoch's learning rate.

    Yields
    ------
    ndarray, shape (P,)
        After 0, 1, 2, ... epochs: a copy of the weights, or, once averaging has begun, the
        running mean of the late iterates, w_mean <- w_mean + (w - w_mean) / k.
    """
    mean, k = np.zeros(weights.shape), 0
    yield weights.copy()
    for epoch in range(recipe.num_epochs):
        rate = recipe.rate(epoch)
        batches = recipe.minibatches(num_images, epoch)
        is_late = epoch >= recipe.num_epochs - recipe.average_epochs
        for number, batch in enumerate(batches, start=1):
            step(batch, rate)
            if is_late and number % min(AVERAGE_EVERY, len(batches)) == 0:
                k += 1
                mean += (weights - mean) / k
        yield mean.astype(weights.dtype) if k else weights.copy()


@dataclass
class History:
    """Learning curves, an entry after each epoch, from epoch 0 (the initial weights) on.

    Training curves are measured on the first `NUM_WATCHED` images, validation curves on all.
    """

    training_cross_entropy: list = field(default_factory=list)
    training_accuracy: list = field(default_factory=list)
    validation_cross_entropy: list = field(default_factory=list)
    validation_accuracy: list = field(default_factory=list)

    def __len__(self):
        return len(self.training_cross_entropy)

    def add(self, training, validation):
        """Append the (cross_entropy, accuracy) of one epoch; raise DivergedError if not finite."""
        if not np.isfinite(training[0]):
            last = f"{self.training_cross_entropy[-1]:.4g}" if len(self) else "never finite"
            raise DivergedError(
                f"training diverged in epoch {len(self)} (cross-entropy before it: {last}); "
                f"choose a smaller learning_rate"
            )
        for curve, value in zip(vars(self).values(), (*training, *validation), strict=True):
            curve.append(float(value))

    def line(self):
        """Say the last epoch in one line of at most 75 characters."""
        loss, accuracy, validation_loss, validation_accuracy = (c[-1] for c in vars(self).values())
        return (
            f"epoch {len(self) - 1:3d}  training: {loss:.4f}, {accuracy:6.2%}  "
            f"validation: {validation_loss:.4f}, {validation_accuracy:6.2%}"
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives back; `layers` are views of `weights`, shape (P,).

    `interrupted` tells whether Ctrl-C, or the stop button, ended it early.
    """

    weights: np.ndarray
    layers: list
    history: History
    interrupted: bool = False


def train(recipe, training, validation, on_epoch=None, dtype=np.float32):
    """Train one network and keep its learning curves.

    Parameters
    ----------
    recipe : Recipe
    training, validation : helpers.data.Images
    on_epoch : callable, optional
        Called with the `History` after each epoch, epoch 0 included.
    dtype : dtype

    Returns
    -------
    Trained
        After an interrupt, the weights and curves of the epochs that were completed.

    Raises
    ------
    DivergedError
        Names the epoch and the last finite cross-entropy.
    """
    images, labels = training.images.astype(dtype), training.labels
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
    layers = network.unpack(weights, recipe.layer_sizes)
    watched, history, interrupted = training.first(NUM_WATCHED), History(), False

    def step_on(batch, rate):
        step(layers, images[batch], labels[batch], rate, recipe.alpha)

    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        result = weights.copy()
        try:
            for found in descend(recipe, len(labels), weights, step_on):
                history.add(evaluate(layers, watched), evaluate(layers, validation))
                result = found
                if on_epoch:
                    on_epoch(history)
        except KeyboardInterrupt:
            interrupted = True
    layers = network.unpack(result, recipe.layer_sizes)
    return Trained(result, layers, history, interrupted)


def evaluate(layers, data):
    """Measure networks on `helpers.data.Images`: (cross_entropy, accuracy), each of shape (...)."""
    with one_blas_thread():
        _, logits = network.forward(layers, data.images)
    hits = logits.argmax(axis=-2) == data.labels
    return network.log_loss(logits, data.labels), hits.mean(axis=-1)


def one_blas_thread():
    """Hold BLAS to one thread: same bits everywhere, and no threads spinning on small products."""
    return threadpool_limits(1, user_api="blas")
