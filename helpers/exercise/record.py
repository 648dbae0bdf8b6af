"""Record what our own functions give, and what known mistakes give: the cases of the checks.

For instructors: `python -m helpers.exercise.record` writes cases.json again. plan.csv lists the
cases: what is looked at, its points, for how many of `SHAPES`, the way to call, the arguments (each
the name of something that is drawn, or name=value), those that may change, and a hint. mistakes.csv
lists mistakes: a text in the source of a function of ours, what the mistake makes of it, and the
line of help.
"""

import csv
import inspect
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np

from helpers import files, network
from helpers.exercise.answers import answer, dump
from helpers.exercise.check import CASES, first_difference, recognise
from helpers.exercise.exercises import BY_FUNCTION

HERE = Path(__file__).parent
SHAPES = (5, 4, 4, 3), (3, 6, 2), (4, 3), (3, 4, 4, 4, 4, 2)
"""Networks that the cases are made for: square matrices, no hidden layer, and others."""
NUM_IMAGES = 6


def record(seed, shapes=SHAPES):
    """Record all cases.

    Parameters
    ----------
    seed : int
        Of the arguments.
    shapes : sequence of tuple of int
        Networks; mistakes are recorded for the first two.

    Returns
    -------
    dict of str to list of dict
        For each function its cases, as described in `helpers.exercise.check`.

    Warns
    -----
    UserWarning
        If two mistakes give the same: one line of help would be wrong for one of them.
    """
    rng = np.random.default_rng(seed)
    cases = {function: [] for function in BY_FUNCTION}
    for number, layer_sizes in enumerate(shapes):
        drawn = draw_weights(layer_sizes, rng) | draw_images(layer_sizes, rng)
        for row in read_table("plan.csv"):
            if number < int(row["shapes"]):
                case = make_case(row, drawn)
                if number < 2:
                    add_mistakes(case, row["function"])
                cases[row["function"]].append(case)
    return cases


@cache
def read_table(name):
    """Read a file of this folder: a dict for each line."""
    with open(HERE / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw(rng, *shape):
    """Draw normal numbers; two decimals each, so that they take little room in a file."""
    return rng.normal(size=shape).round(2)


def draw_weights(layer_sizes, rng):
    """Draw the arguments of plan.csv that have weights in them."""
    num_weights = network.num_weights(layer_sizes)
    numbers = np.arange(num_weights + 1.0)
    weights = numbers[:-1]
    drawn = draw(rng, num_weights)
    layers = layers_of(drawn, layer_sizes)
    closed = layers_of(np.zeros(num_weights), layer_sizes)
    complex_weights = drawn + 0.5j * draw(rng, num_weights)
    return {
        "weights": weights,
        "weights_32": weights.astype(np.float32),
        "weights_complex": weights.astype(complex),
        "weights_and_one": numbers,
        "weights_but_one": weights[:-1],
        "layer_sizes": layer_sizes,
        "layers": layers,
        "layers_32": layers_of(drawn.astype(np.float32), layer_sizes),
        "complex_layers": layers_of(complex_weights, layer_sizes),
        "closed_layers": [*closed[:1], *layers[1:]],
        "chosen": rng.permutation(num_weights)[:5],
    }


def draw_images(layer_sizes, rng):
    """Draw the other arguments of plan.csv: images, labels, logits, a seed."""
    num_pixels, *_, num_classes = layer_sizes
    images = draw(rng, NUM_IMAGES, num_pixels)
    labels = rng.integers(0, num_classes, NUM_IMAGES)
    logits = draw(rng, num_classes, NUM_IMAGES)
    large = draw(rng, 10, 4)
    large[3, :2] += 1000
    large[:, 2] -= 1000
    return {
        "images": images,
        "image": images[:1],
        "wide_images": np.hstack([images, images]),
        "labels": labels,
        "label": labels[:1],
        "logits": logits,
        "complex_logits": logits + 0.5j * draw(rng, num_classes, NUM_IMAGES),
        "logits_1000": large,
        "labels_1000": np.array([3, 5, 0, 9]),
        "seed": int(rng.integers(7, 1_000)),
    }


def layers_of(weights, layer_sizes):
    """Make layers of a flat vector, as arrays of their own."""
    return [(W.copy(), b.copy()) for W, b in network.unpack(weights, layer_sizes)]


def make_case(row, drawn):
    """Make a case of a line of plan.csv, with what our own function gives."""
    arguments = {}
    for entry in row["arguments"].split():
        name, _, value = entry.partition("=")
        value = value or name
        arguments[name] = drawn[value] if value in drawn else json.loads(value)
    case = {
        "what": row["what"],
        "points": float(row["points"]),
        "call": row["call"],
        "arguments": arguments,
        "changes": row["changes"].split(),
        "hint": row["hint"],
        "mistakes": {},
    }
    given = answer(case, BY_FUNCTION[row["function"]].find)
    if given["error"] or given["changed"]:
        raise RuntimeError(f"our own {row['function']}: {given}")
    case["right"] = given["result"]
    return case


def add_mistakes(case, function):
    """Add to a case what each mistake gives there; warn of two that give the same."""
    for row in read_table("mistakes.csv"):
        if row["function"] != function:
            continue
        broken = break_function(row)
        result = answer(case, lambda broken=broken: broken)["result"]
        name = result and first_difference(case, result)
        if not name:
            continue
        line = row["line"]
        same = recognise(case, name, result)
        if same is None:
            case["mistakes"].setdefault(name, []).append([line, result[name]])
        elif same != f"{name} {line}":
            warnings.warn(f"with these numbers alike: {function}: {same} / {line}", stacklevel=3)


def break_function(row):
    """Run the source of one of our functions with a mistake in it.

    Raises
    ------
    LookupError
        If the text to be changed is not in it exactly once.
    """
    function = BY_FUNCTION[row["function"]].find()
    source = inspect.getsource(function)
    if source.count(row["right"]) != 1:
        raise LookupError(f"mistakes.csv: {row['right']!r} is not in {row['function']} once")
    namespace = dict(function.__globals__)
    exec(source.replace(row["right"], row["wrong"]), namespace)
    return namespace[row["function"]]


def write(path, seed=0):
    """Write cases.json."""
    files.write_text(path, dump(record(seed)) + "\n")


if __name__ == "__main__":
    write(CASES)
