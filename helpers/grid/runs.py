"""A run: one trained network, its file, and how a worker trains a job.

Each run has a file of its own, named by its fingerprint, whatever job it was trained in. It is
written as soon as the run's last epoch is reached: by the worker, if it sees the search's folder,
else by the search when the job ends. Left out: which jobs there are, and who trains them.
"""

import io
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import data, network, sgd
from helpers.files import write_bytes, write_text
from helpers.grid import stack
from helpers.grid.jobs import fingerprint
from helpers.recipe import Recipe

FOLDER = ".grid"
"""Name of the folder of finished runs in an output folder."""


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


def train_job(job, folder):
    """Train a job in this process, on its own copy of the data.

    Parameters
    ----------
    job : helpers.grid.jobs.Job
    folder : Path
        Of the search. If the job's epoch file can be seen in it, each run is saved there as soon
        as it ends, and the file tells after each epoch how far the job is.

    Returns
    -------
    dict
        Fingerprint of a run, computed here -> what is saved of it.
    """
    training, validation = data.load_training()
    results = {}

    def on_epoch(epoch, ended):
        for recipe, weights in ended.items():
            results[fingerprint(recipe)] = measure(recipe, weights, validation)
        with suppress(OSError):  # the search saves what could not be saved here
            if epoch_file(folder, job).exists():
                for recipe in ended:
                    save(folder, fingerprint(recipe), results[fingerprint(recipe)])
                write_text(epoch_file(folder, job), str(epoch))

    stack.train(job.recipes, training, on_epoch=on_epoch)
    return results


def measure(recipe, weights, validation):
    """Evaluate a trained network on validation images; give what is saved of it, a dict."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if not np.isfinite([*scores, weights.sum()]).all():
        scores = np.nan, np.nan
        weights = np.zeros_like(weights)
    cross_entropy, accuracy = scores
    return {"cross_entropy": cross_entropy, "accuracy": accuracy, "weights": weights}


def epoch_file(folder, job):
    """Name the file that tells how far a job in training is."""
    return folder / f"{job.fingerprint}.epoch"


def save(folder, name, result):
    """Put a run on disk under its fingerprint, as arrays without pickles."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, fingerprint=name, **result)
    write_bytes(folder / f"{name}.npz", content.getvalue())


def load(path, recipe):
    """Read what `save` wrote; ValueError if it is not whole or not a run of this recipe."""
    try:
        with np.load(path, allow_pickle=False) as file:
            result = dict(file)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"{path.name} cannot be read") from error
    name, weights = result.pop("fingerprint", ""), result.get("weights")
    shapes = {key: np.shape(value) for key, value in result.items()}
    num_weights = network.num_weights(recipe.layer_sizes)
    if (
        str(name) != fingerprint(recipe)
        or shapes != {"cross_entropy": (), "accuracy": (), "weights": (num_weights,)}
        or weights.dtype != np.float32
        or not np.isfinite(weights).all()
    ):
        raise ValueError(f"{path.name} does not hold this run")
    return result


class RunFolder:
    """The runs of a search on disk.

    Parameters
    ----------
    path : Path
        Made if needed.
    resume : bool
        Whether to believe the files that are there; if not, each one counts once it is replaced.
    """

    def __init__(self, path, resume):
        self.path = Path(path)
        self.num_damaged = 0
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob("*.epoch"):
            leftover.unlink(missing_ok=True)
        old = [] if resume else self.path.glob("*.npz")
        self._ignored = {path: path.stat().st_mtime_ns for path in old}

    def read(self, recipe):
        """Read what is saved of a run; None if there is nothing, or nothing whole."""
        path = self.path / f"{fingerprint(recipe)}.npz"
        try:
            written = path.stat().st_mtime_ns
            if self._ignored.get(path) != written:
                return load(path, recipe)
        except FileNotFoundError:
            pass
        except ValueError:
            self._ignored[path] = written
            self.num_damaged += 1
        return None

    def begin(self, job):
        """Note that a job is in training; its workers write to this file how far it is."""
        write_text(epoch_file(self.path, job), "0")

    def epoch(self, job):
        """Look up the epoch that a job in training has reached."""
        with suppress(OSError, ValueError):
            return int(epoch_file(self.path, job).read_text("utf-8"))
        return 0

    def end(self, job):
        """Remove the note that a job is in training."""
        epoch_file(self.path, job).unlink(missing_ok=True)
