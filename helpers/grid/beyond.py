"""What lies beyond the grid: three options of SGD, one wider network, and an ensemble.

Here are only the recipes and the ensemble's mean; `helpers.grid.search` trains them like any
other unit. Every choice among them is made on validation images. Left out: what was tried and
did not help (momentum, other initial weights, dropout, label smoothing, shifted images).
"""

from dataclasses import replace

import numpy as np

from helpers import data, network
from helpers.grid.search import Unit
from helpers.sgd import Recipe, one_blas_thread

BASE = Recipe((data.NUM_PIXELS, 50, 50, 50, data.NUM_CLASSES), 100, 32, 0.05)
"""A network of the grid's own widths and length; the first line of the comparison."""
OPTIONS = {
    "constant rate": {},
    "average": {"average_epochs": 50},
    "L2": {"alpha": 5e-4},
    "L2, average": {"alpha": 5e-4, "average_epochs": 50},
    "cosine rate": {"schedule": "cosine"},
    "cosine rate, L2": {"schedule": "cosine", "alpha": 5e-4},
    "rate 0.1, L2, average": {"learning_rate": 0.1, "alpha": 5e-4, "average_epochs": 50},
}
"""What each line of the comparison changes in `BASE`."""
WIDE = Recipe((data.NUM_PIXELS, 512, 256, data.NUM_CLASSES), 40, 64, 0.1, 2e-4, average_epochs=20)
"""The wider network; its minibatches are the same for every seed of the initial weights."""
NUM_SEEDS = 4
NUM_MEMBERS = 3


def option_units():
    """Make the units of the comparison: all options as one stack, once a seed.

    Returns
    -------
    list of Unit
    """
    recipes = [replace(BASE, **changes) for changes in OPTIONS.values()]
    return [
        Unit(tuple(replace(r, seed=seed, shuffle_seed=seed) for r in recipes), (BASE.num_epochs,))
        for seed in range(NUM_SEEDS)
    ]


def wide_units():
    """Make the units of the ensemble: a stack that differs only in seed, one member a unit.

    Wide layers gain nothing from being stacked, and single members spread over more workers.

    Returns
    -------
    list of Unit
    """
    return [Unit((replace(WIDE, seed=seed),), (WIDE.num_epochs,)) for seed in range(NUM_MEMBERS)]


def option_name(recipe):
    """Look up what a recipe of the comparison is called.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    str
        A key of `OPTIONS`.
    """
    names = {replace(BASE, **changes): name for name, changes in OPTIONS.items()}
    return names[replace(recipe, seed=0, shuffle_seed=0)]


def mean_probabilities(weights, layer_sizes, images):
    """Average the probabilities of an ensemble.

    Parameters
    ----------
    weights : ndarray, shape (K, P)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)

    Returns
    -------
    ndarray, shape (n_classes, n)
    """
    with one_blas_thread():
        logits = network.forward(weights, layer_sizes, images)[-1]
        return network.softmax(logits.astype(np.float64)).mean(axis=0)
