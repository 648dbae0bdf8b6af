"""The search: one training after the other, with your own functions.

The full project trains several networks at once, in several processes, and can be stopped.
"""

import time

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
                finished[recipe] = train(recipe, start)
                on_progress(f"{len(finished)} runs trained")

    train_all([*recipes, *beyond])
    train_all(repeats(finished))
    return finished


def train(recipe, start):
    """Train one network; if it diverges, its scores are not a number."""
    training, validation = data.load_training()
    try:
        trained = sgd.train(recipe, training, validation)
    except sgd.DivergedError:
        weights = network.init_weights(recipe.layer_sizes, recipe.seed)
        return Run(recipe, float("nan"), float("nan"), weights, time.monotonic() - start)
    history = trained.history
    cross_entropy = history.validation_cross_entropy[-1]
    accuracy = history.validation_accuracy[-1]
    return Run(recipe, cross_entropy, accuracy, trained.weights, time.monotonic() - start)
