"""Mini-batch stochastic gradient descent on one network, or on a stack of them at once.

A step is w <- w - rate * gradient, with the gradient of `helpers.network.backprop`: the same
`Passes`, run in float32 with the rate folded into delta. A stack is several recipes that see the
same minibatches; its members come out bit for bit as if each had been trained alone.

Left out on purpose: momentum, adaptive rates, early stopping, augmentation. None of them earned
its line on this data; a running average of the late iterates, L2 and a cosine rate did.
"""

from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from helpers import network
from helpers.network import Passes
from helpers.notebook.settings import Settings, setting

AVERAGE_EVERY = 100
"""Steps between two iterates that enter the running average; a shorter epoch gives its last."""
NUM_WATCHED = 6_000
"""Training images, the first ones, on which the training curves are measured."""


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that decides how one network is trained."""

    layer_sizes: tuple[int, ...] = setting("width of each layer, input first", at_least=1, length=2)
    num_epochs: int = setting("passes over the training images", at_least=0)
    batch_size: int = setting("images a step", at_least=1)
    learning_rate: float = setting("step size", above=0)
    alpha: float = setting("strength of the L2 penalty", at_least=0, default=0.0)
    schedule: str = setting(
        "how the rate goes on", one_of=("constant", "cosine"), default="constant"
    )
    average_epochs: int = setting("last epochs that are averaged", at_least=0, default=0)
    seed: int = setting("seed of the initial weights", at_least=0, default=0)
    shuffle_seed: int = setting("seed of the minibatches", at_least=0, default=0)

    def rate(self, epoch):
        """Look up the learning rate of an epoch.

        Parameters
        ----------
        epoch : int
            From 0.

        Returns
        -------
        float
            For "cosine", half a wave from `learning_rate` towards 0 (Loshchilov and Hutter 2017,
            arXiv:1608.03983, eq. 5, without restarts), one value an epoch.
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / self.num_epochs))


class DivergedError(ArithmeticError):
    """The cross-entropy is no longer a finite number."""


