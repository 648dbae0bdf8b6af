"""Units of work: which runs of a grid train together, and what names their result.

A unit is one lane (`helpers.grid.lanes`). Runs of one width, batch size and length share it; those
that see the same minibatches come first together; a shorter run is a checkpoint of a longer one.
A unit has to be large, since a lane of nine is faster than nine alone, and small, since at the end
of a search workers wait for the last one. Left out: where and when units are trained.
"""

import ast
import hashlib
import itertools
import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from helpers import data, network, sgd
from helpers.grid import lanes
from helpers.sgd import Recipe

LARGEST = 9
"""Networks in a lane; more gain nothing."""
STEP_COST = 60_000
"""What a network's step costs beside its products, in units of weights times batch size."""
RESULT = {
    "cross_entropy": "float64",
    "accuracy": "float64",
    "diverged": "bool",
    "weights": "float32",
}
"""What a unit finds, one entry per run (the weights of all in one vector); 0 where diverged."""


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
        members = {lanes.trajectory(recipe) for recipe in self.recipes}
        steps = self.num_epochs * math.ceil(54_000 / self.recipes[0].batch_size)
        weights = sum(network.num_weights(member.layer_sizes) for member in members)
        return steps * (STEP_COST * len(members) + weights * self.recipes[0].batch_size)

    @property
    def fingerprint(self):
        """str : hash of all that decides the result, its layout included."""
        content = {
            "recipes": [asdict(recipe) for recipe in self.recipes],
            "result": RESULT,
            "data": [data.SHA256, data.SPLIT_SEED, data.NUM_VALIDATION],
            "numpy": [np.__version__, lanes.blas_kernels()],
            "mathematics": mathematics(network, sgd, lanes),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


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
    seeds = range(seed, seed + num_seeds)
    return [
        Recipe(
            (data.NUM_PIXELS, *[units] * depth, data.NUM_CLASSES),
            epochs,
            size,
            rate,
            alpha,
            seed=each,
            shuffle_seed=each,
        )
        for depth, units, rate, size, epochs, each in itertools.product(*factors, seeds)
    ]


def repeats(recipes, num_seeds):
    """List runs again, with the next `num_seeds` seeds of weights and minibatches."""
    return [
        replace(recipe, seed=seed, shuffle_seed=seed)
        for recipe in recipes
        for seed in range(recipe.seed + 1, recipe.seed + 1 + num_seeds)
    ]


def make_units(recipes, largest=LARGEST):
    """Arrange runs as units of work.

    Parameters
    ----------
    recipes : iterable of helpers.sgd.Recipe
    largest : int
        Networks in a unit.

    Returns
    -------
    list of Unit
        The longest first.
    """
    runs, lane_of = {}, {}
    for recipe in dict.fromkeys(recipes):
        runs.setdefault(lanes.trajectory(recipe), []).append(recipe)
    for member, several in runs.items():
        length = max(recipe.num_epochs for recipe in several)
        key = member.batch_size, frozenset(member.layer_sizes[1:-1]), length
        lane_of.setdefault(key, []).append(member)
    units = []
    for members in lane_of.values():
        members.sort(key=lambda member: member.shuffle_seed)
        count = math.ceil(len(members) / largest)
        for part in range(count):
            share = members[part * len(members) // count : (part + 1) * len(members) // count]
            units.append(Unit(tuple(recipe for member in share for recipe in runs[member])))
    return sorted(units, key=lambda unit: unit.cost, reverse=True)


def train_unit(unit, folder):
    """Train a unit in this process, on its own copy of the data.

    Returns its fingerprint, computed here, and a dict with the keys of `RESULT`. After each epoch
    the file of `progress_file` says how far it is, if `folder` can be reached from here.
    """
    training, validation = data.load_training_once()
    found, path, best = {}, progress_file(folder, unit), 0.0

    def on_epoch(epoch, ended):
        nonlocal best
        for recipe, weights in ended.items():
            found[recipe] = measure(recipe, weights, validation)
            best = max(best, found[recipe][1])
        with suppress(OSError):
            path.with_suffix(".part").write_text(f"{epoch} {best}")
            os.replace(path.with_suffix(".part"), path)

    lanes.train(unit.recipes, training, on_epoch=on_epoch)
    columns = zip(*(found[recipe] for recipe in unit.recipes), strict=True)
    arrays = [
        np.hstack(column).astype(kind)
        for column, kind in zip(columns, RESULT.values(), strict=True)
    ]
    return unit.fingerprint, dict(zip(RESULT, arrays, strict=True))


def measure(recipe, weights, validation):
    """Evaluate a trained network: cross-entropy, accuracy, whether it diverged, its weights."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if np.isfinite([*scores, weights.sum()]).all():
        return *scores, False, weights
    return 0.0, 0.0, True, np.zeros_like(weights)


def progress_file(folder, unit):
    """Name the file that holds a unit's epoch and its best accuracy so far, while it trains."""
    return Path(folder) / f"{unit.fingerprint}.epoch"


@cache
def mathematics(*modules):
    """Hash the code of modules without comments and docstrings."""
    trees = [ast.parse(Path(module.__file__).read_text("utf-8")) for module in modules]
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(getattr(node, "body", None), list):
            node.body = [line for line in node.body if not _is_text(line)]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()


def _is_text(line):
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
