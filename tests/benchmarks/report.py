"""From measured microseconds to the grid's minutes and the tables. Pure arithmetic.

An *entry* is what one run of `benchmark_steps` found with one kind of BLAS kernels: ``shapes``
(the measured medians and quartiles) and what follows from them, ``grid``.
"""

import itertools
from collections import namedtuple
from math import fsum

CONTENDERS = ["blas", "blas_9", "alone", "stack_9", "paper", "jax", "jax_rates"]
CONTENDERS += ["notebook", "torch", "sklearn"]
"""Those measured on every shape of the table; README.md here says what each does."""
GRID_CONTENDERS = ["blas", "grid_stack", "alone", "paper", "jax", "jax_rates"]
GRID_CONTENDERS += ["notebook", "torch", "sklearn"]
"""Those measured on every shape of the grid. A stack of the grid trains three depths at once: its
time per network is measured beside each of them."""
NUM_EPOCHS, NUM_RATES, NUM_IMAGES, NUM_CORES = 100, 3, 54_000, 2


Shape = namedtuple("Shape", ["num_units", "num_hidden_layers", "batch_size"])
"""Units of a hidden layer, number of hidden layers, images a step."""
TABLE = (30, 3, 16), (30, 3, 64), (50, 5, 16), (50, 5, 64), (64, 3, 8)
STEP_SHAPES = [Shape(*numbers) for numbers in TABLE]
GRID = itertools.product((30, 40, 50), (3, 4, 5), (16, 32, 64))
GRID_SHAPES = [Shape(*numbers) for numbers in GRID]


def contenders(shape):
    """Name those that are measured on a shape."""
    names = [*CONTENDERS] * (shape in STEP_SHAPES) + [*GRID_CONTENDERS] * (shape in GRID_SHAPES)
    return list(dict.fromkeys(names))


def microseconds(entry, shape):
    """Look up what was measured on a shape: contender -> its median and quartiles."""
    return next(f["microseconds"] for f in entry["shapes"] if f["shape"] == list(shape))


def project_grid(entry):
    """Project the grid: 27 shapes x 3 rates = 81 trainings of 100 epochs, on two cores.

    Steps only, one process a core, perfectly shared. With 50 epochs a checkpoint of 100 this is
    the grid of 162 runs; trained one by one, the 162 runs take 1.5 times as long. Returns for each
    contender of the grid the minutes for ``81_trainings`` and ``162_runs``.
    """
    projected = {}
    for name in GRID_CONTENDERS:
        epoch = fsum(
            -(-NUM_IMAGES // shape.batch_size) * microseconds(entry, shape)[name]["median"]
            for shape in GRID_SHAPES
        )
        minutes = epoch * NUM_EPOCHS * NUM_RATES / NUM_CORES / 60e6
        projected[name] = {"81_trainings": minutes, "162_runs": 1.5 * minutes}
    return projected


def against_jax(entry):
    """Divide the grid's time by that of JAX, which may take its best form for each shape."""
    ours = theirs = 0.0
    for shape in GRID_SHAPES:
        found = microseconds(entry, shape)
        num_steps = -(-NUM_IMAGES // shape.batch_size)
        ours += num_steps * found["grid_stack"]["median"]
        theirs += num_steps * min(found[name]["median"] for name in ("jax", "jax_rates"))
    return ours / theirs


def table(entry):
    """Write an entry as text for a terminal."""
    import pandas as pd  # late: NumPy counts the cores when it is imported

    found = {shape: microseconds(entry, shape) for shape in STEP_SHAPES}
    steps = {name: [_cell(each[name]) for each in found.values()] for name in CONTENDERS}
    grid, measured = pd.DataFrame(entry["grid"]["projected"]).T, entry["grid"]["measured_minutes"]
    return f"""\
kernels {entry["kernels"]}; {entry["cpu"]}; {entry["date"]}; {entry["versions"]}
one pinned core, of whose time the benchmark got {entry["cpu_share"]:.0%}

(a) microseconds a step and network: median, and half the distance of the quartiles
{pd.DataFrame(steps, index=map(str, TABLE)).to_string()}

(b) the grid in minutes, projected on two cores from the 27 shapes
{grid.round(1).to_string()}
JAX {entry["jax"]}; the grid's stacks take {against_jax(entry):.2f} of its best time
grid, repeats and beyond, measured: {measured or "not with these kernels"}"""


def _cell(found):
    first, third = found["quartiles"]
    return f"{found['median']:.1f} ±{(third - first) / 2:.1f}"
