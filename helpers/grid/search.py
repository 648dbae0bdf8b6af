"""A grid of hyperparameters -> a table of results: stacked, resumable, on any executor.

Runs that see the same minibatches are one unit of work: they train as a stack, and a shorter run
is a checkpoint of a longer one. Every row is still, bit for bit, the run trained by itself. A
finished unit is on disk before its worker gets the next one, under a fingerprint of everything
that decides its numbers; a later search takes from disk what has the right fingerprint.

Left out on purpose: adaptive search (every row of the grid is wanted), the test images, and where
the work runs (`helpers.grid.executors`).
"""

import ast
import hashlib
import itertools
import json
import math
import statistics
import time
import zipfile
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from helpers import data, network, sgd
from helpers.files import replacing
from helpers.grid.executors import ExecutorError
from helpers.grid.table import COLUMNS
from helpers.sgd import Recipe

STEP_COST = 150_000
"""What the calls of a step cost beside its products, in units of weights times batch size."""
ATTEMPTS = 3
"""How often the work is taken up again after a worker process died."""


@dataclass(frozen=True)
class Unit:
    """Runs that train together: one stack, measured at one or more epochs.

    Attributes
    ----------
    recipes : tuple of Recipe
        See `helpers.sgd.SGD` for what they must share.
    checkpoints : tuple of int
        Epochs, ascending, after which every member is measured; the last is num_epochs.
    """

    recipes: tuple[Recipe, ...]
    checkpoints: tuple[int, ...]

    @property
    def cost(self):
        """float : expected work, to start the longest unit first and to foretell the end."""
        recipe = self.recipes[0]
        steps = recipe.num_epochs * math.ceil(54_000 / recipe.batch_size)
        per_step = STEP_COST + network.num_weights(recipe.layer_sizes) * recipe.batch_size
        return float(len(self.recipes) * steps * per_step)

    @property
    def fingerprint(self):
        """str : hash of recipes, checkpoints, data, split, NumPy and the mathematics."""
        content = {
            "recipes": [asdict(recipe) for recipe in self.recipes],
            "checkpoints": self.checkpoints,
            "data": data.SHA256,
            "split": [data.SPLIT_SEED, data.NUM_VALIDATION],
            "numpy": np.__version__,
            "mathematics": mathematics(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class UnitResult:
    """What a unit found at C checkpoints of K members, on the validation images.

    Attributes
    ----------
    fingerprint : str
    cross_entropy, accuracy : ndarray of float64, shape (C, K)
        0 where diverged.
    diverged : ndarray of bool, shape (C, K)
    weights : ndarray of float32, shape (C, K, P)
    seconds, peak_memory : float
        Time taken, and the worker's largest memory so far in bytes (0 if unknown).
    """

    fingerprint: str
    cross_entropy: np.ndarray
    accuracy: np.ndarray
    diverged: np.ndarray
    weights: np.ndarray
    seconds: float
    peak_memory: float


@dataclass(frozen=True)
class Run:
    """One trained network: its recipe, what it reached on validation, its weights."""

    recipe: Recipe
    cross_entropy: float | None
    accuracy: float | None
    fingerprint: str
    weights: np.ndarray

    def __repr__(self):
        return f"Run(layer_sizes={self.recipe.layer_sizes}, accuracy={self.accuracy})"

    @property
    def diverged(self):
        """bool : whether its cross-entropy was not a finite number."""
        return self.accuracy is None

    @property
    def row(self):
        """dict : the run as a row of the table, with the keys `COLUMNS`."""
        recipe, hidden = self.recipe, self.recipe.layer_sizes[1:-1]
        return {
            "num_hidden_layers": len(hidden),
            "num_units": hidden[0] if hidden else 0,
            **{name: getattr(recipe, name) for name in COLUMNS[2:7]},
            "cross_entropy": self.cross_entropy,
            "accuracy": self.accuracy,
            "diverged": self.diverged,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class Progress:
    """How far a search is; printed, it is one line."""

    done: int
    total: int
    best: float
    elapsed: float
    remaining: float

    def __str__(self):
        return (
            f"{self.done}/{self.total} units, best {self.best:.2%}, "
            f"{_clock(self.elapsed)} elapsed, about {_clock(self.remaining)} left"
        )


def make_units(settings):
    """Arrange a grid as units: learning rates stacked, shorter runs as checkpoints.

    Parameters
    ----------
    settings : helpers.notebook.parameters.PartC

    Returns
    -------
    list of Unit
        Longest first.
    """
    seeds = range(settings.seed, settings.seed + settings.num_seeds)
    shapes = itertools.product(
        settings.num_hidden_layers, settings.num_units, settings.batch_size, seeds
    )
    units = []
    for depth, width, batch_size, seed in shapes:
        layer_sizes = (data.NUM_PIXELS, *[width] * depth, data.NUM_CLASSES)
        recipes = tuple(
            Recipe(
                layer_sizes,
                max(settings.num_epochs),
                batch_size,
                rate,
                settings.alpha,
                seed=seed,
                shuffle_seed=seed,
            )
            for rate in settings.learning_rate
        )
        units.append(Unit(recipes, tuple(sorted(settings.num_epochs))))
    return longest_first(dict.fromkeys(units))


def longest_first(units):
    """Order units so that no long one is left alone at the end.

    Parameters
    ----------
    units : iterable of Unit

    Returns
    -------
    list of Unit
    """
    return sorted(units, key=lambda unit: unit.cost, reverse=True)


def train_unit(unit):
    """Train one unit in this process, on its own copy of the data, with one BLAS thread.

    Parameters
    ----------
    unit : Unit

    Returns
    -------
    UnitResult
    """
    start = time.monotonic()
    training, validation = data.load_training_once()
    measured = []
    with sgd.one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        trainer = sgd.SGD(unit.recipes, training)
        for epoch in range(1, unit.recipes[0].num_epochs + 1):
            trainer.run_epoch()
            if epoch in unit.checkpoints:
                weights = trainer.result
                figures = sgd.evaluate(weights, trainer.layer_sizes, validation)
                measured.append((*figures, weights))
    cross_entropy, accuracy, weights = map(np.stack, zip(*measured, strict=True))
    fine = np.isfinite(cross_entropy) & np.isfinite(weights).all(axis=-1)
    return UnitResult(
        unit.fingerprint,
        np.where(fine, cross_entropy, 0),
        np.where(fine, accuracy, 0),
        ~fine,
        np.where(fine[..., None], weights, 0),
        time.monotonic() - start,
        _peak_memory(),
    )


def search(units, folder, open_executor, resume=False, on_progress=None):
    """Train units, each saved as it finishes, and take up again what a dead worker dropped.

    Parameters
    ----------
    units : list of Unit
    folder : str or Path
        Of the finished units; made if needed.
    open_executor : callable
        Returns a context manager that yields a ``concurrent.futures.Executor`` and how many
        units to have under way at once (`helpers.grid.executors`).
    resume : bool
        Whether to take finished units from `folder` instead of training them again.
    on_progress : callable, optional
        Called with a `Progress` at the start and as each unit finishes.

    Returns
    -------
    list of Run
        In the order of `units`, their checkpoints and their recipes.

    Raises
    ------
    BrokenExecutor
        If worker processes keep dying.
    ExecutorError
        If a worker has other data or another version of the mathematics.
    OSError
        If a unit cannot be saved; those saved before remain.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = _finished(units, folder) if resume else {}
    clock = _Clock(units, results, on_progress or (lambda progress: None))
    for attempt in range(1, ATTEMPTS + 1):
        todo = [unit for unit in units if unit not in results]
        try:
            if todo:
                with open_executor() as (executor, width):
                    for unit, result in _as_finished(executor, todo, width):
                        save_result(folder, unit, result)
                        results[unit] = result
                        clock.tick(unit)
            return [run for unit in units for run in _runs(unit, results[unit])]
        except BrokenExecutor:
            if attempt == ATTEMPTS:
                raise


def _as_finished(executor, units, width):
    """Yield (unit, result) as they finish, with at most `width` under way.

    A worker gets its next unit only when the caller has taken, and so saved, the last one.
    """
    waiting = iter(units)
    under_way = {executor.submit(train_unit, u): u for u in itertools.islice(waiting, width)}
    while under_way:
        finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in finished:
            unit = under_way.pop(future)
            yield unit, future.result()
            under_way |= {
                executor.submit(train_unit, unit): unit for unit in itertools.islice(waiting, 1)
            }


def save_result(folder, unit, result):
    """Put a finished unit on disk, as arrays in a .npz file without pickles.

    Parameters
    ----------
    folder : Path
    unit : Unit
    result : UnitResult

    Raises
    ------
    ExecutorError
        If the result comes from other data or code than this process has.
    """
    if result.fingerprint != unit.fingerprint:
        raise ExecutorError(
            f"a worker has other data, another NumPy or another version of helpers "
            f"(fingerprint {result.fingerprint}, expected {unit.fingerprint})"
        )
    with replacing(folder / f"{unit.fingerprint}.npz") as file:
        np.savez(file, allow_pickle=False, **vars(result))


def load_result(folder, unit):
    """Read a finished unit back.

    Parameters
    ----------
    folder : Path
    unit : Unit

    Returns
    -------
    UnitResult or None
        None if there is no whole file of this fingerprint: the unit is then trained again.
    """
    try:
        with np.load(folder / f"{unit.fingerprint}.npz", allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    scalars = {name: found[name].item() for name in ("fingerprint", "seconds", "peak_memory")}
    result = UnitResult(**found | scalars)
    return result if result.fingerprint == unit.fingerprint else None


def _finished(units, folder):
    found = {unit: load_result(folder, unit) for unit in units}
    return {unit: result for unit, result in found.items() if result}


def _runs(unit, result):
    for c, num_epochs in enumerate(unit.checkpoints):
        for k, recipe in enumerate(unit.recipes):
            fine = not result.diverged[c, k]
            yield Run(
                replace(recipe, num_epochs=num_epochs),
                float(result.cross_entropy[c, k]) if fine else None,
                float(result.accuracy[c, k]) if fine else None,
                unit.fingerprint,
                result.weights[c, k],
            )


def mathematics():
    """Hash the code of `helpers.network` and `helpers.sgd`, without comments and docstrings.

    Returns
    -------
    str
        Changes when, and only when, what is computed may change.
    """
    trees = [ast.parse(Path(module.__file__).read_text("utf-8")) for module in (network, sgd)]
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()


def _is_text(line):
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def ranked(runs):
    """Sort runs by validation accuracy, best first; lower cross-entropy breaks ties.

    Parameters
    ----------
    runs : iterable of Run

    Returns
    -------
    list of Run
        Without those that diverged.

    Raises
    ------
    DivergedError
        If none is left.
    """
    finite = [run for run in runs if not run.diverged]
    if not finite:
        raise sgd.DivergedError("every run diverged; choose smaller learning rates")
    return sorted(finite, key=lambda run: (-run.accuracy, run.cross_entropy))


def repeats(runs, num_seeds):
    """Make units that train some runs again with the next seeds (weights and minibatches).

    Parameters
    ----------
    runs : iterable of Run
    num_seeds : int
        How many further seeds.

    Returns
    -------
    list of Unit
    """
    return longest_first(
        Unit((replace(run.recipe, seed=seed, shuffle_seed=seed),), (run.recipe.num_epochs,))
        for run in runs
        for seed in range(run.recipe.seed + 1, run.recipe.seed + 1 + num_seeds)
    )


def over_seeds(runs):
    """Average runs that differ in nothing but their seeds.

    Parameters
    ----------
    runs : iterable of Run

    Returns
    -------
    list of dict
        For each recipe: ``recipe`` (of the first run), ``mean`` and ``sd`` of the validation
        accuracy (sd is None for one run), ``num_seeds``, ``runs``; best mean first.
    """
    groups = {}
    for run in runs:
        groups.setdefault(replace(run.recipe, seed=0, shuffle_seed=0), []).append(run)
    summaries = [_summary(group) for group in groups.values()]
    return sorted(summaries, key=lambda s: -math.inf if s["mean"] is None else s["mean"])[::-1]


def summary_row(summary):
    """Say a summary of `over_seeds` in plain values, for a table or for JSON.

    Parameters
    ----------
    summary : dict

    Returns
    -------
    dict
    """
    recipe = summary["recipe"]
    names = "num_epochs", "batch_size", "learning_rate", "alpha"
    return {
        "layers": "-".join(map(str, recipe.layer_sizes)),
        **{name: getattr(recipe, name) for name in names},
        "first_seed": summary["runs"][0].accuracy,
        **{name: summary[name] for name in ("mean", "sd", "num_seeds")},
    }


def _summary(runs):
    scores = [run.accuracy for run in runs if not run.diverged]
    return {
        "recipe": runs[0].recipe,
        "mean": statistics.mean(scores) if scores else None,
        "sd": statistics.stdev(scores) if len(scores) > 1 else None,
        "num_seeds": len(runs),
        "runs": runs,
    }


class _Clock:
    """Foretells the end of a search from the expected cost of its units."""

    def __init__(self, units, results, on_progress):
        self._units, self._results, self._on_progress = units, results, on_progress
        self._left = sum(unit.cost for unit in units if unit not in results)
        self._total, self._start = self._left, time.monotonic()
        self._report()

    def tick(self, unit):
        self._left -= unit.cost
        self._report()

    def _report(self):
        elapsed = time.monotonic() - self._start
        done = self._total - self._left
        best = max((result.accuracy.max() for result in self._results.values()), default=0.0)
        remaining = elapsed * self._left / done if done else math.nan
        counts = len(self._results), len(self._units)
        self._on_progress(Progress(*counts, float(best), elapsed, remaining))


def _clock(seconds):
    if math.isnan(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _peak_memory():
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
