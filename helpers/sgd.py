"""Mini-batch stochastic gradient descent: minibatches, the step, the loop.

The step is w <- w - rate * gradient, on paper and here; `train` is the loop around it. Training
runs in float32 unless told otherwise, and with one BLAS thread.

What the functions share: `training` and `validation` are `helpers.data.Images`, images of shape
(n, n_0) with labels of shape (n,); `layers` is [(W_1, b_1), ...] as in `helpers.network`;
`recipe` is a `helpers.recipe.Recipe`.

Left out on purpose: momentum, adaptive rates, early stopping and augmentation, which gained nothing
on this data; a running average of the late iterates, L2 and a cosine rate do.
"""

from contextlib import suppress
from itertools import count, islice

import numpy as np

from helpers import network
from helpers.data import DataError
from helpers.history import DivergedError, History, RunningMean, StoppedError, Trained
from helpers.recipe import Recipe as Recipe  # what `train` takes, also known as sgd.Recipe
from helpers.threads import one_blas_thread

NUM_WATCHED = 6_000
"""Training images, the first ones, on which the training curves are measured."""
PIXEL_LIMIT = 10
"""Pixels larger than that, of either sign, have not been scaled."""


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


def train(recipe, training, validation, on_epoch=lambda history: None, dtype=np.float32):
    """Train one network and keep its learning curves.

    Parameters
    ----------
    recipe : Recipe
    training, validation : helpers.data.Images
        Your own arrays as well: ``Images(images, labels)``, scaled as by `helpers.data.scale`.
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
    StoppedError
        If it is interrupted before its first epoch is complete.
    helpers.data.DataError
        If the images or labels are not such as this network can learn from.
    """
    one_blas_thread()
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
    layers = network.unpack(weights, recipe.layer_sizes)  # views: a step moves the weights
    check_data(layers, training)
    check_data(layers, validation)
    images, labels = training.images.astype(dtype, copy=False), training.labels
    result, average, history = weights.copy(), RunningMean(), History()
    with quiet_overflow(), suppress(KeyboardInterrupt):
        history.add(*measure(layers, training, validation))
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
            layers_reached = network.unpack(reached, recipe.layer_sizes)
            history.add(*measure(layers_reached, training, validation))
            result = reached
            on_epoch(history)
    if len(history) <= min(1, recipe.num_epochs):
        raise StoppedError("stopped before the first epoch was complete: no network was trained")
    return Trained(recipe, result, history)


def check_data(layers, data):
    """Refuse images and labels that these layers cannot learn from.

    Raises
    ------
    DataError
        If the images are not rows of the right width, or not scaled, or if the labels are not a
        class of this network for each image.
    """
    images, labels = data
    num_classes = len(layers[-1][1])
    try:
        network.check_images(layers, images)
        network.one_hot(labels, np.empty((num_classes, len(images))))
    except ValueError as error:
        raise DataError(str(error)) from None
    largest = max(float(images.max()), -float(images.min()))
    if not largest <= PIXEL_LIMIT:
        raise DataError(
            f"images: pixels of {largest:g} are not scaled; "
            "helpers.data.scale maps bytes to numbers from -0.5 to 0.5"
        )


def measure(layers, training, validation):
    """Evaluate a network for its curves: on `NUM_WATCHED` training images, on all of validation."""
    return evaluate(layers, training.first(NUM_WATCHED)), evaluate(layers, validation)


def quiet_overflow():
    """Let numbers overflow without a warning: the infinity or NaN that comes of it says so."""
    return np.errstate(over="ignore", invalid="ignore")


def step_losses(recipe, training, num_steps):
    """Train for a few steps in float32; give the loss of each minibatch before its own step.

    Returns
    -------
    ndarray, shape (num_steps,)
        Without the L2 term; NaN from the step on at which the cross-entropy is no longer finite.
    """
    one_blas_thread()
    losses = np.full(num_steps, np.nan)
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, np.float32)
    layers = network.unpack(weights, recipe.layer_sizes)
    num_images = len(training.labels)
    steps = (
        (epoch, batch)
        for epoch in count()
        for batch in minibatches(num_images, recipe.batch_size, [recipe.shuffle_seed, epoch])
    )
    with quiet_overflow():
        for number, (epoch, batch) in enumerate(islice(steps, num_steps)):
            images, labels = training.images[batch].astype(np.float32), training.labels[batch]
            loss = network.cross_entropy(layers, images, labels)
            if not np.isfinite(loss):
                break
            losses[number] = loss
            step(layers, images, labels, recipe.rate(epoch), recipe.alpha)
    return losses


def evaluate(layers, data):
    """Measure networks on `helpers.data.Images`: (cross_entropy, accuracy), each of shape (...)."""
    one_blas_thread()
    with quiet_overflow():
        _, logits = network.forward(layers, data.images)
        cross_entropy = network.log_loss(logits, data.labels)
    is_right = logits.argmax(axis=-2) == data.labels
    return cross_entropy, is_right.mean(axis=-1)
