"""A run: one trained network, the file that keeps it, and how a worker trains a job.

Each run has a file of its own, named by all that decides its result, whatever job it was trained
in. Left out: which jobs there are, and who trains them.
"""

import hashlib
import io
import os
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy

from helpers import data, files, network, sgd
from helpers.errors import OneLineError
from helpers.grid import machine, stack
from helpers.recipe import Recipe

FOLDER = ".grid"
"""Name of the folder of finished runs in an output folder."""
SOURCES = ["network.py", "recipe.py", "history.py", "sgd.py", "threads.py", "data.py"]
SOURCES += [f"grid/{name}.py" for name in ("products", "workspace", "stack", "jobs", "runs")]
"""The files of helpers that compute a result and keep it; data.py holds the data's own hashes."""
REMEDY = "give it the same (kernels by OPENBLAS_CORETYPE, here and there) and start it again"


class WorkerError(OneLineError):
    """A worker cannot train, or there is none; the message says why."""


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network."""

    recipe: Recipe
    cross_entropy: float
    accuracy: float
    """On the validation images; both are not a number if it diverged."""
    weights: np.ndarray
    """float32, shape (P,)."""
    seconds: float = 0.0
    """From the start of the search until it had this run."""

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights, as `helpers.network` wants them."""
        return network.unpack(self.weights, self.recipe.layer_sizes)


@cache
def identity():
    """Say what decides the result of a run beside its recipe: name -> version, or a hash.

    A process keeps its first answer, since it keeps the code that it has imported. A search begins
    with a new one: in a notebook, edits are live.
    """
    code = [(files.PROJECT / "helpers" / name).read_text("utf-8") for name in SOURCES]
    return {
        "code and data": _hash(code),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "BLAS kernels": machine.blas_kernels(),
    }


def _hash(content):
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def check_identity(expected):
    """Raise WorkerError, or DataError, if a run would not come out here as in another process."""
    data.load_training()
    own = identity()
    different = [
        f"{name} {own[name]} instead of {expected[name]}"
        for name in expected
        if own[name] != expected[name]
    ]
    if different:
        raise WorkerError(f"a worker differs: {', '.join(different)}; {REMEDY}")


@dataclass(frozen=True)
class RunFolder:
    """The runs of a search on disk."""

    path: Path
    identity: dict
    """See `identity`."""

    def file(self, recipe):
        """Name the file of a run."""
        return self.path / f"{_hash((recipe, self.identity))}.npz"

    def epoch_file(self, job):
        """Name the file that is there while a job is in training; its size is the epoch reached.

        So it needs no space on a full disk, and is never seen half written.
        """
        return self.file(job.recipes[0]).with_suffix(".epoch")

    def epoch(self, job):
        """Look up the epoch that a job in training has reached."""
        return self.epoch_file(job).stat().st_size

    def save(self, run):
        """Put a run on disk, as arrays without pickles; an OSError names the file."""
        file, content = self.file(run.recipe), io.BytesIO()
        scores = {"cross_entropy": run.cross_entropy, "accuracy": run.accuracy}
        np.savez(content, allow_pickle=False, name=file.stem, weights=run.weights, **scores)
        try:
            files.write_bytes(file, content.getvalue())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(file)) from None

    def load(self, recipe):
        """Read a run; None if it is not there, or not whole."""
        file = self.file(recipe)
        try:
            with np.load(file, allow_pickle=False) as saved:
                is_own = str(saved["name"]) == file.stem
                scores = float(saved["cross_entropy"]), float(saved["accuracy"])
                return Run(recipe, *scores, saved["weights"]) if is_own else None
        except Exception:  # a damaged file may raise anything
            return None


def train_job(job, folder):
    """Train a job in this process, on its own copy of the data.

    Parameters
    ----------
    job : helpers.grid.jobs.Job
    folder : RunFolder
        Of the search. If the job's epoch file can be seen in it, it tells the epoch, and training
        ends when it is gone.

    Returns
    -------
    list of Run

    Raises
    ------
    WorkerError
        If this process would not train as the one that searches.
    """
    check_identity(folder.identity)
    training, validation = data.load_training()
    epoch_file = folder.epoch_file(job)
    is_seen = epoch_file.exists()
    runs = []

    def on_epoch(epoch, ended):
        for recipe, weights in ended.items():
            runs.append(measure(recipe, weights, validation))
        if is_seen:
            try:
                os.truncate(epoch_file, epoch)
            except FileNotFoundError:
                raise CancelledError("the search has ended") from None

    stack.train_networks(job.networks, training, on_epoch=on_epoch)
    return runs


def measure(recipe, weights, validation):
    """Evaluate a trained network on validation images; returns a `Run`."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if not np.isfinite([*scores, weights.sum()]).all():
        return Run(recipe, np.nan, np.nan, np.zeros_like(weights))
    return Run(recipe, *map(float, scores), weights)
