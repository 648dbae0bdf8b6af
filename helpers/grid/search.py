"""The search: units -> trained runs, each unit saved as it finishes, resumable, on any executor.

A finished unit is on disk before its worker gets the next one, under a fingerprint of everything
that decides its numbers; a later search takes from disk what has the right fingerprint and is
whole. Left out on purpose: adaptive search (every run of the grid is wanted), the test images.
"""

import itertools
import math
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import data, network, sgd
from helpers.files import replacing, write_text
from helpers.grid import lanes
from helpers.grid.executors import ExecutorError
from helpers.grid.units import RESULT
from helpers.sgd import Recipe

ATTEMPTS = 3
"""How often the work is taken up again after a worker process died."""
REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network.

    Attributes
    ----------
    recipe : helpers.sgd.Recipe
    cross_entropy, accuracy : float
        On the validation images; not a number if it diverged.
    weights : ndarray of float32, shape (P,)
    seconds : float
        From the start of the search until it was on disk.
    """

    recipe: Recipe
    cross_entropy: float
    accuracy: float
    weights: np.ndarray
    seconds: float

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights, as `helpers.network` wants them."""
        return network.unpack(self.weights, self.recipe.layer_sizes)


def search(units, folder, open_executor, resume=False, on_progress=lambda line: None):
    """Train units, and take up again what a dead worker dropped.

    Parameters
    ----------
    units : list of helpers.grid.units.Unit
    folder : str or Path
        Of the finished units; made if needed.
    open_executor : callable
        Returns a context manager that yields a ``concurrent.futures.Executor`` and how many
        units to have under way at once (`helpers.grid.executors`).
    resume : bool
        Whether to take finished units from `folder` instead of training them again.
    on_progress : callable
        Called with a line (str) at the start, every `REPORT_EVERY` seconds and as units finish.

    Returns
    -------
    dict
        Recipe -> `Run`, in the order of the units.

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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [unit for unit in units if unit_file(folder, unit).exists()] if resume else []
    finished = {unit: (found, 0.0) for unit in kept if (found := load(folder, unit))}
    meter = _Meter(units, folder, finished, len(kept) - len(finished), on_progress)
    for attempt in range(1, ATTEMPTS + 1):
        todo = [unit for unit in units if unit not in finished]
        try:
            if todo:
                with open_executor() as (executor, width):
                    for unit, result in _as_finished(executor, todo, width, folder, meter.report):
                        save(folder, unit, *result)
                        finished[unit] = result[1], meter.elapsed()
                        meter.report()
            return {run.recipe: run for unit in units for run in _runs(unit, *finished[unit])}
        except BrokenExecutor:
            if attempt == ATTEMPTS:
                raise
        except KeyboardInterrupt as stop:
            saved = f"{len(finished)} of {len(units)} units saved"
            line = f"stopped, {saved}; resume = True goes on from there"
            stop._render_traceback_ = lambda line=line: [line]
            raise


def _as_finished(executor, units, width, folder, report):
    """Yield (unit, result) as they finish, with at most `width` under way.

    A worker gets its next unit only when the caller has taken, and so saved, the last one.
    """
    waiting, under_way = iter(units), {}
    while True:
        for unit in itertools.islice(waiting, width - len(under_way)):
            under_way[executor.submit(train_unit, unit, folder)] = unit
        if not under_way:
            return
        ready, _ = wait(under_way, REPORT_EVERY, FIRST_COMPLETED)
        report()
        for future in ready:
            yield under_way.pop(future), future.result()


def train_unit(unit, folder):
    """Train a unit in this process, on its own copy of the data.

    Returns its fingerprint, computed here, and a dict with the keys of `RESULT`. After each epoch
    the file of `progress_file` says how far it is, if `folder` can be reached from here.
    """
    training, validation = data.load_training()
    found = {}

    def on_epoch(epoch, ended):
        found.update({run: measure(run, weights, validation) for run, weights in ended.items()})
        best = max([0.0, *(accuracy for _, accuracy, _ in found.values())])
        with suppress(OSError):
            write_text(progress_file(folder, unit), f"{epoch} {best}")

    lanes.train(unit.recipes, training, on_epoch=on_epoch)
    columns = map(np.hstack, zip(*(found[recipe] for recipe in unit.recipes), strict=True))
    return unit.fingerprint, dict(zip(RESULT, columns, strict=True))


def measure(recipe, weights, validation):
    """Evaluate a trained network: cross-entropy, accuracy, its weights; NaN if it diverged."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if np.isfinite([*scores, weights.sum()]).all():
        return *scores, weights
    return np.nan, np.nan, np.zeros_like(weights)


