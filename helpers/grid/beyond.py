"""What lies beyond the grid: three options of SGD, and one wider network for an ensemble.

Here are only the recipes; `helpers.grid.search` trains them like any others. Every choice among
them is made on validation images. Left out: what was tried and did not help (momentum, other
initial weights, dropout, label smoothing, shifted images).
"""

from dataclasses import replace

from helpers import data
from helpers.sgd import Recipe

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
