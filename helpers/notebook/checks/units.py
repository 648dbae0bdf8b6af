"""Checks of exercise C1: the runs of a grid."""

from itertools import pairwise

from helpers.notebook.checks.structure import Check, a_list, expect

FACTORS = "num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"


def checks_of_list_runs(layer_sizes, rng):
    seed = int(rng.integers(1, 1_000))
    grid = {
        "num_hidden_layers": (2, 1),
        "num_units": (30, 40, 50),
        "learning_rate": (0.5, 0.1),
        "batch_size": (32, 16),
        "num_epochs": (1, 2, 3),
        "alpha": 0.25,
        "seed": seed,
        "num_seeds": 1,
    }
    one = {name: grid[name][:1] for name in FACTORS}
    linear = one | {"num_hidden_layers": (0,)}
    options = {"alpha": 0.25, "seed": seed}
    return [
        Check("the order of the loops", grid, judge_grid, list_plainly),
        Check("seeds", one | options | {"num_seeds": 3}, judge_grid, list_plainly),
        Check("no hidden layer", linear | options | {"num_seeds": 1}, judge_grid, list_plainly),
        Check("all values of all factors", grid | {"num_seeds": 2}, judge_grid, list_plainly),
    ]


def list_plainly(list_runs, **given):
    """Give the fields of each run, and the error of whoever needs runs as keys of a dict."""
    runs = list_runs(*given.values())
    try:
        error = "" if runs is None else str(len(set(runs)))[:0]
    except TypeError as raised:
        error = str(raised)
    return {"runs": runs, "error": error}


def judge_grid(given, result):
    """Every combination once, in the order of nested loops: like the digits of a counter."""
    expected = given["num_seeds"]
    for name in FACTORS:
        expected *= len(given[name])
    runs = a_list(result["runs"], expected, "the list of runs")
    found = [digits(run, given, f"run {number}") for number, run in enumerate(runs)]
    expect(len(set(found)) == len(found), "a combination is in the list twice")
    for number, (here, after) in enumerate(pairwise(found)):
        names = zip((*FACTORS, "seed"), here, after, strict=True)
        changed = next(name for name, old, new in names if old != new)
        line = f"from run {number} to run {number + 1} {changed} goes back to an earlier value"
        expect(here < after, f"{line}: hidden layers are the outermost loop, seeds the innermost")
    line = "a Recipe has to hold a tuple of layer_sizes, so that runs can be keys of a dict"
    expect(not result["error"], f"{result['error']}: {line}")


def digits(run, given, name):
    """Read a run's place among the values of each factor, and its seed."""
    expect(isinstance(run, dict) and "layer_sizes" in run, f"{name} is no sgd.Recipe")
    layer_sizes = run["layer_sizes"]
    ends = isinstance(layer_sizes, list) and [layer_sizes[0], layer_sizes[-1]] == [784, 10]
    expect(ends and len(set(layer_sizes[1:-1])) <= 1, f"{name} has layer_sizes = {layer_sizes}")
    alike = run["seed"] == run["shuffle_seed"]
    line = f"{name} has seed = {run['seed']} and shuffle_seed = {run['shuffle_seed']}"
    expect(alike, f"{line}, expected one number")
    seeds = range(given["seed"], given["seed"] + given["num_seeds"])
    expect(run["seed"] in seeds, f"{name} has seed = {run['seed']}, expected one of {list(seeds)}")
    expect(run["alpha"] == given["alpha"], f"{name} has alpha = {run['alpha']}")
    hidden = layer_sizes[1:-1]
    units = hidden[0] if hidden else given["num_units"][0]
    values = len(hidden), units, run["learning_rate"], run["batch_size"], run["num_epochs"]
    places = []
    for factor, value in zip(FACTORS, values, strict=True):
        line = f"{name} has {factor} = {value}, expected one of {list(given[factor])}"
        expect(value in given[factor], line)
        places.append(given[factor].index(value))
    return (*places, run["seed"] - given["seed"])
