"""The search: units -> trained runs, each unit saved as it finishes, resumable, on any executor.

A finished unit goes to disk at once, under a fingerprint of everything that decides its numbers; a
later search takes from disk what has the right fingerprint and is whole. Left out on purpose:
adaptive search (every run of the grid is wanted), the test images.
"""

import io
import math
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import data, network, sgd
from helpers.files import write_bytes, write_text
from helpers.grid import stack
from helpers.grid.executors import ExecutorError
from helpers.sgd import Recipe

ATTEMPTS = 3
"""How often the work is taken up again after a worker process died."""
REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network."""

    recipe: Recipe
    cross_entropy: float
    accuracy: float
    """On the validation images; both are not a number if it diverged."""
    weights: np.ndarray
    """float32, shape (P,)."""
    seconds: float
    """From the start of the search until it was on disk."""

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights, as `helpers.network` wants them."""
        return network.unpack(self.weights, self.recipe.layer_sizes)


def search(units, folder, open_executor, resume=False, on_progress=lambda line: None):
    """Train units, and take up again what a dead worker dropped.

    Parameters
    ----------
    units : list of helpers.grid.jobs.Job
    folder : str or Path
        Of the finished units; made if needed.
    open_executor : callable
        Returns a context manager that yields a ``concurrent.futures.Executor``
        (`helpers.grid.executors`).
    resume : bool
        Whether to take finished units from `folder` instead of training them again.
    on_progress : callable
        Called with a line (str) at the start, every `REPORT_EVERY` seconds and as units finish.

    Returns
    -------
    dict
        Recipe -> `Run`.

    Raises
    ------
    BrokenExecutor
        If worker processes keep dying.
    ExecutorError
        If a worker has other data, kernels or another version of the mathematics.
    OSError
        If a unit cannot be saved; those saved before remain.
    KeyboardInterrupt
        A notebook shows it as one line.
    """
    folder, start, attempts = Path(folder), time.monotonic(), 0
    found, unfit = _take_up(units, folder, resume)
    saved = sum(unit.cost for unit in found)

    def report():
        reached = {unit: _reached(folder, unit, found.get(unit)) for unit in units}
        on_progress(progress_line(reached, saved, time.monotonic() - start, unfit))

    report()
    while todo := [unit for unit in units if unit not in found]:
        attempts += 1
        try:
            with open_executor() as executor:
                for unit, result in _as_finished(executor, todo, folder, report):
                    save(folder, unit, result)
                    found[unit] = _runs(unit, time.monotonic() - start, **result)
        except BrokenExecutor:
            if attempts == ATTEMPTS:
                raise
        except KeyboardInterrupt as stop:
            line = f"stopped, {len(found)} of {len(units)} units saved"
            stop._render_traceback_ = lambda s=line: [f"{s}; resume = True goes on from there"]
            raise
    return {run.recipe: run for runs in found.values() for run in runs}


def _take_up(units, folder, resume):
    """Load what a search left in its folder, made if needed; count the files that are unfit."""
    folder.mkdir(parents=True, exist_ok=True)
    for unit in units:
        unit_file(folder, unit, "epoch").unlink(missing_ok=True)
    kept = [unit for unit in units if resume and unit_file(folder, unit).exists()]
    found = {unit: runs for unit in kept if (runs := load(folder, unit))}
    return found, len(kept) - len(found)


def _as_finished(executor, units, folder, report):
    """Yield (unit, result) as they finish."""
    under_way = {executor.submit(train_unit, unit, folder): unit for unit in units}
    while under_way:
        ready, _ = wait(under_way, REPORT_EVERY, FIRST_COMPLETED)
        for future in ready:
            yield under_way.pop(future), future.result()
        report()


