"""The runs of a grid: every combination of its hyperparameters, and runs with further seeds."""

from dataclasses import replace
from itertools import product

from helpers import data
from helpers.recipe import Recipe


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
    for depth, units, rate, size, epochs in product(*factors):
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
