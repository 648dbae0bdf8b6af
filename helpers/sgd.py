"""Mini-batch stochastic gradient descent: recipe, minibatches, the step, the loop.

The step is w <- w - rate * gradient, on paper and here; `train` is the loop around it. Training
runs in float32 unless told otherwise, and with one BLAS thread.

What the functions share: `training` and `validation` are `helpers.data.Images`, images of shape
(n, n_0) with labels of shape (n,); `layers` is [(W_1, b_1), ...] as in `helpers.network`.

Left out on purpose: momentum, adaptive rates, early stopping, augmentation. None of them earned
its line on this data; a running average of the late iterates, L2 and a cosine rate did.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from math import cos, pi

import numpy as np

from helpers import network
from helpers.errors import OneLineError
from helpers.threads import one_blas_thread

AVERAGE_EVERY = 100
"""Steps between two iterates that enter the running average; a shorter epoch gives its last."""
NUM_WATCHED = 6_000
"""Training images, the first ones, on which the training curves are measured."""


class DivergedError(OneLineError):
    """The weights, or the cross-entropy, are no longer finite numbers.

    Attributes
    ----------
    epoch, step : int
        Where it happened, both counted from 1.
    rate : float
        The learning rate of that epoch.
    history : History
        The curves of the epochs before it.
    """

    def __init__(self, epoch, step, rate, history):
        self.epoch, self.step, self.rate, self.history = epoch, step, rate, history
        before = history.training_cross_entropy[-1]
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}, at learning rate {rate:g} "
            f"(cross-entropy before this epoch: {before:.4g}); choose a smaller learning_rate"
        )


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

    def __post_init__(self):
        # A list, as JSON has it, becomes a tuple: recipes are keys of dicts.
        object.__setattr__(self, "layer_sizes", tuple(self.layer_sizes))

    def rate(self, epoch):
        """Look up the learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + cos(pi * epoch / self.num_epochs))

    def averages(self, epoch, number, num_batches):
        """Tell whether the iterate after a step enters the running average.

        The `number`-th step, from 1, of an epoch, from 0, that has `num_batches` of them.
        """
        is_late = epoch >= self.num_epochs - self.average_epochs
        return is_late and number % min(AVERAGE_EVERY, num_batches) == 0


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


class RunningMean:
    """The mean of iterates, w_mean <- w_mean + (w - w_mean) / k, without keeping them.

    Averaging the late iterates of SGD takes out much of their noise (Polyak and Juditsky 1992,
    SIAM Journal on Control and Optimization 30, 838-855).
    """

    def __init__(self):
        self.count = 0
        self.mean = np.zeros(())

    def add(self, weights):
        """Take one more iterate, shape (P,), into the mean, which is kept in float64."""
        self.count += 1
        self.mean = self.mean + (weights - self.mean) / self.count

    def over(self, weights):
        """Give the mean in the dtype of `weights`; a copy of them if nothing was added yet."""
        return self.mean.astype(weights.dtype) if self.count else weights.copy()


@dataclass
class History:
    """Learning curves, an entry after each epoch, from epoch 0 (the initial weights) on.

    They describe the network that training would return after that epoch. Training curves are
    measured on the first `NUM_WATCHED` images, validation curves on all.
    """

    training_cross_entropy: list = field(default_factory=list)
    training_accuracy: list = field(default_factory=list)
    validation_cross_entropy: list = field(default_factory=list)
    validation_accuracy: list = field(default_factory=list)

    def __len__(self):
        return len(self.training_cross_entropy)

    def measure(self, layers, training, validation):
        """Measure a network and append what is found to the curves."""
        on_training = evaluate(layers, training.first(NUM_WATCHED))
        on_validation = evaluate(layers, validation)
        self.training_cross_entropy.append(float(on_training[0]))
        self.training_accuracy.append(float(on_training[1]))
        self.validation_cross_entropy.append(float(on_validation[0]))
        self.validation_accuracy.append(float(on_validation[1]))

    def line(self):
        """Say the last epoch in one line of at most 75 characters."""
        return (
            f"epoch {len(self) - 1:3d}  training: {self.training_cross_entropy[-1]:.4f}, "
            f"{self.training_accuracy[-1]:6.2%}  validation: "
            f"{self.validation_cross_entropy[-1]:.4f}, {self.validation_accuracy[-1]:6.2%}"
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives back."""

    recipe: Recipe
    weights: np.ndarray
    """Shape (P,)."""
    history: History

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights."""
        return network.unpack(self.weights, self.recipe.layer_sizes)

    @property
    def interrupted(self):
        """bool : whether Ctrl-C, or the stop button, ended training before its last epoch."""
        return len(self.history) <= self.recipe.num_epochs


def train(recipe, training, validation, on_epoch=lambda history: None, dtype=np.float32):
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
        With the last iterate, or, if the recipe averages, the mean of the late ones. After an
        interrupt, the weights and curves of the epochs that were completed.

    Raises
    ------
    DivergedError
        Names epoch, step and rate, and holds the curves so far.
    """
    images, labels = training.images.astype(dtype, copy=False), training.labels
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
    layers = network.unpack(weights, recipe.layer_sizes)  # views: a step moves the weights
    result, average, history = weights.copy(), RunningMean(), History()
    with one_blas_thread(), quiet_overflow(), suppress(KeyboardInterrupt):
        history.measure(layers, training, validation)
        on_epoch(history)
        for epoch in range(recipe.num_epochs):
            rate = recipe.rate(epoch)
            batches = minibatches(len(labels), recipe.batch_size, [recipe.shuffle_seed, epoch])
            for number, batch in enumerate(batches, start=1):
                step(layers, images[batch], labels[batch], rate, recipe.alpha)
                if not np.isfinite(layers[-1][1]).all():  # the biases of the logits go first
                    raise DivergedError(epoch + 1, number, rate, history)
                if recipe.averages(epoch, number, len(batches)):
                    average.add(weights)
            reached = average.over(weights)
            history.measure(network.unpack(reached, recipe.layer_sizes), training, validation)
            result = reached
            on_epoch(history)
    return Trained(recipe, result, history)


def quiet_overflow():
    """Let numbers overflow without a warning: whoever trains looks for divergence itself."""
    return np.errstate(over="ignore", invalid="ignore")


def step_losses(recipe, training, num_steps, dtype=np.float32):
    """Train for a few steps and watch the cross-entropy of each minibatch before its own step.

    Returns
    -------
    ndarray, shape (num_steps,)
        Without the L2 term; NaN from the step on at which the cross-entropy is no longer finite.
    """
    losses = np.full(num_steps, np.nan)
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
    layers = network.unpack(weights, recipe.layer_sizes)
    done = 0
    with one_blas_thread(), quiet_overflow():
        for epoch in count():
            seed = [recipe.shuffle_seed, epoch]
            for batch in minibatches(len(training.labels), recipe.batch_size, seed):
                images, labels = training.images[batch].astype(dtype), training.labels[batch]
                loss = network.cross_entropy(layers, images, labels)
                if done == num_steps or not np.isfinite(loss):
                    return losses
                losses[done] = loss
                done += 1
                step(layers, images, labels, recipe.rate(epoch), recipe.alpha)


def evaluate(layers, data):
    """Measure networks on `helpers.data.Images`: (cross_entropy, accuracy), each of shape (...)."""
    with one_blas_thread():
        _, logits = network.forward(layers, data.images)
    cross_entropy = network.log_loss(logits, data.labels)
    is_right = logits.argmax(axis=-2) == data.labels
    return cross_entropy, is_right.mean(axis=-1)
