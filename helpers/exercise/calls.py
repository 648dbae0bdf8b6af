"""The ways to call a student's function, and to name what comes back, in the order of the course.

A case names one of them. Each gives a dict: the parts of the result by name, in the order in which
they are compared with those of our own function. Where a result is drawn by chance, or is large,
the parts are what can be told of it.
"""

from dataclasses import fields
from itertools import combinations
from math import ceil, prod

import numpy as np

from helpers.recipe import Recipe


class ResultError(Exception):
    """What comes back is no list, or one of another length; the message is the line of help."""


def as_list(value, length, name):
    """Refuse what is no list of a length; its entries may be anything."""
    is_list = isinstance(value, (list, tuple, np.ndarray))
    if is_list and len(value) == length:
        return value
    what = f"has {len(value)} entries" if is_list else f"is {kind(value)}"
    raise ResultError(f"{name} {what}, expected a list of {length}")


def kind(value):
    """Say in words what a value is that is not what was expected."""
    if value is None:
        return "None (is a return missing?)"
    return value if isinstance(value, str) else f"of type {type(value).__name__}"


def plainly(function, *arguments):
    """Give what the function returns."""
    return {"the result": function(*arguments)}


def is_refused(function, *arguments):
    """Tell whether the call ends with ValueError."""
    part = "whether the call ends with a ValueError"
    try:
        function(*arguments)
    except ValueError:
        return {part: True}
    return {part: False}


def name_pairs(pairs, length, name, prefix=""):
    """Name the arrays of a list of (matrix, vector): W1, b1, W2, ..."""
    named = {}
    for number, pair in enumerate(as_list(pairs, length, name), start=1):
        W, b = as_list(pair, 2, f"pair {number} of {name}")
        named[f"{prefix}W{number}"] = W
        named[f"{prefix}b{number}"] = b
    return named


def name_layers(unpack, weights, layer_sizes):
    """Name the layers, the first one first."""
    return name_pairs(unpack(weights, layer_sizes), len(layer_sizes) - 1, "layers")


def write_to_views(unpack, weights, layer_sizes):
    """Fill each array with a number of its own, and count it in the flat vector."""
    arrays = name_layers(unpack, weights, layer_sizes)
    counts = {}
    for number, (name, array) in enumerate(arrays.items(), start=1):
        array[...] = -number
        what = f"the number of {weights.dtype} weights that change with {name}"
        counts[what] = int(np.sum(weights == -number))
    return counts


def name_activations(forward, layers, images):
    """Name what each layer reads, and the logits."""
    result = forward(layers, images)
    activations, logits = as_list(result, 2, "the result (activations, logits)")
    name = "activations (what each layer reads: the images first, and no logits)"
    named = {}
    for number, h in enumerate(as_list(activations, len(layers), name)):
        named[f"h_{number}"] = h
    named["logits"] = logits
    return named


def name_gradient(backprop, layers, *arguments):
    """Name the gradient from the top down, as delta goes."""
    gradient = backprop(layers, *arguments)
    named = name_pairs(gradient, len(layers), "the gradient", "d")
    return dict(reversed(named.items()))


def take_step(step, layers, *arguments):
    """Name the arrays that the layers held before the step, as they are after it."""
    arrays = list(layers)
    step(layers, *arguments)
    return name_pairs(arrays, len(arrays), "layers")


def draw_batches(minibatches, num_images, batch_size, seed):
    """Tell the sizes of the batches, and what is in them."""
    batches = minibatches(num_images, batch_size, seed)
    num_batches = ceil(num_images / batch_size)
    as_list(batches, num_batches, "the list of batches")
    order = np.concatenate(batches)
    missing = set(range(num_images)).difference(order.tolist())
    spread = np.mean([np.ptp(batch) for batch in batches])
    spreads = "whether batches spread (shuffle the whole range, not inside or between blocks)"
    return {
        "the list of sizes": [len(batch) for batch in batches],
        "images in no batch:": sorted(missing),
        spreads: bool(spread > num_images / 4),
        "whether positions are whole numbers": order.dtype.kind in "iu",
    }


def compare_seeds(minibatches, num_images, batch_size, *seeds):
    """Tell for each two seeds whether they give the same order."""

    def order(seed):
        return np.concatenate(minibatches(num_images, batch_size, seed))

    agree = {}
    for one, other in combinations(seeds, 2):
        name = f"whether seeds {one} and {other} give the same order"
        agree[name] = np.array_equal(order(one), order(other))
    return agree


def list_fields(list_runs, *arguments):
    """Name the fields of the recipes, one field after the other, each for all runs."""
    *factors, _, _, num_seeds = arguments
    num_runs = num_seeds * prod(map(len, factors))
    runs = as_list(list_runs(*arguments), num_runs, "the list of runs")
    named = {}
    for field in fields(Recipe):
        for number, run in enumerate(runs):
            if not isinstance(run, Recipe):
                raise ResultError(f"run {number} is {kind(run)}, expected sgd.Recipe")
            named[f"{field.name}[{number}]"] = getattr(run, field.name)
    return named


def find_tiles(tile_W0, units, *columns):
    """Number all weights, and find three of each unit in the picture."""
    W = np.arange(0.5, units * 784).reshape(units, 784)
    picture = np.asarray(tile_W0(W.copy(), *columns))
    places = {"the shape of the picture": list(picture.shape)}
    for unit in range(units):
        is_here = np.isin(picture, W[unit, [0, 1, 783]])
        name = f"the place of pixels [0, 0], [0, 1], [27, 27] of tile[{unit}]"
        places[name] = np.argwhere(is_here).tolist()
    places["the number of entries that are NaN"] = int(np.isnan(picture).sum())
    return places
