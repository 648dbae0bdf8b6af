"""The training of the grid in the hand-out: one network after the other, with your own step.

The full project trains several at once, in buffers made once. This is slower, and the same.
"""

import numpy as np

from helpers import network, sgd


def train(recipes, training, dtype=np.float32, on_epoch=None):
    """Train recipes: {recipe: weights}; `on_epoch` gets the same for each one that has ended."""
    images, found = training.images.astype(dtype), {}

    def step_on(batch, rate):
        sgd.step(layers, images[batch], training.labels[batch], rate, recipe.alpha)

    with sgd.one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        for recipe in recipes:
            weights = network.init_weights(recipe.layer_sizes, recipe.seed, dtype)
            layers = network.unpack(weights, recipe.layer_sizes)
            *_, found[recipe] = sgd.descend(recipe, len(images), weights, step_on)
            if on_epoch:
                on_epoch(recipe.num_epochs, {recipe: found[recipe]})
    return found
