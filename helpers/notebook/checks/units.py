"""Checks of exercise C1: the runs of a grid."""

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
        Check("order of the loops", grid, judge_runs, list_and_hash),
        Check("seeds", one | {"num_seeds": 3}, judge_runs, list_and_hash),
        Check("all together", grid | {"num_seeds": 2}, judge_runs, list_and_hash),
    ]


def list_and_hash(list_runs, **given):
    """Give the runs, and whether they can be keys of a dict."""
    runs = list_runs(*given.values())
    try:
        return {"runs": runs, "can be keys": bool(dict.fromkeys(runs))}
    except TypeError:
        return {"runs": runs, "can be keys": False}


def judge_runs(given, result):
    """The number of a run counts through all values like an odometer, seeds turning fastest."""
    values = {name: given[name] for name in FACTORS}
    values["seed"] = range(given["seed"], given["seed"] + given["num_seeds"])
    num_runs = 1
    for each in values.values():
        num_runs *= len(each)
    runs = a_list(result["runs"], num_runs, "the list of runs")
    for number, run in enumerate(runs):
        is_recipe = isinstance(run, dict) and "shuffle_seed" in run
        expect(is_recipe, f"run {number} is {run!r:.40}, expected a sgd.Recipe")
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
    line = "a run cannot be the key of a dict: layer_sizes has to be a tuple, not a list"
    expect(result["can be keys"], line)
