"""Checks of exercises A5 and A6: minibatches and the step."""

from itertools import combinations

import numpy as np

from helpers import network
from helpers.notebook.checks.network import draw_problem, read_pairs, shapes_of
from helpers.notebook.checks.structure import Check, an_array, expect, kind, recognise

# ---- A5: minibatches


def checks_of_minibatches(layer_sizes, rng):
    """Draw epochs of several sizes, and compare seeds with one another."""
    seed = int(rng.integers(1, 1_000))
    lists = [[seed, 1], [seed, 2], [seed + 1, 1], [1, seed]]
    calls = {
        "20 images in batches of 8": (20, 8, judge_batches),
        "12 images in batches of 4": (12, 4, judge_batches),
        "3 images in batches of 5": (3, 5, judge_batches),
        "the whole range is shuffled": (200, 8, judge_shuffled),
    }
    checks = []
    for what, (num_images, batch_size, judge) in calls.items():
        given = {"num_images": num_images, "batch_size": batch_size, "seed": seed}
        checks.append(Check(what, given, judge, unique=False))
    given = given | {"seed": [seed, seed + 1, *lists, seed, lists[0]]}
    what = "seeds, also lists of them"
    return [*checks, Check(what, given, judge_seeds, draw_with_each, unique=False)]


def judge_batches(given, batches):
    """Every image once, and all batches full but the last one."""
    if not isinstance(batches, np.ndarray):  # equal batches may come as one array
        expect(isinstance(batches, list), f"batches is {kind(batches)}, expected a list of arrays")
    positions = range(given["num_images"])
    size = given["batch_size"]
    expected = [len(positions[start : start + size]) for start in positions[::size]]
    sizes = [np.size(batch) for batch in batches]
    expect(sizes == expected, f"{len(positions)} images in batches of {sizes}, expected {expected}")
    order = an_array(np.concatenate(batches), (len(positions),), "the order of the images")
    missing = sorted(set(positions) - set(order.tolist()))
    expect(not missing, f"of {len(positions)} images these are in no batch: {missing[:5]}")
    expect(order.dtype.kind in "iu", f"positions are {order.dtype}, expected whole numbers")


def judge_shuffled(given, batches):
    """In a random order neighbours are a third of the range apart, on average."""
    judge_batches(given, batches)
    apart = np.abs(np.diff(np.concatenate(batches))).mean()
    usual = given["num_images"] / 3
    line = f"neighbours are {apart:.1f} places apart on average, expected about {usual:.0f}"
    expect(apart > 0.75 * usual, f"{line}: shuffle the whole range, not inside or between blocks")


def draw_with_each(minibatches, num_images, batch_size, seed):
    """Draw an epoch with each of the seeds."""
    return [np.concatenate(minibatches(num_images, batch_size, each)) for each in seed]


def judge_seeds(given, orders):
    """The same seed gives the same order, any other one another order."""
    seeds = given["seed"]
    shape = len(seeds), given["num_images"]
    orders = an_array(orders, shape, "the orders drawn with these seeds")
    for one, other in combinations(range(len(seeds)), 2):
        are_same = np.array_equal(orders[one], orders[other])
        found = "the same order" if are_same else "two orders"
        line = f"seed = {seeds[one]} and seed = {seeds[other]} give {found}"
        expect(are_same == (seeds[one] == seeds[other]), line)


# ---- A6: step


def checks_of_step(layer_sizes, rng):
    """Take a step without L2 and one with it."""
    plain = draw_problem(layer_sizes, rng) | {"rate": 0.1, "alpha": 0.0}
    with_l2 = draw_problem(layer_sizes, rng) | {"rate": 0.05, "alpha": 0.3}
    return [
        Check("without L2", plain, judge_step, take_step, ("layers",)),
        Check("with L2", with_l2, judge_step, take_step, ("layers",)),
    ]


def take_step(step, layers, images, labels, rate, alpha):
    """Take a step, and tell where the arrays are then that the layers held before it."""
    gradients = {
        "gradient": network.backprop(layers, images, labels, alpha),
        "without L2": network.backprop(layers, images, labels, 0.0),
    }
    arrays = list(layers)
    step(layers, images, labels, rate, alpha)
    return {"moved": arrays} | gradients


def judge_step(given, found):
    """Compare each array with w - rate * gradient, by the student's own gradient."""
    shapes = shapes_of(given["layers"])
    read = [read_pairs(found[name], shapes, name) for name in ("moved", "gradient", "without L2")]
    for number, pairs in enumerate(zip(given["layers"], *read, strict=True), start=1):
        for symbol, arrays in zip("Wb", zip(*pairs, strict=True), strict=True):
            expect_moved(f"{symbol}{number}", given["rate"], *arrays)


def expect_moved(name, rate, old, new, gradient, without_l2):
    """Compare one array with where a step should take it, and name the likely mistake."""
    bound = (
        "has not moved: `W = ...` and `layers[l] = ...` make new arrays, but the flat vector "
        "moves only if its views are written to (`W -= ...`, `W[...] = ...`)"
    )
    mistakes = {
        bound: old,
        "moves along the gradient, expected against it": old + rate * gradient,
        "moves without L2: hand alpha on to backprop": old - rate * without_l2,
        "moves by the gradient itself, without the rate": old - gradient,
        "gets L2 twice: it is in the gradient": old - rate * (2 * gradient - without_l2),
    }
    recognise(new, old - rate * gradient, mistakes, name, " = w - rate * gradient")
