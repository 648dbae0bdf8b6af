"""Units of work: which runs of a grid train together, and what names their result.

A unit is one lane (`helpers.grid.lanes`). Runs of one width, batch size and length share it; those
that see the same minibatches come first together; a shorter run is a checkpoint of a longer one.
A unit has to be large, since a lane of nine is faster than nine alone, and small, since at the end
of a search workers wait for the last one. Left out: where and when units are trained.
"""

import hashlib
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from helpers import data, files, network
from helpers.grid import executors
from helpers.sgd import Recipe

LARGEST = 9
"""Networks in a lane; more gain nothing."""
STEP_COST = 300_000
"""What a network's step costs beside its products, in units of weights times batch size."""
SOURCES = "network.py", "sgd.py", "grid/lanes.py", "grid/search.py"
CODE = [(files.PROJECT / "helpers" / name).read_text("utf-8") for name in SOURCES]
"""What computes a result and lays it out, as it was imported."""


@dataclass(frozen=True)
class Unit:
    """Runs that train together."""

    recipes: tuple[Recipe, ...]

    @property
    def num_epochs(self):
        """int : of the longest run."""
        return max(recipe.num_epochs for recipe in self.recipes)

    @property
    def cost(self):
        """float : expected work, to start the longest unit first and to foretell the end."""
        members = {trajectory(recipe) for recipe in self.recipes}
        steps = self.num_epochs * math.ceil(54_000 / self.recipes[0].batch_size)
        weights = sum(network.num_weights(member.layer_sizes) for member in members)
        return steps * (STEP_COST * len(members) + weights * self.recipes[0].batch_size)

    @property
    def fingerprint(self):
        """str : hash of all that decides the result."""
        split = data.SHA256, data.SPLIT_SEED, data.NUM_VALIDATION
        library = np.__version__, executors.blas_kernels()
        content = repr((self.recipes, split, library, CODE))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def list_runs(
    num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, alpha, seed, num_seeds
):
    """List the runs of a grid: every combination, the last factor changing fastest.

    Parameters
    ----------
    num_hidden_layers, num_units, learning_rate, batch_size, num_epochs : sequence
        The values of each factor; all hidden layers of a network have the same number of units.
    alpha : float
    seed, num_seeds : int
        Each combination is run with seed, seed + 1, ..., for weights and minibatches alike.

    Returns
    -------
    list of helpers.sgd.Recipe
    """
    factors = num_hidden_layers, num_units, learning_rate, batch_size, num_epochs
    runs = []
    for depth, units, rate, size, epochs in itertools.product(*factors):
        layer_sizes = (data.NUM_PIXELS, *[units] * depth, data.NUM_CLASSES)
        for each in range(seed, seed + num_seeds):
            recipe = Recipe(layer_sizes, epochs, size, rate, alpha, seed=each, shuffle_seed=each)
            runs.append(recipe)
    return runs


def repeats(recipes, num_seeds):
    """List runs again, with the next `num_seeds` seeds of weights and minibatches."""
    return [
        replace(recipe, seed=seed, shuffle_seed=seed)
        for recipe in recipes
        for seed in range(recipe.seed + 1, recipe.seed + 1 + num_seeds)
    ]


def trajectory(recipe):
    """Find what a run is read from: at a constant rate a run of any length, not averaged."""
    length = 0 if recipe.schedule == "constant" else recipe.num_epochs
    return replace(recipe, num_epochs=length, average_epochs=0)


def make_units(recipes, largest=LARGEST):
    """Arrange runs as units of work, of at most `largest` networks each; the longest unit first."""
    runs, lanes = defaultdict(list), defaultdict(list)
    for recipe in dict.fromkeys(recipes):
        runs[trajectory(recipe)].append(recipe)
    for member, several in runs.items():
        length = max(recipe.num_epochs for recipe in several)
        lanes[member.batch_size, frozenset(member.layer_sizes[1:-1]), length].append(member)
    units = []
    for members in lanes.values():
        members.sort(key=lambda member: member.shuffle_seed)
        for share in np.array_split(np.arange(len(members)), math.ceil(len(members) / largest)):
            units.append(Unit(tuple(recipe for k in share for recipe in runs[members[k]])))
    return sorted(units, key=lambda unit: unit.cost, reverse=True)