def train_unit(unit, folder):
    """Train a unit in this process, on its own copy of the data.

    Returns what is saved: the fingerprint, computed here, cross_entropy and accuracy of each run,
    all weights as one vector. After each epoch a file says how far it is, and its best accuracy, if
    `folder` can be reached from here.
    """
    training, validation = data.load_training()
    found = {}

    def on_epoch(epoch, ended):
        found.update({run: measure(run, weights, validation) for run, weights in ended.items()})
        best = max([0.0, *(accuracy for _, accuracy, _ in found.values())])
        with suppress(OSError):
            write_text(unit_file(folder, unit, "epoch"), f"{epoch} {best}")

    stack.train(unit.recipes, training, on_epoch=on_epoch)
    losses, accuracies, weights = zip(*map(found.get, unit.recipes), strict=True)
    scores = {"cross_entropy": losses, "accuracy": accuracies}
    return {"fingerprint": unit.fingerprint} | scores | {"weights": np.hstack(weights)}


def measure(recipe, weights, validation):
    """Evaluate a trained network: cross-entropy, accuracy, its weights; NaN if it diverged."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if np.isfinite([*scores, weights.sum()]).all():
        return *scores, weights
    return np.nan, np.nan, np.zeros_like(weights)


def unit_file(folder, unit, kind="npz"):
    """Name the file of a finished unit; "epoch": of one that is in training."""
    return folder / f"{unit.fingerprint}.{kind}"


def save(folder, unit, found):
    """Put a finished unit on disk, as arrays without pickles; refuse one of other code or data."""
    if found["fingerprint"] != unit.fingerprint:
        raise ExecutorError(
            f"a worker has other data, another NumPy, other BLAS kernels or another version of "
            f"helpers (fingerprint {found['fingerprint']}, expected {unit.fingerprint})"
        )
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **found)
    write_bytes(unit_file(folder, unit), content.getvalue())
    unit_file(folder, unit, "epoch").unlink(missing_ok=True)


def load(folder, unit):
    """Read the runs of a finished unit; None if it is not whole and fitting: it trains again."""
    # A damaged file may raise anything; `_runs` refuses what is whole but of another shape.
    with suppress(Exception), np.load(unit_file(folder, unit), allow_pickle=False) as file:
        if str(file["fingerprint"]) == unit.fingerprint:
            return _runs(unit, 0.0, **file)
    return None


def _runs(unit, seconds, fingerprint, cross_entropy, accuracy, weights):
    """Take apart what `train_unit` returns; ValueError if it is not of this unit's shape."""
    ends = np.cumsum([network.num_weights(recipe.layer_sizes) for recipe in unit.recipes])
    shapes = [np.shape(each) for each in (cross_entropy, accuracy, weights)]
    fits = shapes == [ends.shape, ends.shape, (ends[-1],)] and weights.dtype == np.float32
    if not fits or not np.isfinite(weights).all():
        raise ValueError("not the weights and scores of this unit")
    columns = unit.recipes, cross_entropy, accuracy, np.split(weights, ends[:-1])
    return [Run(*run, seconds) for run in zip(*columns, strict=True)]


def _reached(folder, unit, runs):
    """Look up the epoch and the best accuracy that a unit has reached."""
    if runs:
        return unit.num_epochs, max(0.0, *(run.accuracy for run in runs))
    with suppress(OSError):
        epoch, best = unit_file(folder, unit, "epoch").read_text().split()
        return int(epoch), float(best)
    return 0, 0.0


def progress_line(reached, saved, elapsed, unfit):
    """Say in one line how far a search is, its end foretold from the expected cost of its units."""
    passed = sum(unit.cost * epoch / unit.num_epochs for unit, (epoch, _) in reached.items())
    left = sum(unit.cost for unit in reached) - passed
    left = left and elapsed * left / (passed - saved or math.nan)
    done = [run.num_epochs <= epoch for unit, (epoch, _) in reached.items() for run in unit.recipes]
    best = max((best for _, best in reached.values()), default=0.0)
    damaged = f"; damaged files, trained again: {unfit}" if unfit else ""
    return (
        f"{sum(done)} of {len(done)} runs, best {best:.2%}, "
        f"{_clock(elapsed)} elapsed, about {_clock(left)} left{damaged}"
    )


def _clock(seconds):
    if math.isnan(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