class SGD:
    """The trainer: the only object here that changes.

    Parameters
    ----------
    recipes : Recipe or sequence of Recipe
        A sequence trains a stack: they may differ in learning_rate, alpha, schedule,
        average_epochs and seed, not in what decides shape and minibatches.
    training : helpers.data.Images
    dtype : dtype

    Attributes
    ----------
    epoch : int
        Epochs completed.
    weights, average : ndarray, shape (P,) or (K, P)
        The present iterate, and the mean of the late ones, in the canonical order.

    Raises
    ------
    ValueError
        If the recipes cannot share minibatches, or batch_size exceeds the number of images.
    """

    def __init__(self, recipes, training, dtype=np.float32):
        alone = isinstance(recipes, Recipe)
        self.recipes = [recipes] if alone else list(recipes)
        self.recipe = _common(self.recipes, len(training.labels))
        self.epoch = 0
        initial = [network.init_weights(self.layer_sizes, r.seed, dtype) for r in self.recipes]
        weights = initial[0] if alone else np.stack(initial)
        self._weights = network.join_biases(weights, self.layer_sizes)
        self._average, self._num_averaged = np.zeros_like(self._weights, np.float64), 0
        self._images = with_ones(training.images, dtype)
        self._one_hot = network.one_hot(training.labels, self.layer_sizes[-1], dtype)
        self._gradient = np.empty_like(self._weights)
        self._decay = np.ones_like(self._weights)
        size, rest = self.recipe.batch_size, len(training.labels) % self.recipe.batch_size
        self._passes = self._make_passes(size)
        self._last_passes = self._make_passes(rest) if rest else self._passes

    @property
    def layer_sizes(self):
        """tuple of int : width of each layer, input first."""
        return self.recipe.layer_sizes

    @property
    def weights(self):
        """ndarray, shape (P,) or (K, P) : a copy of the present iterate, canonical order."""
        return network.split_biases(self._weights, self.layer_sizes)

    @property
    def average(self):
        """ndarray like `weights` : the running average, or the iterate before it has begun."""
        if not self._num_averaged:
            return self.weights
        mean = self._average.astype(self._weights.dtype)
        return network.split_biases(mean, self.layer_sizes)

    @property
    def result(self):
        """ndarray like `weights` : for each member, the average if its recipe asks for it."""
        averaged = np.array([r.average_epochs > 0 for r in self.recipes])
        averaged = averaged.reshape(*self._weights.shape[:-1], 1)
        return np.where(averaged, self.average, self.weights)

    def meter(self, images):
        """Prepare to measure the network in training on fixed images, without copying them anew.

        Parameters
        ----------
        images : helpers.data.Images

        Returns
        -------
        callable
            Returns (cross_entropy, accuracy), each of shape () or (K,), of the present iterate.
        """
        passes = Passes(self._weights, self.layer_sizes, len(images.labels))
        passes.images[:, :-1] = images.images

        def read():
            logits = passes.forward()
            return (
                network.log_loss(logits, images.labels),
                network.accuracy(logits, images.labels),
            )

        return read

    def run_epoch(self):
        """Visit every training image once, in an order drawn anew, the short last batch too."""
        rng = np.random.default_rng([self.recipe.shuffle_seed, self.epoch])
        order = rng.permutation(len(self._images))
        targets = self._one_hot.take(order, axis=1)
        scales, decay = self._rates()
        averaging = self.epoch >= self.recipe.num_epochs - self.recipe.average_epochs
        size = self.recipe.batch_size
        starts = range(0, len(order), size)
        every = min(AVERAGE_EVERY, len(starts))
        for step, start in enumerate(starts, start=1):
            batch = slice(start, start + size)
            index = order[batch]
            passes = self._passes if len(index) == size else self._last_passes
            self._images.take(index, axis=0, out=passes.images, mode="clip")
            passes.forward()
            passes.backward(targets[:, batch], scales[len(index)])
            if decay is not None:
                np.multiply(self._weights, decay, out=self._weights)
            np.subtract(self._weights, self._gradient, out=self._weights)
            if averaging and step % every == 0:
                self._include_in_average()
        self.epoch += 1

    def _make_passes(self, size):
        return Passes(self._weights, self.layer_sizes, size, self._gradient)

    def _rates(self):
        """Fold this epoch's rates into the factors of a step: rate / batch size, and L2 decay."""
        rates = np.array([r.rate(self.epoch) for r in self.recipes])
        shrink = 1 - rates * [r.alpha for r in self.recipes]
        stack, dtype = self._weights.shape[:-1], self._weights.dtype
        column = rates.reshape(*stack, 1, 1) if stack else rates[0]
        sizes = {len(p.images) for p in (self._passes, self._last_passes)}
        scales = {size: np.asarray(column / size, dtype) for size in sizes}
        for layer in network.layers(self._decay, self.layer_sizes):
            layer[..., :-1] = shrink.reshape(*stack, 1, 1)
        return scales, self._decay if any(r.alpha for r in self.recipes) else None

    def _include_in_average(self):
        self._num_averaged += 1
        self._average += (self._weights - self._average) / self._num_averaged


