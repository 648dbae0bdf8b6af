"""The training of the grid in the hand-out: one network after the other, with your own step.

The full project trains several at once, in buffers made once. This is slower, and the same.
"""

import numpy as np

from helpers import history, network, sgd
from helpers.threads import one_blas_thread


def train(recipes, training, dtype=np.float32, on_epoch=lambda epoch, ended: None):
    """Train runs: {recipe: weights}; `on_epoch` gets the same for each one that has ended."""
    found = {}
    one_blas_thread()
    with sgd.quiet_overflow():
        for recipe in recipes:
            found[recipe] = train_one(recipe, training, dtype)
            on_epoch(recipe.num_epochs, {recipe: found[recipe]})
    return found


def train_one(recipe, training, dtype):
    """Train one run; returns its weights, or the mean of its late ones."""
    images, labels = training.images.astype(dtype, copy=False), training.labels
    weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
    layers = network.unpack(weights, recipe.layer_sizes)
    mean = history.RunningMean()
    for epoch in range(recipe.num_epochs):
        batches = sgd.minibatches(len(labels), recipe.batch_size, [recipe.shuffle_seed, epoch])
        for number, batch in enumerate(batches, start=1):
            sgd.step(layers, images[batch], labels[batch], recipe.rate(epoch), recipe.alpha)
            if recipe.averages(epoch, number, len(batches)):
                mean.add(weights)
    return mean.over(weights)
