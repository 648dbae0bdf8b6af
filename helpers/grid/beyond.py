"""Networks beyond the grid: options of SGD, a wider network, first layers that can be read.

Here are only the recipes; `helpers.grid.search` trains them like any others. Every choice among
them is made on validation images. Left out: what was tried and did not help (momentum, other
initial weights, dropout, label smoothing, shifted images).
"""

from dataclasses import replace

from helpers import data
from helpers.recipe import Recipe

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
FIRST_LAYER = Recipe(BASE.layer_sizes, 30, 64, 0.1, average_epochs=10)
"""What part D looks at under several strengths of the L2 penalty."""
ALPHAS = (0.0, 1e-3, 3e-3, 6e-3)
TEMPLATES = replace(FIRST_LAYER, layer_sizes=(data.NUM_PIXELS, data.NUM_CLASSES), alpha=3e-3)
"""Softmax regression: without a hidden layer, each class has one picture of weights."""


def options():
    """List the runs of the comparison: every option, `NUM_SEEDS` times.

    Returns
    -------
    dict
        helpers.sgd.Recipe -> its name, a key of `OPTIONS`.
    """
    return {
        replace(BASE, **changes, seed=seed, shuffle_seed=seed): name
        for name, changes in OPTIONS.items()
        for seed in range(NUM_SEEDS)
    }


def members():
    """List the recipes of the ensemble, which differ only in the seed of the initial weights.

    Returns
    -------
    list of helpers.sgd.Recipe
    """
    return [replace(WIDE, seed=seed) for seed in range(NUM_MEMBERS)]


def first_layers():
    """List the networks whose first layers part D draws, all from the same initial weights.

    Returns
    -------
    dict
        helpers.sgd.Recipe -> the name of its files; see `helpers.models.save_model`.
    """
    names = {TEMPLATES: "first_layer_templates"}
    for alpha in ALPHAS:
        names[replace(FIRST_LAYER, alpha=alpha)] = f"first_layer_alpha_{alpha:g}"
    return names
