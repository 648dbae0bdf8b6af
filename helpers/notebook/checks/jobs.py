"""Checks of exercise C1: the runs of a grid."""

from math import prod

from helpers.notebook.checks.structure import Check, a_list, expect

FACTORS = "num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"


def checks_of_list_runs(layer_sizes, rng):
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
    """The number of a run counts through all values like an odometer, seeds turning fastest."""
    values = {name: given[name] for name in FACTORS}
    values["seed"] = range(given["seed"], given["seed"] + given["num_seeds"])
    num_runs = prod(map(len, values.values()))
    runs = a_list(runs, num_runs, "the list of runs")
    for number, run in enumerate(runs):
        is_recipe = isinstance(run, dict) and list(run) == ["Recipe"]
        expect(is_recipe, f"run {number} is no sgd.Recipe: {run!r:.60}")
        run = run["Recipe"]
        rest, expected = number, {}
        for name in reversed(values):
            rest, digit = divmod(rest, len(values[name]))
            expected[name] = values[name][digit]
        hidden = [expected.pop("num_units")] * expected.pop("num_hidden_layers")
        expected["layer_sizes"] = [784, *hidden, 10]
        expected |= {"shuffle_seed": expected["seed"], "alpha": given["alpha"]}
        for name, value in expected.items():
            line = f"run {number} has {name} = {run[name]}, expected {value}"
            expect(run[name] == value, line)
