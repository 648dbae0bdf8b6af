"""Jobs: which runs of a grid train together, and what names the result of each run.

A job is what a worker gets at a time: runs that train as one stack (`helpers.grid.stack`). Runs of
one width, batch size and length can share it; those that see the same minibatches come together
first; a shorter run at a constant rate is a checkpoint of a longer one. Every network of a stack
is the one that is trained alone, so jobs may be cut as it suits the workers. Left out: where and
when jobs are trained (`helpers.grid.search`, `helpers.grid.workers`).
"""

import hashlib
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy

from helpers import data, files, network
from helpers.grid import machine
from helpers.sgd import Recipe

LARGEST = 9
"""Networks in a stack; more gain nothing."""
STEP_COST = 300_000
"""What a network's step costs beside its products, in units of weights times batch size."""
SOURCES = "network.py", "sgd.py", "data.py", "grid/stack.py", "grid/runs.py"
CODE = [(files.PROJECT / "helpers" / name).read_text("utf-8") for name in SOURCES]
"""What computes a result and stores it, as it was imported."""


@dataclass(frozen=True)
class Job:
    """Runs that train together."""

    recipes: tuple[Recipe, ...]

    @property
    def num_epochs(self):
        """int : of the longest run."""
        return max(recipe.num_epochs for recipe in self.recipes)

    @property
    def cost(self):
        """float : expected work, to start the longest job first and to predict the end."""
        members = checkpoints(self.recipes)
        steps = self.num_epochs * math.ceil(54_000 / self.recipes[0].batch_size)
        weights = sum(network.num_weights(member.layer_sizes) for member in members)
        return steps * (STEP_COST * len(members) + weights * self.recipes[0].batch_size)

    @property
    def fingerprint(self):
        """str : hash of all that decides the results of the job."""
        return _hash("".join(map(fingerprint, self.recipes)))


@cache
def identity():
    """Give what decides the result of a run beside its recipe: name -> version, or a hash."""
    split = data.SHA256, data.SPLIT_SEED, data.NUM_VALIDATION
    return {
        "data": _hash(repr(split)),
        "code of helpers": _hash(repr(CODE)),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "BLAS kernels": machine.blas_kernels(),
    }


def fingerprint(recipe):
    """Hash all that decides the result of a run: the recipe and `identity`.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    return _hash(repr((recipe, identity())))


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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


def checkpoints(recipes):
    """Find the networks to train: at a constant rate, a shorter run is part of a longer one.

    Returns
    -------
    dict
        Recipe -> list of helpers.sgd.Recipe: the longest run of each network, and all runs that
        are read from its training: it, shorter ones, and averages of its iterates.
    """
    found = defaultdict(list)
    for recipe in dict.fromkeys(recipes):
        length = 0 if recipe.schedule == "constant" else recipe.num_epochs
        steps = replace(recipe, num_epochs=length, average_epochs=0)
        found[steps].append(recipe)
    return {max(runs, key=lambda recipe: recipe.num_epochs): runs for runs in found.values()}


def make_jobs(recipes, num_workers=1, largest=LARGEST):
    """Group runs into jobs of at most `largest` networks each; the longest job first."""
    runs_of, groups = checkpoints(recipes), defaultdict(list)
    for member in runs_of:
        widths = frozenset(member.layer_sizes[1:-1])
        groups[member.batch_size, widths, member.num_epochs].append(member)
    found = []
    for members in groups.values():
        members.sort(key=lambda member: member.shuffle_seed)
        for share in np.array_split(np.arange(len(members)), math.ceil(len(members) / largest)):
            recipes_of_job = [recipe for k in share for recipe in runs_of[members[k]]]
            found.append(Job(tuple(recipes_of_job)))
    return sorted(found, key=lambda job: job.cost, reverse=True)