def progress_file(folder, unit):
    """Name the file that holds a unit's epoch and its best accuracy so far, while it trains."""
    return Path(folder) / f"{unit.fingerprint}.epoch"


def _runs(unit, found, seconds):
    sizes = [network.num_weights(recipe.layer_sizes) for recipe in unit.recipes]
    weights = np.split(found["weights"], np.cumsum(sizes)[:-1])
    scores = found["cross_entropy"].tolist(), found["accuracy"].tolist()
    for recipe, *result in zip(unit.recipes, *scores, weights, strict=True):
        yield Run(recipe, *result, seconds)


def unit_file(folder, unit):
    """Name the file of a finished unit."""
    return folder / f"{unit.fingerprint}.npz"


def save(folder, unit, fingerprint, found):
    """Put a finished unit on disk, as arrays without pickles; refuse one of other code or data."""
    if fingerprint != unit.fingerprint:
        raise ExecutorError(
            f"a worker has other data, another NumPy, other BLAS kernels or another version of "
            f"helpers (fingerprint {fingerprint}, expected {unit.fingerprint})"
        )
    with replacing(unit_file(folder, unit)) as file:
        np.savez(file, allow_pickle=False, fingerprint=fingerprint, **found)
    progress_file(folder, unit).unlink(missing_ok=True)


def load(folder, unit):
    """Read a finished unit back; None if it is not whole and fitting: it trains again."""
    size = sum(network.num_weights(recipe.layer_sizes) for recipe in unit.recipes)
    try:
        with np.load(unit_file(folder, unit), allow_pickle=False) as file:
            found = dict(file)
    except Exception:  # whatever a damaged file raises
        return None
    fits = (
        str(found.pop("fingerprint", "")) == unit.fingerprint
        and {name: each.dtype for name, each in found.items()} == RESULT
        and found["weights"].shape == (size,)
        and found["accuracy"].shape == found["cross_entropy"].shape == (len(unit.recipes),)
        and np.isfinite(found["weights"]).all()
    )
    return found if fits else None


class _Meter:
    """Reports how far a search is, and foretells its end from the expected cost of its units."""

    def __init__(self, units, folder, finished, unfit, on_progress):
        self._units, self._folder, self._finished = units, folder, finished
        self._unfit, self._on_progress = unfit, on_progress
        self._start, self._saved = time.monotonic(), sum(unit.cost for unit in finished)
        for unit in units:
            progress_file(folder, unit).unlink(missing_ok=True)
        self.report()

    def elapsed(self):
        return time.monotonic() - self._start

    def report(self):
        states = [(unit, *self._state(unit)) for unit in self._units]
        passed = sum(unit.cost * epoch / unit.num_epochs for unit, epoch, _ in states)
        left = sum(unit.cost for unit in self._units) - passed
        left = left and self.elapsed() * left / (passed - self._saved or math.nan)
        runs = [run.num_epochs <= epoch for unit, epoch, _ in states for run in unit.recipes]
        best = max((best for *_, best in states), default=0.0)
        line = progress_line(sum(runs), len(runs), best, self.elapsed(), left, self._unfit)
        self._on_progress(line)

    def _state(self, unit):
        """Look up the epoch and the best accuracy that a unit has reached."""
        if unit in self._finished:
            return unit.num_epochs, max(0.0, *self._finished[unit][0]["accuracy"])
        try:
            epoch, best = progress_file(self._folder, unit).read_text().split()
            return int(epoch), float(best)
        except (OSError, ValueError):
            return 0, 0.0


def progress_line(done, total, best, elapsed, left, unfit):
    """Say in one line how far a search is."""
    damaged = f"; damaged files, trained again: {unfit}" if unfit else ""
    return (
        f"{done} of {total} runs, best {best:.2%}, "
        f"{_clock(elapsed)} elapsed, about {_clock(left)} left{damaged}"
    )


def _clock(seconds):
    if math.isnan(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
