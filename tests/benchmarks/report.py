"""From measured microseconds to the grid's minutes, the ratios and the table. Pure arithmetic.

An *entry* is what one run of `benchmark_steps` found with one kind of BLAS kernels: ``shapes``
(the measured medians and quartiles) and what follows from them, ``grid`` and ``targets``.
"""

import itertools
from math import fsum
from typing import NamedTuple

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
GRID_CONTENDERS = {"blas": "BLAS alone", "grid_lane": "the grid's lanes"} | {
    name: CONTENDERS[name] for name in ("alone", "paper", "jax", "notebook", "torch", "sklearn")
}
"""Those measured on every shape of the grid. A lane of the grid trains three depths at once: its
time per network is measured beside each of them."""
NUM_EPOCHS = 100
NUM_RATES = 3
NUM_IMAGES = 54_000
NUM_CORES = 2


class Shape(NamedTuple):
    """Units of a hidden layer, number of hidden layers, images a step."""

    num_units: int
    num_hidden_layers: int
    batch_size: int


TABLE = (30, 3, 16), (30, 3, 64), (50, 5, 16), (50, 5, 64), (64, 3, 8)
GRID = tuple(itertools.product((30, 40, 50), (3, 4, 5), (16, 32, 64)))
STEP_SHAPES = tuple(Shape(*numbers) for numbers in TABLE)
GRID_SHAPES = tuple(Shape(*numbers) for numbers in GRID)


def microseconds(entry, shape):
    """Look up what was measured on a shape: contender -> its median and quartiles."""
    return next(f["microseconds"] for f in entry["shapes"] if f["shape"] == list(shape))


def ratio(entry, shape, name, to):
    """Divide one contender's median on a shape by another's."""
    found = microseconds(entry, shape)
    return found[name]["median"] / found[to]["median"]


def project_grid(entry):
    """Project the grid: 27 shapes x 3 rates = 81 trainings of 100 epochs, on two cores.

    Steps only, one process a core, perfectly shared. With 50 epochs a checkpoint of 100 this is
    the grid of 162 runs; trained one by one, the 162 runs take 1.5 times as long.

    Returns
    -------
    dict
        Contender, if measured on all shapes -> minutes for ``81_trainings`` and ``162_runs``.
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
    """Compare with the project's targets; needs ``kernels``, ``shapes`` and ``grid``.

    Returns
    -------
    list of dict
        ``what``, ``value``, ``at_most``, ``at_least``, ``met``; None where these kernels have no
        target or nothing was measured.
    """
    return [*_blas_targets(entry), *_peer_targets(entry), *_grid_targets(entry)]


def _blas_targets(entry):
    has_target = entry["kernels"] == "Haswell"
    limits = {
        "alone": {(30, 3, 16): 2.0, (30, 3, 64): 1.45, (50, 5, 64): 1.45},
        "lane_9": {(30, 3, 16): 1.3, (30, 3, 64): 1.2, (50, 5, 64): 1.2},
    }
    for name, by_shape in limits.items():
        for shape, limit in by_shape.items():
            what = f"{_short(shape)}: {CONTENDERS[name]} / BLAS alone"
            at_most = limit if has_target else None
            yield _target(what, ratio(entry, shape, name, "blas"), at_most=at_most)


def _peer_targets(entry):
    for shape in STEP_SHAPES:
        limit = {16: 4, 64: 2.5}.get(shape.batch_size)
        for name, at_least in {"torch": limit, "sklearn": limit, "notebook": 2.7}.items():
            what = f"{_short(shape)}: {CONTENDERS[name]} / alone"
            yield _target(what, ratio(entry, shape, name, "alone"), at_least=at_least)


def _grid_targets(entry):
    haswell = entry["kernels"] == "Haswell"
    minutes = {name: found["81_trainings"] for name, found in entry["grid"]["projected"].items()}
    for name, limits in {"jax": (0.97, 0.82), "blas": (1.2, 1.35)}.items():
        what = f"grid, 81 trainings, projected: lanes / {GRID_CONTENDERS[name]}"
        limit = limits[0] if haswell else limits[1]
        yield _target(what, minutes["grid_lane"] / minutes[name], at_most=limit)


def _target(what, value, at_most=None, at_least=None):
    met = None
    if value is not None and (at_most or at_least):
        met = value <= at_most if at_most else value >= at_least
    return {"what": what, "value": value, "at_most": at_most, "at_least": at_least, "met": met}


def _short(shape):
    return "({},{},{})".format(*shape)


def table(entry):
    """Write an entry as text for a terminal.

    Returns
    -------
    str
    """
    return "\n".join([*_head(entry), *_steps(entry), *_grid(entry), *_verdicts(entry)])


def _head(entry):
    versions = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
    yield f"kernels {entry['kernels']}; {entry['cpu']}; {entry['date']}\n{versions}"
    yield (
        f"one pinned core, of whose time the benchmark got {entry['cpu_share']:.0%}; "
        f"idle threads use {entry['idle_share']:.1%}"
    )


def _steps(entry):
    yield ""
    yield "(a) microseconds a step and network: median, and half the distance of the quartiles"
    yield "h, L, B    " + "".join(f"{heading:>13}" for heading in CONTENDERS.values())
    for shape in STEP_SHAPES:
        found = microseconds(entry, shape)
        cells = [
            f"{f['median']:.1f} ±{(f['quartiles'][1] - f['quartiles'][0]) / 2:.1f}"
            for f in map(found.get, CONTENDERS)
        ]
        yield f"{_short(shape):11}" + "".join(f"{cell:>13}" for cell in cells)


def _grid(entry):
    yield ""
    yield "(b) the grid in minutes, projected on two cores from the 27 shapes"
    yield "                81 trainings   162 runs"
    for name, minutes in entry["grid"]["projected"].items():
        columns = minutes["81_trainings"], minutes["162_runs"]
        yield f"{GRID_CONTENDERS[name]:16}{columns[0]:12.1f}{columns[1]:11.1f}"
    measured = entry["grid"]["measured_minutes"]
    yield "grid, repeats and beyond, measured: " + (
        f"{measured:.1f}" if measured else "not with these kernels"
    )


def _verdicts(entry):
    yield ""
    yield "ratios and targets"
    for target in entry["targets"]:
        bounds = {"at most": target["at_most"], "at least": target["at_least"]}
        limit = "".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
        value = "     -" if target["value"] is None else f"{target['value']:6.2f}"
        verdict = {True: "met", False: "NOT met", None: ""}[target["met"]]
        yield f"{target['what']:52}{value}   {limit:14} {verdict}"
