import numpy as np

from helpers import network, sgd


def train(recipes, training, dtype=np.float32, on_epoch=None):
    """Train recipes, in this hand-out one after the other with the step of `helpers.sgd`.

    Returns {recipe: weights}; `on_epoch` gets the same for each recipe when it has ended.
    """
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
