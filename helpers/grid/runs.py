"""A run: one trained network, and the file that keeps it.

Each run has a file of its own, named by all that decides its result, whatever job it was trained
in. Left out: how it is trained (`helpers.grid.jobs`).
"""

import hashlib
import io
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy

from helpers import files, network
from helpers.errors import OneLineError
from helpers.grid import machine
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
    """Raise WorkerError if a run would not come out here as in the process that expects it."""
    own = identity()
    different = [
        f"{name} {own[name]} instead of {value}"
        for name, value in expected.items()
        if own[name] != value
    ]
    if different:
        worker = f"process {os.getpid()} on {platform.node()}"
        raise WorkerError(f"a worker differs, {worker}: {', '.join(different)}; {REMEDY}")


@dataclass(frozen=True)
class RunFolder:
    """The runs of a search on disk."""

    path: Path
    identity: dict
    """See `identity`."""

    def file(self, recipe):
        """Name the file of a run."""
        return self.path / f"{_hash((recipe, self.identity))}.npz"

    def save(self, run):
        """Put a run on disk, as arrays without pickles."""
        file, content = self.file(run.recipe), io.BytesIO()
        scores = {"cross_entropy": run.cross_entropy, "accuracy": run.accuracy}
        np.savez(content, allow_pickle=False, name=file.stem, weights=run.weights, **scores)
        files.write_bytes(file, content.getvalue())

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
