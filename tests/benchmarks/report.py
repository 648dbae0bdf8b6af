"""From measured microseconds to the grid's minutes, the ratios and the table. Pure arithmetic.

An *entry* is what one run of `benchmark_steps` found with one kind of BLAS kernels: ``shapes``
(the measured medians and quartiles) and what follows from them, ``grid`` and ``targets``.
"""

import itertools
from math import fsum
from typing import NamedTuple

import pandas as pd

CONTENDERS = {
    "blas": "BLAS alone",
    "blas_9": "BLAS, 9",
    "alone": "alone",
    "lane_9": "lane of 9",
    "paper": "paper",
    "jax": "JAX scan",
    "notebook": "notebook",
    "torch": "PyTorch",
    "sklearn": "sklearn",
}
"""Name in the JSON -> heading; blas, alone, lane and paper are this project's calls and steps."""
GRID_CONTENDERS = "blas", "grid_lane", "alone", "paper", "jax", "notebook", "torch", "sklearn"
"""Those measured on every shape of the grid. A lane of the grid trains three depths at once: its
time per network is measured beside each of them."""
NUM_EPOCHS, NUM_RATES, NUM_IMAGES, NUM_CORES = 100, 3, 54_000, 2


class Shape(NamedTuple):
    """Units of a hidden layer, number of hidden layers, images a step."""

    num_units: int
    num_hidden_layers: int
    batch_size: int


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


def targets(entry):
    """List ratios beside the project's targets; None where these kernels have no target."""
    is_haswell = entry["kernels"] == "Haswell"
    for name, limits in {"alone": (2.0, 1.45, 1.45), "lane_9": (1.3, 1.2, 1.2)}.items():
        for number, limit in zip((0, 1, 3), limits, strict=True):
            at_most = limit if is_haswell else None
            yield _ratio(entry, STEP_SHAPES[number], name, "blas", at_most=at_most)
    for shape in STEP_SHAPES:
        limit = {16: 4, 64: 2.5}.get(shape.batch_size)
        for name, at_least in {"torch": limit, "sklearn": limit, "notebook": 2.7}.items():
            yield _ratio(entry, shape, name, "alone", at_least=at_least)
    minutes = {name: each["81_trainings"] for name, each in entry["grid"]["projected"].items()}
    for name, limits in {"jax": (0.97, 0.82), "blas": (1.2, 1.35)}.items():
        what = f"grid, 81 trainings, projected: lanes / {CONTENDERS[name]}"
        at_most = limits[0] if is_haswell else limits[1]
        yield _target(what, minutes["grid_lane"] / minutes[name], at_most=at_most)


def _ratio(entry, shape, name, to, **limit):
    found = microseconds(entry, shape)
    what = "({},{},{}): {} / {}".format(*shape, CONTENDERS[name], CONTENDERS[to])
    return _target(what, found[name]["median"] / found[to]["median"], **limit)


def _target(what, value, at_most=None, at_least=None):
    met = None
    if at_most or at_least:
        met = value <= at_most if at_most else value >= at_least
    return {"what": what, "value": value, "at_most": at_most, "at_least": at_least, "met": met}


def table(entry):
    """Write an entry as text for a terminal."""
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
grid, repeats and beyond, measured: {measured or "not with these kernels"}

ratios and targets
{pd.DataFrame(entry["targets"]).round(2).to_string()}"""


def _cell(found):
    first, third = found["quartiles"]
    return f"{found['median']:.1f} ±{(third - first) / 2:.1f}"
