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
import os
import subprocess
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg  # noqa: F401  (loads SciPy's OpenBLAS, for threadpool_info to see)
from numpy._core import _multiarray_umath as simd
from threadpoolctl import threadpool_info

from helpers import data, files, network, sgd
from helpers.grid import stack
from helpers.grid.jobs import list_runs, make_jobs
from helpers.sgd import Recipe

RESULT = Path(__file__).with_name("spread.json")
LAYER_SIZES = (784, 64, 64, 64, 10)
KERNELS = "Haswell", "Nehalem", "Sandybridge", "SkylakeX"
SEEDS = 1, 2, 3, 4


def part_a(seed):
    """Train as part A does by default; measure on validation and test."""
    training, validation = data.load_training()
    recipe = Recipe(LAYER_SIZES, 10, 8, 0.01, seed=seed, shuffle_seed=seed)
    trained = sgd.train(recipe, training, validation)
    ends = [curve[-1] for curve in vars(trained.history).values()]
    ends += sgd.evaluate(trained.layers, data.load_test())
    names = product(("training", "validation", "test"), ("cross-entropy", "accuracy"))
    start = {"start loss": trained.history.validation_cross_entropy[0]}
    return start | dict(zip(map(" ".join, names), ends, strict=True))


def part_c(seed):
    """Train a small grid; give the validation accuracy of every row, and of the best."""
    training, validation = data.load_training()
    runs, values = list_runs([3], [30, 50], [0.01, 0.05], [64], [2, 4], 0.0, seed, 1), {}
    for job in make_jobs(runs):
        for recipe, weights in stack.train(job.recipes, training).items():
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
    return {
        f"{title}: {name}": float(value)
        for title, experiment in EXPERIMENTS.items()
        for name, value in experiment(seed).items()
    }


def kernels():
    """List the architectures that the loaded OpenBLAS copies work for."""
    return [pool["architecture"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def figures_under(name, environment, seed):
    """Compute every figure in a process of its own; None if it cannot be had there."""
    command = [sys.executable, __file__, "--figures", str(seed)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    found = json.loads(done.stdout) if done.returncode == 0 else {"kernels": [], "figures": None}
    wanted = environment.get("OPENBLAS_CORETYPE")
    if wanted and set(found["kernels"]) != {wanted}:
        found["figures"] = None
    print(f"{name}: {'computed' if found['figures'] else 'not on this processor'}", flush=True)
    return found["figures"]


def measure(requests):
    """Run some (environment, seed) requests; leave out what this processor cannot do."""
    runs = {name: figures_under(name, *request) for name, request in requests.items()}
    frame = pd.DataFrame({name: figures for name, figures in runs.items() if figures})
    first, least, most = frame.iloc[:, 0], frame.min(axis=1), frame.max(axis=1)
    found = pd.DataFrame({"first": first, "min": least, "max": most, "spread": most - least})
    return {"runs": list(frame), "figures": found.to_dict("index")}


def main():
    """Measure, print a table and write spread.json."""
    found = {
        "versions": {name: version(name) for name in ("numpy", "scipy")},
        "kernels": kernels(),
        "machines": measure({name: (env, 0) for name, env in conditions().items()}),
        "seeds": measure({f"seed {seed}": ({}, seed) for seed in SEEDS}),
    }
    for name in "machines", "seeds":
        print(f"over {name}:", pd.DataFrame(found[name]["figures"]).T.to_string(), sep="\n")
    files.write_json(RESULT, found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--figures"]:
        figures = figures_here(int(sys.argv[2]))
        print(json.dumps({"kernels": kernels(), "figures": figures}))
    else:
        main()
