"""A run: one trained network of a grid."""

from dataclasses import dataclass

import numpy as np

from helpers import network
from helpers.recipe import Recipe

FOLDER = ".grid"
"""Of finished runs; nothing is kept there in this plain search."""


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network; both scores, on the validation images, are NaN if it diverged."""

    recipe: Recipe
    cross_entropy: float
    accuracy: float
    weights: np.ndarray
    seconds: float

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights."""
        return network.unpack(self.weights, self.recipe.layer_sizes)
