"""The search: one training after the other, with your own functions.

The full project trains several networks at once, in several processes, and can be stopped.
"""

import time

import numpy as np

from helpers import data, network, sgd
from helpers.grid.runs import Run


def search(recipes, folder, open_executor, on_progress=print, beyond=(), repeats=lambda runs: ()):
    """Train recipes, and then those that `repeats` makes of their runs: {recipe: Run}.

    `folder` and `open_executor` are taken as in the full project, and not used.
    """
    start = time.monotonic()
    finished = {}

    def train_all(wanted):
        for recipe in wanted:
            if recipe not in finished:
                scores_and_weights = train(recipe)
                finished[recipe] = Run(recipe, *scores_and_weights, time.monotonic() - start)
                on_progress(f"{len(finished)} runs trained")

    train_all([*recipes, *beyond])
    train_all(repeats(finished))
    return finished


def train(recipe):
    """Train one network: validation cross-entropy, accuracy, weights; NaN if it diverges."""
    training, validation = data.load_training()
    try:
        trained = sgd.train(recipe, training, validation)
    except sgd.DivergedError:
        return np.nan, np.nan, network.init_weights(recipe.layer_sizes, recipe.seed)
    scores = sgd.evaluate(trained.layers, validation)
    return *map(float, scores), trained.weights
