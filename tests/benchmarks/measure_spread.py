"""How far the recorded values move between machines, and between seeds.

python tests/benchmarks/measure_spread.py       about four minutes; writes spread.json beside it

Part A's training, a grid like part C's default and a short run in double precision are computed
again and again, each time in a new process that believes itself on another machine: other
OpenBLAS kernels (OPENBLAS_CORETYPE), other thread counts, NumPy's SIMD code switched off
(NPY_DISABLE_CPU_FEATURES). A kernel that this processor cannot run is left out and named.
The tolerance of a recorded value should be at least twice the spread over machines; the spread
over seeds is written beside it for comparison. Not a test: it takes too long.
"""

import json
import math
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg  # noqa: F401  (loads SciPy's OpenBLAS, for threadpool_info to see)
from numpy._core import _multiarray_umath as simd
from threadpoolctl import threadpool_info

from helpers import data, files, network, sgd
from helpers.grid import lanes
from helpers.grid.units import list_runs, make_units
from helpers.sgd import Recipe

RESULT = Path(__file__).with_name("spread.json")
PART_A = {"num_epochs": 10, "batch_size": 8, "learning_rate": 0.01}
PART_C = {
    "num_hidden_layers": [3],
    "num_units": [30, 50],
    "num_epochs": [2, 4],
    "batch_size": [64],
    "learning_rate": [0.01, 0.05],
}
LAYER_SIZES = (784, 64, 64, 64, 10)
KERNELS = "Haswell", "Nehalem", "Sandybridge", "SkylakeX"
SEEDS = 1, 2, 3, 4


def part_a(seed):
    """Train as part A does by default; measure on validation and test."""
    training, validation = data.load_training()
    recipe = Recipe(LAYER_SIZES, **PART_A, seed=seed, shuffle_seed=seed)
    trained = sgd.train(recipe, training, validation)
    curves = trained.history
    test = sgd.evaluate(trained.layers, data.load_test())
    return {
        "start loss": curves.validation_cross_entropy[0],
        "training cross-entropy": curves.training_cross_entropy[-1],
        "training accuracy": curves.training_accuracy[-1],
        "validation cross-entropy": curves.validation_cross_entropy[-1],
        "validation accuracy": curves.validation_accuracy[-1],
        "test cross-entropy": test[0],
        "test accuracy": test[1],
    }


def part_c(seed):
    """Train a small grid; give the validation accuracy of every row, and of the best."""
    training, validation = data.load_training_once()
    values = {}
    for unit in make_units(list_runs(**PART_C, alpha=0.0, seed=seed, num_seeds=1)):
        for recipe, weights in lanes.train(unit.recipes, training).items():
            layers = network.unpack(weights, recipe.layer_sizes)
            width = recipe.layer_sizes[1]
            name = f"{width} units, {recipe.num_epochs} epochs, rate {recipe.learning_rate}"
            values[name] = sgd.evaluate(layers, validation)[1]
    return {"best accuracy": max(values.values()), **values}


def short_run(seed):
    """Train on 2,000 images in double precision: a figure that can be recorded tightly."""
    training, validation = data.load_training()
    recipe = Recipe(LAYER_SIZES, 2, 64, 0.1, 1e-3, seed=seed, shuffle_seed=seed)
    trained = sgd.train(recipe, training.first(2_000), validation, dtype=np.float64)
    return {"cross-entropy": trained.history.validation_cross_entropy[-1]}


EXPERIMENTS = {"part A": part_a, "part C": part_c, "double precision": short_run}


def conditions():
    """Name the machines to pretend to be: the environment variables of each."""
    dispatched = [name for name in simd.__cpu_dispatch__ if simd.__cpu_features__.get(name)]
    found = {"as it is": {}}
    found |= {f"OpenBLAS kernels: {name}": {"OPENBLAS_CORETYPE": name} for name in KERNELS}
    found |= {f"BLAS threads: {n}": {"OPENBLAS_NUM_THREADS": str(n)} for n in (1, 2)}
    for first in range(len(dispatched)):
        without = " ".join(dispatched[first:])
        found[f"NumPy without {without}"] = {"NPY_DISABLE_CPU_FEATURES": without}
    return found


def figures_here(seed):
    """Compute every figure in this process."""
    figures = {
        f"{title}: {name}": float(value)
        for title, experiment in EXPERIMENTS.items()
        for name, value in experiment(seed).items()
    }
    return {"kernels": kernels(), "figures": figures}


def kernels():
    """List the architectures that the loaded OpenBLAS copies work for."""
    return [pool["architecture"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def figures_under(name, environment, seed=0):
    """Compute every figure in a process of its own; None if it cannot be had there."""
    command = [sys.executable, __file__, "--figures", str(seed)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    wanted = environment.get("OPENBLAS_CORETYPE")
    found = json.loads(done.stdout) if done.returncode == 0 else {"kernels": [], "figures": None}
    if not found["figures"] or (wanted and set(found["kernels"]) != {wanted}):
        print(f"{name}: not on this processor (exit status {done.returncode})", flush=True)
        return None
    print(f"{name}: computed with kernels for {found['kernels'][0]}", flush=True)
    return found["figures"]


def spread_of(runs):
    """Summarise each figure over runs: its first value, extremes and spread."""
    frame = pd.DataFrame(runs).T
    found = pd.DataFrame({"first": frame.iloc[0], "min": frame.min(), "max": frame.max()})
    return found.assign(spread=found["max"] - found["min"]).to_dict("index")


def measure(requests):
    """Run some (environment, seed) requests; leave out what this processor cannot do."""
    runs = {name: figures_under(name, *request) for name, request in requests.items()}
    runs = {name: run for name, run in runs.items() if run}
    return {"runs": list(runs), "figures": spread_of(runs)}


def tolerance(spread):
    """Round twice a spread up to one digit."""
    if not spread:
        return 0.0
    digit = 10.0 ** math.floor(math.log10(2 * spread))
    return float(f"{math.ceil(2 * spread / digit) * digit:.0e}")


def main():
    """Measure, print a table and write spread.json."""
    found = {
        "versions": {name: version(name) for name in ("numpy", "scipy")},
        "kernels": kernels(),
        "machines": measure({name: (env, 0) for name, env in conditions().items()}),
        "seeds": measure({f"seed {seed}": ({}, seed) for seed in SEEDS}),
    }
    print(f"{'':50}{'figure':>13}{'machines':>11}{'twice that':>12}{'seeds':>11}")
    for name, row in found["machines"]["figures"].items():
        row["suggested_tolerance"] = tolerance(row["spread"])
        others = found["seeds"]["figures"][name]["spread"]
        print(
            f"{name:50}{row['first']:13.6f}{row['spread']:11.2g}"
            f"{row['suggested_tolerance']:12.0e}{others:11.2g}"
        )
    files.write_json(RESULT, found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--figures"]:
        print(json.dumps(figures_here(int(sys.argv[2]))))
    else:
        main()
