"""Checks of exercise C1: the runs of a grid."""

from math import prod

from helpers.notebook.checks.structure import Check, a_list, expect

FACTORS = "num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"


def checks_of_list_runs(layer_sizes, rng):
    """List a grid with one seed and with two, and a single combination with three."""
    seed = int(rng.integers(1, 1_000))
    grid = {
        "num_hidden_layers": (2, 0, 1),
        "num_units": (40, 30),
        "learning_rate": (0.5, 0.1),
        "batch_size": (32, 16),
        "num_epochs": (1, 2, 3),
        "alpha": 0.25,
        "seed": seed,
        "num_seeds": 1,
    }
    one = grid | {name: grid[name][:1] for name in FACTORS}
    return [
        Check("a grid", grid, judge_runs),
        Check("three seeds", one | {"num_seeds": 3}, judge_runs),
        Check("a grid with two seeds", grid | {"num_seeds": 2}, judge_runs),
    ]


def judge_runs(given, runs):
    """Compare each run with the one that its number stands for."""
    values = {name: given[name] for name in FACTORS}
    values["seed"] = range(given["seed"], given["seed"] + given["num_seeds"])
    num_runs = prod(len(each) for each in values.values())
    for number, run in enumerate(a_list(runs, num_runs, "the list of runs")):
        is_recipe = isinstance(run, dict) and list(run) == ["Recipe"]
        expect(is_recipe, f"run {number} is no sgd.Recipe: {run!r:.60}")
        for name, value in run_of(number, values).items():
            found = run["Recipe"][name]
            expect(found == value, f"run {number} has {name} = {found}, expected {value}")
        alpha = run["Recipe"]["alpha"]
        expect(alpha == given["alpha"], f"run {number} has alpha = {alpha}")


def run_of(number, values):
    """Read a number as an odometer does: each digit a value, the last of them turning fastest."""
    run = {}
    for name in reversed(values):
        number, digit = divmod(number, len(values[name]))
        run[name] = values[name][digit]
    hidden = [run.pop("num_units")] * run.pop("num_hidden_layers")
    return run | {"layer_sizes": [784, *hidden, 10], "shuffle_seed": run["seed"]}