@dataclass
class History:
    """Learning curves, one entry an epoch, from epoch 0 (the initial weights) on.

    Attributes
    ----------
    training_cross_entropy, training_accuracy : list of ndarray, shapes () or (K,)
        On the first `NUM_WATCHED` training images, after the epoch.
    validation_cross_entropy, validation_accuracy : list of ndarray, shapes () or (K,)
        On all validation images, after the epoch.
    """

    training_cross_entropy: list = field(default_factory=list)
    training_accuracy: list = field(default_factory=list)
    validation_cross_entropy: list = field(default_factory=list)
    validation_accuracy: list = field(default_factory=list)

    def __len__(self):
        return len(self.training_cross_entropy)

    def __repr__(self):
        return f"History of {len(self) - 1} epochs: {self.line()}" if len(self) else "History()"

    def add(self, training, validation):
        """Append the (cross_entropy, accuracy) pairs of one epoch.

        Parameters
        ----------
        training, validation : tuple of ndarray

        Raises
        ------
        DivergedError
            If the training cross-entropy is not finite; nothing is appended.
        """
        if not np.isfinite(training[0]).all():
            last = f"{np.max(self.training_cross_entropy[-1]):.4g}" if len(self) else "never"
            raise DivergedError(
                f"training diverged in epoch {len(self)} (cross-entropy before it: {last}); "
                f"choose a smaller learning_rate"
            )
        self.training_cross_entropy.append(training[0])
        self.training_accuracy.append(training[1])
        self.validation_cross_entropy.append(validation[0])
        self.validation_accuracy.append(validation[1])

    def line(self):
        """Say the last epoch in one line, e.g. for a progress report.

        Returns
        -------
        str
        """
        return (
            f"epoch {len(self) - 1:3d}   "
            f"training: cross-entropy {np.mean(self.training_cross_entropy[-1]):.4f}, "
            f"accuracy {np.mean(self.training_accuracy[-1]):6.2%}   "
            f"validation: {np.mean(self.validation_cross_entropy[-1]):.4f}, "
            f"{np.mean(self.validation_accuracy[-1]):6.2%}"
        )


@dataclass(frozen=True)
class Trained:
    """What training gives back.

    Attributes
    ----------
    weights : ndarray of float32, shape (P,) or (K, P)
    history : History
    interrupted : bool
        Whether Ctrl-C (or the stop button) ended it early.
    """

    weights: np.ndarray
    history: History
    interrupted: bool = False


def train(recipes, training, validation, on_epoch=None, dtype=np.float32):
    """Train by mini-batch SGD and keep the learning curves.

    Parameters
    ----------
    recipes : Recipe or sequence of Recipe
        See `SGD`.
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
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        sgd = SGD(recipes, training, dtype)
        meters = sgd.meter(training.first(NUM_WATCHED)), sgd.meter(validation)
        history, weights = History(), sgd.weights
        try:
            while True:
                history.add(*(read() for read in meters))
                weights = sgd.result
                if on_epoch:
                    on_epoch(history)
                if sgd.epoch == sgd.recipe.num_epochs:
                    return Trained(weights, history)
                sgd.run_epoch()
        except KeyboardInterrupt:
            return Trained(weights, history, interrupted=True)


def evaluate(weights, layer_sizes, data):
    """Measure finished networks.

    Parameters
    ----------
    weights : ndarray, shape (..., P)
    layer_sizes : sequence of int
    data : helpers.data.Images

    Returns
    -------
    cross_entropy, accuracy : ndarray, shape (...)
    """
    with one_blas_thread():
        logits = network.forward(weights, layer_sizes, data.images)[-1]
        return network.log_loss(logits, data.labels), network.accuracy(logits, data.labels)


def one_blas_thread():
    """Hold BLAS to one thread: same bits everywhere, and no threads spinning on small products.

    Returns
    -------
    context manager
    """
    return threadpool_limits(1, user_api="blas")


def with_ones(images, dtype):
    """Copy images with a last column of ones, the input of every bias.

    Parameters
    ----------
    images : ndarray, shape (n, n_0)
    dtype : dtype

    Returns
    -------
    ndarray, shape (n, n_0 + 1)
    """
    joined = np.ones((len(images), images.shape[1] + 1), dtype)
    joined[:, :-1] = images
    return joined


def _common(recipes, num_images):
    """Check that recipes can train as one stack and return one of them to stand for all."""
    same = "layer_sizes", "num_epochs", "batch_size", "shuffle_seed"
    for name in same:
        values = {getattr(recipe, name) for recipe in recipes}
        if len(values) != 1:
            raise ValueError(f"a stack needs one {name}, found {sorted(values)}")
    windows = {recipe.average_epochs for recipe in recipes} - {0}
    if len(windows) > 1:
        raise ValueError(f"a stack averages over one number of epochs, found {sorted(windows)}")
    if recipes[0].batch_size > num_images:
        raise ValueError(
            f"batch_size = {recipes[0].batch_size}: expected at most the number of training "
            f"images, {num_images}"
        )
    return max(recipes, key=lambda recipe: recipe.average_epochs)
