"""The exercises, in the order of the notebooks, and the checks of each.

Who renames a function that students write changes one line here.
"""

import importlib
from typing import NamedTuple

import numpy as np

from helpers.notebook.checks.structure import fault, make

SHAPES = (4, 3), (5, 4, 4, 3), (3, 6, 2), (3, 4, 4, 4, 4, 2)
"""Networks that the checks are made for: no hidden layer, square matrices, and others."""


class Exercise(NamedTuple):
    """A function to be written: its label in the notebooks, its module, its name."""

    label: str
    module: str
    function: str

    @property
    def file(self):
        """str : the file to write it in, relative to the project."""
        return f"helpers/{self.module.replace('.', '/')}.py"

    def resolve(self):
        """Find the function, as it is at this moment."""
        return getattr(importlib.import_module(f"helpers.{self.module}"), self.function)


EXERCISES = (
    Exercise("A1", "network", "unpack"),
    Exercise("A2", "network", "forward"),
    Exercise("A3", "network", "softmax"),
    Exercise("A3", "network", "log_loss"),
    Exercise("A4", "network", "backprop"),
    Exercise("A5", "sgd", "minibatches"),
    Exercise("A6", "sgd", "step"),
    Exercise("B1", "gradient_check", "complex_step"),
    Exercise("C1", "grid.listing", "list_runs"),
    Exercise("D1", "analysis", "tile_W0"),
)


def checks_of(exercise, layer_sizes=SHAPES[1], seed=0):
    """Make the checks of an exercise: the same ones for the same sizes and seed.

    Parameters
    ----------
    exercise : Exercise
    layer_sizes : tuple of int
        Of the networks that its function gets, if it gets any.
    seed : int

    Returns
    -------
    list of structure.Check
    """
    file = exercise.module.split(".")[-1]
    module = importlib.import_module(f"helpers.notebook.checks.{file}")
    make_checks = getattr(module, f"checks_of_{exercise.function}")
    return make_checks(layer_sizes, np.random.default_rng(seed))


def first_fault(exercise, function, shapes=SHAPES, seed=0):
    """Say what is wrong first with a function, in one line; None if nothing is."""
    for layer_sizes in shapes:
        for check in checks_of(exercise, layer_sizes, seed):
            line = fault(check, make(check, function))
            if line:
                return f"{check.what}: {line}"
    return None
