"""How far values move between processors and between seeds; writes spread.json beside this file.

    python tests/benchmarks/measure_spread.py       about half an hour of one core

A long run in float32 is chaotic: other kernels multiply matrices in another order, round
differently, and after some thousand steps arrive at another network. So each training is repeated
with several seeds and with every kind of OpenBLAS kernels that this processor can run, each in a
process of its own (OPENBLAS_CORETYPE). `tests/deliverable/spread.py` derives the tolerances of
recorded values from this table. Not a test: it takes too long.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from helpers import data, files, network, sgd
from helpers.grid import listing, machine, stack
from helpers.recipe import Recipe

RESULT = Path(__file__).with_name("spread.json")
KERNELS = "SkylakeX", "Haswell", "Nehalem", "Sandybridge"


def part_a(seed):
    """Train as part A does by default."""
    training, validation = data.load_training()
    recipe = Recipe((784, 64, 64, 64, 10), 10, 8, 0.01, seed=seed, shuffle_seed=seed)
    trained = sgd.train(recipe, training, validation)
    history = trained.history
    test_cross_entropy, test_accuracy = sgd.evaluate(trained.layers, data.load_test())
    return {
        "validation accuracy after one epoch": history.validation_accuracy[1],
        "training accuracy": history.training_accuracy[-1],
        "validation cross-entropy": history.validation_cross_entropy[-1],
        "validation accuracy": history.validation_accuracy[-1],
        "test cross-entropy": test_cross_entropy,
        "test accuracy": test_accuracy,
    }


def quick_grid(seed):
    """Train the grid of part C's defaults and choose the best run on validation."""
    runs = listing.list_runs([3], [30, 50], [0.01, 0.05], [64], [2, 4], 0.0, seed, 1)
    found = [accuracies(recipe) for recipe in runs]
    best = max(found, key=lambda each: each["validation accuracy"])
    return {
        "best validation accuracy": best["validation accuracy"],
        "test accuracy": best["test accuracy"],
    }


def grid_network(seed):
    """Train one network of the full grid."""
    layer_sizes = (784, 50, 50, 50, 10)
    return accuracies(Recipe(layer_sizes, 50, 32, 0.05, seed=seed, shuffle_seed=seed))


def averaged(seed):
    """Train a network of the grid's widths with L2 and a running average of its weights."""
    layer_sizes = (784, 50, 50, 50, 10)
    recipe = Recipe(layer_sizes, 50, 32, 0.1, 5e-4, average_epochs=25, seed=seed, shuffle_seed=seed)
    return accuracies(recipe)


def wide(seed):
    """Train a member of part C's ensemble."""
    layer_sizes = (784, 512, 256, 10)
    return accuracies(Recipe(layer_sizes, 40, 64, 0.1, 2e-4, average_epochs=20, seed=seed))


def short_run(seed):
    """Train on 2,000 images in float64: a value that can be recorded to nine digits."""
    training, validation = data.load_training()
    recipe = Recipe((784, 64, 64, 64, 10), 2, 64, 0.1, 1e-3, seed=seed, shuffle_seed=seed)
    trained = sgd.train(recipe, training.first(2_000), validation, dtype=np.float64)
    return {"cross-entropy": trained.history.validation_cross_entropy[-1]}


def accuracies(recipe):
    """Train one network with the fast step; measure its accuracy on validation and test."""
    training, validation = data.load_training()
    [weights] = stack.train([recipe], training).values()
    layers = network.unpack(weights, recipe.layer_sizes)
    return {
        "validation accuracy": sgd.evaluate(layers, validation)[1],
        "test accuracy": sgd.evaluate(layers, data.load_test())[1],
    }


EXPERIMENTS = {
    "short run in float64": (short_run, [0]),
    "part A": (part_a, range(5)),
    "quick grid": (quick_grid, range(3)),
    "network of the grid": (grid_network, range(3)),
    "averaged, with L2": (averaged, range(2)),
    "512-256": (wide, range(1)),
}
"""Name -> what is trained and measured, and the seeds."""


def measure_here():
    """Run all experiments in this process; print a JSON line for each."""
    for name, (experiment, seeds) in EXPERIMENTS.items():
        for seed in seeds:
            values = {key: float(value) for key, value in experiment(seed).items()}
            run = {"experiment": name, "kernels": machine.blas_kernels(), "seed": seed}
            print(json.dumps(run | {"values": values}), flush=True)


def measure_with(kernels):
    """Run all experiments in a process with other kernels; none if this processor lacks them."""
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels}
    command = [sys.executable, __file__, "--here"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    return [run for run in runs if run["kernels"] == kernels]


def main():
    """Measure with every kind of kernels and write spread.json."""
    runs = [run for kernels in KERNELS for run in measure_with(kernels)]
    versions = {name: version(name) for name in ("numpy", "scipy")}
    files.write_json(RESULT, {"versions": versions, "runs": runs})


if __name__ == "__main__":
    if "--here" in sys.argv:
        measure_here()
    else:
        main()
