"""Checks of exercises A5 and A6: minibatches and the step."""

import numpy as np

from helpers import network
from helpers.notebook.checks.network import draw_problem, read_pairs, shapes_of
from helpers.notebook.checks.structure import Check, an_array, expect, kind, recognise

# ---- A5: minibatches


def checks_of_minibatches(layer_sizes, rng):
    seed = int(rng.integers(1, 1_000))
    seeds = [seed, seed + 1, [seed, 1], [seed, 2], [seed + 1, 1], [1, seed], [2, seed]]
    one_order = {"num_images": 200, "batch_size": 8, "seed": seed}
    given = one_order | {"seed": seeds}
    checks = [
        Check(
            f"{num_images} images in batches of {batch_size}",
            {"num_images": num_images, "batch_size": batch_size, "seed": seed},
            judge_batches,
            unique=False,
        )
        for num_images, batch_size in ((20, 8), (12, 4), (3, 5), (7, 1))
    ]
    checks.append(Check("the whole range is shuffled", one_order, judge_shuffled, unique=False))
    checks.append(
        Check("seeds, also lists of them", given, judge_seeds, draw_with_each, unique=False)
    )
    return checks


def judge_batches(given, batches):
    """Every image once, and all batches full but the last one."""
    num_images, batch_size = given["num_images"], given["batch_size"]
    full, rest = divmod(num_images, batch_size)
    expected = [batch_size] * full + [rest] * (rest > 0)
    order = read_order(batches)
    sizes = [len(batch) for batch in batches]
    line = f"{num_images} images come in batches of {sizes}, expected {expected}"
    expect(sizes == expected, line)
    missing = sorted(set(range(num_images)) - set(order))
    expect(not missing, f"of {num_images} images these are in no batch: {missing[:5]}")


def read_order(batches):
    """Read batches of positions: all positions in their order."""
    if not isinstance(batches, np.ndarray):  # equal batches may come as one array
        line = f"batches is {kind(batches)}, expected a list of arrays"
        expect(isinstance(batches, list), line)
    order = []
    for number, batch in enumerate(batches):
        entries = an_array(batch, np.shape(batch)[:1], f"batches[{number}]")
        line = f"batches[{number}] holds {entries.dtype} numbers, expected whole ones: positions"
        expect(entries.dtype.kind in "iu", line)
        order.extend(entries.tolist())
    return order


def judge_shuffled(given, batches):
    judge_batches(given, batches)
    order = np.array(read_order(batches))
    distance = np.abs(np.diff(order)).mean()
    usual = given["num_images"] / 3
    line = (
        f"neighbours stay close together (on average {distance:.1f} places apart, expected about "
        f"{usual:.0f}): shuffle the whole range, not inside or between blocks"
    )
    expect(distance > 0.75 * usual, line)


def draw_with_each(minibatches, num_images, batch_size, seed):
    """Draw an epoch with each of the seeds, and with the first one and the last one again."""
    seeds = [*seed, seed[0], seed[-1]]
    return [np.concatenate(minibatches(num_images, batch_size, each)) for each in seeds]


def judge_seeds(given, orders):
    """The same seed gives the same order, any other one another order."""
    seeds = given["seed"]
    shape = len(seeds) + 2, given["num_images"]
    *drawn, first_again, last_again = an_array(orders, shape, "the orders drawn with these seeds")
    twice = (seeds[0], drawn[0], first_again), (seeds[-1], drawn[-1], last_again)
    for seed, order, again in twice:
        line = f"seed = {seed} gives another order each time it is used"
        expect(np.array_equal(order, again), line)
    for k, order in enumerate(drawn):
        for other in range(k):
            line = f"seed = {seeds[other]} and seed = {seeds[k]} give the same order"
            expect(not np.array_equal(order, drawn[other]), line)


# ---- A6: step


def checks_of_step(layer_sizes, rng):
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
